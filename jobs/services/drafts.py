"""The five steps of a tuning job as typed so far; nothing typed is lost."""

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from jobs.errors import NotAllowedNow
from jobs.models import TuningDraft


def create(owner: User) -> TuningDraft:
    draft = TuningDraft(owner=owner)
    name = _("Tuned model %s") % timezone.localtime().strftime("%Y-%m-%d %H:%M")
    draft.data = {"name": {"display_name": name, "description": ""}}
    draft.save(force_insert=True)
    return draft


def save_step(draft: TuningDraft, step: str, values: dict[str, Any]) -> None:
    """Changes this step only, so two windows on two steps do not undo each other. PostgreSQL keeps no NUL."""
    values = {name: value.replace("\x00", "") if isinstance(value, str) else value for name, value in values.items()}
    with transaction.atomic():
        row = TuningDraft.objects.select_for_update().get(pk=draft.pk)
        if row.submitted_at:
            raise NotAllowedNow(_("This job was started already. Start a new one to change its settings."))
        row.data = {**row.data, step: values}
        row.save(update_fields=["data", "updated_at"])
    draft.data, draft.updated_at = row.data, row.updated_at


def discard(draft: TuningDraft) -> None:
    TuningDraft.objects.filter(pk=draft.pk, submitted_at__isnull=True).delete()
