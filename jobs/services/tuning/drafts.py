"""The five steps of a tuning job as typed so far; nothing typed is lost."""

import re
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from jobs.models import TuningDraft, TuningJob
from jobs.models.fields.names import LONGEST_NAME
from jobs.services import audit
from jobs.services.tuning import observe
from jobs.states import TUNING_UNSUCCESSFUL
from jobs.text.deferred import gettext as _

from . import policies

# As messages of Vertex AI call the fields; the first that is found counts.
NAMES = {
    "output_uri": r"output_?uri|output (directory|folder)",
    "custom_base_model": r"custom_?base_?model|model to continue",
    "validation_dataset": r"validation[_ ]?data",
    "adapter_size": r"adapter[_ ]?size",
    "learning_rate": r"learning[_ ]?rate",
    "epochs": r"epoch_?count",
    "batch_size": r"batch[_ ]?size",
    "dataset": r"dataset|training[_ ]data",
    "base_model": r"base[_ ]?model",
}

ORIGIN = "origin"

_NUMBERED = re.compile(r" \((\d+)\)$")


def create(owner: User, data: Mapping[str, Any] | None = None) -> TuningDraft:
    """With `data`, raw values by step, such as those of an earlier job or of a file."""
    draft = TuningDraft(owner=owner)
    name = _("Tuned model %s") % timezone.localtime().strftime("%Y-%m-%d %H:%M")
    draft.data = {"name": {"display_name": name, "description": ""}} | dict(data or {})
    with transaction.atomic():
        draft.save(force_insert=True)
        audit.record("tuning_draft.create", draft)
    return draft


def save_step(draft: TuningDraft, step: str, values: dict[str, Any]) -> None:
    """Changes this step only, so two windows on two steps do not undo each other. PostgreSQL keeps no NUL."""
    values = {name: value.replace("\x00", "") if isinstance(value, str) else value for name, value in values.items()}
    with transaction.atomic():
        row = TuningDraft.objects.select_for_update().get(pk=draft.pk)
        policies.check_can_change(row)
        row.data = {**row.data, step: values}
        row.save(update_fields=["data", "updated_at"])
    draft.data, draft.updated_at = row.data, row.updated_at


def discard(draft: TuningDraft) -> None:
    with transaction.atomic():
        TuningDraft.objects.filter(pk=draft.pk, submitted_at__isnull=True).delete()
        audit.record("tuning_draft.discard", draft)


def free_name(owner: User, name: str) -> str:
    """The name, or with the next number that no job of this person has: Captain, Captain (2), Captain (3)."""
    stem = _NUMBERED.sub("", name)
    jobs = TuningJob.objects.visible_to(owner).filter(display_name__startswith=stem[: LONGEST_NAME - 8])
    taken = set(jobs.values_list("display_name", flat=True))
    if name not in taken:
        return name
    numbers = (int(found[1]) for one in taken if (found := _NUMBERED.search(one)) and _NUMBERED.sub("", one) == stem)
    ending = f" ({max([1, *numbers]) + 1})"
    return stem[: LONGEST_NAME - len(ending)] + ending


def find_field(job: TuningJob) -> str:
    """As `TuningSpec` calls it; empty when nothing tells."""
    if job.state not in TUNING_UNSUCCESSFUL or not job.error_message:
        return ""
    if job.error_field:
        return job.error_field
    message = job.error_message.removesuffix(observe.remedy(job.error_code))
    found = (name for name, pattern in NAMES.items() if re.search(pattern, message, re.IGNORECASE))
    return next(found, "")
