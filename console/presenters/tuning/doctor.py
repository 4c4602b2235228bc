"""What went wrong with a tuning job, and the buttons that mend it."""

from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _, ngettext

from console.presenters.components.diagnosis import Link, ShownDiagnosis, ShownFix, licence_words, see_model, show
from jobs.models import TuningJob
from jobs.services.costs import estimates, machine_prices, spending
from jobs.services.diagnosis import job_fixes, policies
from jobs.services.diagnosis.causes import Cause, Diagnosis, Fix
from jobs.services.diagnosis.job_fixes import Plan
from jobs.services.diagnosis.of_job import diagnose, name_numbers
from jobs.services.tuning import jobs
from jobs.services.tuning.spec import TuningSpec
from jobs.states import TUNING_UNSUCCESSFUL
from jobs.text.numbers import plain

CENT = Decimal("0.01")


@dataclass(frozen=True)
class Doctor:
    """`shown` None: nothing is known to be wrong. `attempts`: jobs that were started in place of this one."""

    shown: ShownDiagnosis | None
    attempts: list[TuningJob]


def examine(job: TuningJob) -> Doctor:
    found = diagnose(job)
    if found is None:
        return Doctor(None, [])
    attempts = job_fixes.find_attempts(job)
    successor = next((one for one in attempts if one.state not in TUNING_UNSUCCESSFUL), None)
    tried = {one.pk for one in attempts}
    offered = [] if successor else [fix for fix in found.fixes if job_fixes.key_of(job, fix) not in tried]
    return Doctor(show(found, [_show_fix(job, found, fix) for fix in offered], see=_see(job, found)), attempts)


def _see(job: TuningJob, found: Diagnosis) -> Link | None:
    if found.cause == Cause.TERMS:
        return see_model(job.base_model)
    about = {Cause.DATA: job.dataset_id, Cause.VALIDATION_DATA: job.validation_dataset_id}.get(found.cause)
    return Link(_("Open the dataset"), reverse("dataset-detail", args=[about])) if about else None


def _show_fix(job: TuningJob, found: Diagnosis, fix: str) -> ShownFix:
    wanted = job_fixes.plan(job, found, fix)
    label = _label(job, found, wanted, fix)
    if (why_not := policies.why_not_mend(job, found, fix, None)) or job.dataset is None:
        return ShownFix(fix, label, "", why_not)
    spec = job_fixes.spec_of(job, wanted)
    parts = (_does(job, found, fix, spec), _from_where(job, wanted, spec), *_costs(spec))
    why_not = jobs.why_not_start(job.owner, wanted.key, spec)
    return ShownFix(fix, label, " ".join(filter(None, parts)), why_not, goes_on=wanted.start is not None)


def _label(job: TuningJob, found: Diagnosis, wanted: Plan, fix: str) -> str:
    changes = wanted.changes
    if fix == Fix.LEAVE_OUT:
        count = len(found.rows)
        return ngettext("Leave %(count)d row out", "Leave %(count)d rows out", count) % {"count": count}
    if fix == Fix.HALVE_BATCH:
        return _("Train with a batch size of %(size)d") % {"size": changes["batch_size"]}
    if fix == Fix.LOWER_RATE:
        return _("Train with a learning rate of %(rate)s") % {"rate": plain(changes["learning_rate"])}
    if fix in (Fix.OTHER_REGION, Fix.REGION_OF_BUCKET):
        return _("Train in %(region)s") % {"region": changes["location"]}
    if fix == Fix.GO_ON and wanted.start:
        return _("Resume from checkpoint %(id)s") % {"id": wanted.start.checkpoint}
    return _PLAIN_LABELS[Fix(fix)]()


_PLAIN_LABELS = {
    Fix.NO_VALIDATION: lambda: _("Train without validation data"),
    Fix.ACCEPT_TERMS: lambda: _("Accept the terms and start again"),
    Fix.NEW_FOLDER: lambda: _("Use another folder"),
    Fix.FROM_BASE: lambda: _("Begin from the base model"),
    Fix.GO_ON: lambda: _("Start again"),
}


def _does(job: TuningJob, found: Diagnosis, fix: str, spec: TuningSpec) -> str:
    if fix == Fix.LEAVE_OUT and job.dataset:
        words = {"name": job.dataset.name, "lines": name_numbers(found.rows)}
        return _("Makes a new version of the dataset %(name)s without the lines %(lines)s.") % words
    if fix == Fix.ACCEPT_TERMS:
        return licence_words(job.base_model)
    if fix == Fix.NEW_FOLDER:
        return _("The results go to %(uri)s.") % {"uri": spec.output_uri}
    return ""


def _from_where(job: TuningJob, wanted: Plan, spec: TuningSpec) -> str:
    begins = ngettext(
        "A new job starts from the beginning and trains %(count)d epoch, because no checkpoint can be used.",
        "A new job starts from the beginning and trains %(count)d epochs, because no checkpoint can be used.",
        spec.epochs,
    )
    if wanted.start:
        begins = ngettext(
            "A new job goes on from checkpoint %(id)s of epoch %(epoch)d and trains %(count)d more epoch.",
            "A new job goes on from checkpoint %(id)s of epoch %(epoch)d and trains %(count)d more epochs.",
            spec.epochs,
        )
    start = {"id": wanted.start.checkpoint, "epoch": wanted.start.epoch} if wanted.start else {}
    ends = "" if job.is_terminal else _("This job is cancelled.")
    return " ".join(filter(None, (begins % {"count": spec.epochs, **start}, ends)))


def _costs(spec: TuningSpec) -> list[str]:
    """As the review of a new job says it."""
    if settings.VERTEX_API_ENDPOINT:
        return [_("It runs on this computer and costs nothing.")]
    estimate = estimates.of_data(
        spec.dataset,
        spec.epochs,
        spec.base_model,
        spec.tuning_mode,
        training_machine=spec.training_machine,
        region=spec.location,
    )
    told = [_usd_of_training(spending.training_usd(estimate.cost_usd))]
    if spec.auto_deploy:
        told.append(deployment_words(spec.machine_type, spec.location))
    return told


def _usd_of_training(usd: Decimal | None) -> str:
    if usd is None:
        return _("No price is published for training this model.")
    if usd < CENT:
        return _("The training costs less than $0.01.")
    return _("The training costs about $%(usd)s.") % {"usd": f"{usd:.2f}"}


def deployment_words(machine_type: str, region: str) -> str:
    price = machine_prices.price(machine_type, region)
    if price is None:
        return _("Afterwards the model is deployed; the price per hour is unknown.")
    words = {"machine": machine_type, "usd": f"{price.usd_per_hour:.2f}"}
    return _("Afterwards the model is deployed on %(machine)s for $%(usd)s per hour.") % words
