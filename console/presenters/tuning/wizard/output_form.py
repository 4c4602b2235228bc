"""The form of the output folder, with the rule of who may write where."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth.models import User

from console.forms.tuning.steps import OutputForm
from jobs.models import TuningDraft
from jobs.services.storage import policies


def output_form(
    data: Mapping[str, Any] | None = None, *, draft: TuningDraft, user: User, initial: dict[str, Any] | None = None
) -> OutputForm:
    return OutputForm(data, initial=initial, why_not=lambda uri: policies.why_not_claim(user, uri, draft.pk))
