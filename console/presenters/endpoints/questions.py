"""What is asked before something is done to an endpoint."""

from dataclasses import dataclass, field

from django.utils.translation import gettext as _, ngettext

from jobs.services.endpoints.usage import Uses


@dataclass(frozen=True)
class Question:
    """`crumb`: what is asked about, in a word."""

    crumb: str
    title: str
    text: str
    label: str
    is_danger: bool = False
    uses: list[str] = field(default_factory=list)


def in_use_by(uses: Uses) -> list[str]:
    found = []
    if uses.answering:
        found.append(ngettext(
            "%d answer is in progress and will be cut off.",
            "%d answers are in progress and will be cut off.",
            uses.answering,
        ) % uses.answering)  # fmt: skip
    if uses.requests:
        words = ngettext("%d request in the last 24 hours.", "%d requests in the last 24 hours.", uses.requests)
        found.append(words % uses.requests)
    if uses.chats:
        found.append(ngettext("%d chat uses it.", "%d chats use it.", uses.chats) % uses.chats)
    if uses.coming:
        found.append(ngettext(
            "%d tuning job is going to deploy its model on it.",
            "%d tuning jobs are going to deploy their models on it.",
            uses.coming,
        ) % uses.coming)  # fmt: skip
    if uses.job:
        found.append(_("No other endpoint serves the tuned model %(name)s.") % {"name": uses.job.display_name})
    return found
