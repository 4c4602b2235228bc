"""An answer's figures and how full the model's window is. What the server did not count is estimated, and says so."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import template
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from jobs.models import Conversation, Message, Role
from jobs.states import MessageState

from .chat import end_words

register = template.Library()

CHARACTERS_A_TOKEN = 4
NEARLY_FULL = 0.9
# Seconds. What came sooner came in one piece: its pace would be that of the network.
SHORTEST = 0.05
UNKNOWN_END = _("finish reason unknown")


@dataclass(frozen=True)
class Figures:
    """`is_estimate` is about the tokens of the answer and so about the pace. None: not known, which is said of what
    `is_answer`: of one without a text there was nothing to measure."""

    end: Any
    first_token: float | None
    total: float | None
    tokens_in: int | None
    tokens_out: int | None
    is_estimate: bool
    is_one_request: bool = True
    is_answer: bool = True

    @property
    def pace(self) -> float | None:
        """Tokens a second after the first one. Of several requests the waiting for the later ones is not known."""
        if not self.is_one_request:
            return None
        if self.first_token is None or self.total is None or not self.tokens_out or self.tokens_out < 2:
            return None
        took = self.total - self.first_token
        return (self.tokens_out - 1) / took if took >= SHORTEST else None


# Of what no model wrote.
NONE = Figures("", None, None, None, None, is_estimate=False, is_answer=False)


@register.filter
def figures(message: Message) -> Figures:
    usage, timings = message.usage, message.timings
    if message.is_edited and "total" not in timings:
        return NONE
    counted = usage.get("completion_tokens")
    # Of an edited answer the text is not the model's alone.
    guess = estimate(message.content) if counted is None and message.content and not message.is_edited else None
    return Figures(
        end=end_words(message) or UNKNOWN_END if message.state == MessageState.COMPLETE else "",
        first_token=timings.get("first_token"),
        total=timings.get("total"),
        tokens_in=usage.get("prompt_tokens"),
        tokens_out=guess if counted is None else counted,
        is_estimate=guess is not None,
        is_one_request="requests" not in timings,
        is_answer=bool(message.content),
    )


@register.simple_tag
def streaming_progress(message: Message) -> dict[str, int]:
    """How much there is of an answer that is being written, and for how long: a slow model is no stuck one."""
    # Claiming the row wrote `updated_at`; saving what came so far does not.
    seconds = (timezone.now() - message.updated_at).total_seconds()
    return {"tokens": estimate(message.content), "seconds": max(0, int(seconds))}


def estimate(text: str) -> int:
    return max(1, round(len(text) / CHARACTERS_A_TOKEN))


@dataclass(frozen=True)
class Filled:
    """`size` None: nobody says how much the model reads."""

    used: int
    size: int | None
    is_estimate: bool

    @property
    def percent(self) -> int | None:
        return min(100, round(100 * self.used / self.size)) if self.size else None

    @property
    def high(self) -> int:
        return round((self.size or 0) * NEARLY_FULL)

    @property
    def is_nearly_full(self) -> bool:
        return bool(self.size) and self.used >= self.high


@register.simple_tag
def context_usage(
    talk: Conversation, turns: Iterable[Message], message: Message | None, size: int | None, earlier: int | str = 0
) -> Filled:
    """By the count that came with the last answer; without one, as before the first answer, by the length of all that
    was said, also of what is `earlier` than the turns of the page."""
    branch = list(turns or ())
    if not branch and message:
        branch = [message] if _count_tokens(message) else talk.path(message)
    last = next((turn for turn in reversed(branch) if turn.role == Role.ASSISTANT and not turn.is_live), None)
    if last and (count := _count_tokens(last)) is not None:
        return Filled(count, size, is_estimate=False)
    if last:
        branch = talk.path(last) if earlier else branch[: branch.index(last) + 1]
    text = talk.system_instruction + "".join(turn.content for turn in branch)
    return Filled(estimate(text) if text else 0, size, is_estimate=bool(text))


def _count_tokens(message: Message) -> int | None:
    usage = message.usage
    known = "prompt_tokens" in usage and "completion_tokens" in usage
    return usage["prompt_tokens"] + usage["completion_tokens"] if known else None
