"""The card that says what is missing before money is spent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.services.preflight import preflight
from jobs.services.preflight.lines import Check, Line, Subject, Verdict

# Neutral words: the verdict stands beside each of them.
TITLES: Mapping[Check, str | Promise] = {
    Check.CREDENTIALS: _("Credentials"),
    Check.API: _("Vertex AI API"),
    Check.BILLING: _("Billing"),
    Check.RIGHTS: _("The console's permissions"),
    Check.BUCKET: _("The console's access to the bucket"),
    Check.BUCKET_REGION: _("Region of the bucket"),
    Check.DATA_REGION: _("Region of the datasets"),
    Check.AGENTS: _("Vertex AI's access to the bucket"),
    Check.TERMS: _("Terms of the model"),
    Check.TUNING_QUOTA: _("Quota for tuning jobs"),
    Check.TRAINING_QUOTA: _("GPU quota for the training"),
    Check.SERVING_QUOTA: _("Accelerator quota"),
    Check.CAPACITY: _("Free machines in the region"),
}
LOOKS: Mapping[Verdict, tuple[str, str, str | Promise]] = {
    Verdict.PASSED: ("check_circle", "ok", _("Passed:")),
    Verdict.FAILED: ("error", "bad", _("Failed:")),
    Verdict.WARNING: ("warning", "warn", _("Warning:")),
    Verdict.UNKNOWN: ("help", "off", _("Unknown:")),
}


@dataclass(frozen=True)
class ShownLine:
    line: Line

    @property
    def title(self) -> str | Promise:
        return TITLES[self.line.check]

    @property
    def icon(self) -> str:
        return LOOKS[self.line.verdict][0]

    @property
    def look(self) -> str:
        return LOOKS[self.line.verdict][1]

    @property
    def word(self) -> str | Promise:
        return LOOKS[self.line.verdict][2]


@dataclass(frozen=True)
class ShownPreflight:
    """`url`: where it is asked for and told. Nothing is asked until the card is on a page. `is_in_form`: on the page it
    is inside a form."""

    result: preflight.Result
    url: str
    is_in_form: bool = False

    @property
    def lines(self) -> list[ShownLine]:
        return [ShownLine(line) for line in self.result.lines]

    @property
    def is_new(self) -> bool:
        return self.result.is_old and not self.result.is_late

    @property
    def commands(self) -> str:
        return "\n".join(self.result.commands)


def show(subject: Subject, url: str, now: datetime, *, is_in_form: bool = False) -> ShownPreflight | None:
    """None on a local run, where there is nothing to pay and nothing to grant."""
    return ShownPreflight(preflight.find(subject, now), url, is_in_form) if preflight.applies() else None
