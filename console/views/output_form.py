"""The form of the output folder, with the rule of who may write where."""

from collections.abc import Mapping
from typing import Any

from console.forms.tuning import OutputForm
from jobs.models import TuningDraft
from jobs.services.storage import policies


def output_form(
    data: Mapping[str, Any] | None = None, *, draft: TuningDraft, initial: dict[str, Any] | None = None
) -> OutputForm:
    def why_not(uri: str) -> str:
        return policies.why_not_claim(draft.owner, uri, draft.pk)

    return OutputForm(data, initial=initial, why_not=why_not)
