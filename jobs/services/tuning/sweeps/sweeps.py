"""What people do with a sweep: all of its jobs are there, or none."""

from dataclasses import replace
from uuid import UUID, uuid5

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from jobs.errors import InvalidValues, KeyReused, NotAllowedNow
from jobs.models import Sweep, TuningDraft, TuningJob
from jobs.services import audit, installation
from jobs.services.costs import spending
from jobs.services.remote.create_once import fingerprint
from jobs.services.tuning import jobs, policies, terms
from jobs.services.tuning.spec import TuningSpec
from jobs.text.deferred import gettext as _

from .spec import Varied, count_jobs, find_sweep_problems, list_variants


def create(owner: User, *, key: UUID, spec: TuningSpec, varied: Varied) -> Sweep:
    """In one transaction: a crash leaves nothing, and the same key again is the same sweep. Nothing is sent from here.
    Raises InvalidValues for what may not be, SpendingLimitReached when all together would cost too much."""
    request_hash = fingerprint(spec.request() | {"owner": owner.pk, "varied": {k: list(v) for k, v in varied.items()}})
    if found := Sweep.objects.filter(pk=key).first():
        return _same(found, request_hash)
    installation.get_id()
    with transaction.atomic():
        installation.lock()
        if found := Sweep.objects.filter(pk=key).first():
            return _same(found, request_hash)
        if TuningJob.objects.filter(pk=key).exists():
            raise KeyReused(_("This form was already sent with other settings. Open the job, or start a new one."))
        _check(owner, key, spec, varied)
        sweep = Sweep(pk=key, owner=owner, display_name=spec.display_name, request_hash=request_hash)
        sweep.varied = {name: list(values) for name, values in varied.items()}
        sweep.save(force_insert=True)
        for place, one in enumerate(list_variants(spec, varied), 1):
            job = jobs.create(owner, key=uuid5(key, f"job {place}"), spec=one)
            TuningJob.objects.filter(pk=job.pk).update(sweep=sweep, sweep_place=place)
        TuningDraft.objects.filter(pk=key, owner=owner).update(submitted_at=timezone.now())
        audit.record("tuning_sweep.create", sweep, facts={"jobs": count_jobs(varied)})
    return sweep


def _same(sweep: Sweep, request_hash: str) -> Sweep:
    if sweep.request_hash != request_hash:
        raise KeyReused(_("This form was already sent with other settings. Open the sweep, or start a new one."))
    return sweep


def _check(owner: User, key: UUID, spec: TuningSpec, varied: Varied) -> None:
    """Of the folder above all, too."""
    if not varied:
        raise NotAllowedNow(_("Choose what the sweep varies."))
    found = terms.of_spec(owner, key, spec)
    spec.validate(found)
    if problems := find_sweep_problems(varied, spec.values(), found):
        raise InvalidValues(problems)


def why_not_start(owner: User, spec: TuningSpec, varied: Varied) -> str:
    """That all together would cost more than may be spent today, or why one of them would not start; else nothing."""
    variants = list_variants(spec, varied)
    prices = {epochs: jobs.price_of(replace(spec, epochs=epochs)) for epochs in {one.epochs for one in variants}}
    too_much = spending.why_not_spend(owner, spending.total(*(prices[one.epochs] for one in variants)))
    if too_much:
        return too_much
    now = timezone.now()
    unlike = {(one.tuning_mode, one.adapter_size, one.batch_size, one.max_seq_length): one for one in variants}
    return next(filter(None, (jobs.why_not_run(one, now) for one in unlike.values())), "")


def cancel_all(sweep: Sweep) -> list[TuningJob]:
    """Those that had not ended; the audit log has an entry for each."""
    cancelled = []
    for job in sweep.jobs.all():
        if policies.why_not_cancel(job):
            continue
        try:
            jobs.request_cancel(job)
        except NotAllowedNow:
            # It ended in the meantime.
            continue
        cancelled.append(job)
    return cancelled
