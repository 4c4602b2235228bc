"""The card that says what is missing before money is spent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from jobs.services.preflight import preflight
from jobs.services.preflight.lines import Check, Line, Subject, Verdict

TITLES: Mapping[Check, str | Promise] = {
    Check.CREDENTIALS: _("Credentials are found"),
    Check.API: _("The Vertex AI API is enabled"),
    Check.BILLING: _("Billing is enabled"),
    Check.RIGHTS: _("The console may create what you ask for"),
    Check.BUCKET: _("The bucket exists, and the console can write to it"),
    Check.BUCKET_REGION: _("The bucket is in the region of the job"),
    Check.DATA_REGION: _("The datasets are in the region of the job"),
    Check.AGENTS: _("Vertex AI can read and write the bucket"),
    Check.TERMS: _("The terms of the base model are accepted"),
    Check.TUNING_QUOTA: _("A tuning job can run now"),
    Check.TRAINING_QUOTA: _("The quota covers the GPU of the training"),
    Check.SERVING_QUOTA: _("The quota covers the accelerators"),
    Check.CAPACITY: _("The region has free machines"),
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
