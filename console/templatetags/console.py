from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache, lru_cache
from uuid import UUID

from django import template
from django.template.defaultfilters import date as format_date
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import get_language, gettext, ngettext

register = template.Library()

NOBODY = str(UUID(int=0))
# Of what a server said, as a hint beside a state.
LONGEST_TITLE = 500


@dataclass(frozen=True, slots=True)
class Look:
    """How a state is shown: an icon, a class for its colour and, for states that have no own label, a word."""

    icon: str
    look: str


DONE, BAD, OFF = Look("check_circle", "ok"), Look("error", "bad"), Look("do_not_disturb_on", "off")
RUNNING, WAITING, STOPPING = (
    Look("progress_activity", "run spin"),
    Look("schedule", "off"),
    Look("progress_activity", "off spin"),
)
LOOKS = {
    "SUCCEEDED": DONE,
    "READY": DONE,
    "VALID": DONE,
    "COMPLETE": DONE,
    "RUNNING": RUNNING,
    "DEPLOYING": RUNNING,
    "STREAMING": RUNNING,
    "UPDATING": RUNNING,
    "CANCELLING": STOPPING,
    "UNDEPLOYING": STOPPING,
    "DELETING": STOPPING,
    "FAILED": BAD,
    "INVALID": BAD,
    "EXPIRED": BAD,
    "CANCELLED": OFF,
    "UNDEPLOYED": OFF,
    "DELETED": OFF,
    "STOPPED": OFF,
    "PAUSED": Look("pause_circle", "off"),
    "PARTIALLY_SUCCEEDED": Look("warning", "warn"),
    "INTERRUPTED": Look("warning", "warn"),
    "UNKNOWN": Look("help", "off"),
    "AMBIGUOUS": Look("warning", "warn"),
    "NEEDS_DECISION": Look("warning", "warn"),
}


@register.simple_tag
@cache
def icon(name: str, look: str = "") -> SafeString:
    return format_html(
        '<svg class="ic{}" aria-hidden="true"><use href="{}#{}"></use></svg>',
        f" {look}" if look else "",
        static("icons.svg"),
        name,
    )


@register.simple_tag
def status(state: str, label: str | Promise = "", title: str = "") -> SafeString:
    """`label` is the state's own word (`job.get_state_display`); without one the code is made readable."""
    note = format_html(' title="{}"', title[:LONGEST_TITLE]) if title else ""
    return _status(str(state), label, note, get_language())


@lru_cache(maxsize=256, typed=True)
def _status(state: str, label: str | Promise, note: str, language: str | None) -> SafeString:
    look = LOOKS.get(state.upper(), WAITING)
    words = label or state.replace("_", " ").capitalize()
    return format_html('<span class="st {}"{}>{}{}</span>', look.look, note, icon(look.icon), words)


@register.simple_tag
def progress_bar(label: str, value: int | None, text: str | Promise = "") -> SafeString:
    """In percent; without a value it only says that something goes on."""
    known = "" if value is None else format_html(' value="{}" max="100"', value)
    words = format_html("<span>{}</span>", text) if text else ""
    return format_html(
        '<div class="progress"><progress class="linear" aria-label="{}"{}></progress>{}</div>', label, known, words
    )


@register.simple_tag
def scripts(*names: str) -> SafeString:
    """Controllers that a page uses from the start: fetched with the page and not after a look at it."""
    addresses = ((static(f"controllers/{name}.js"),) for name in names)
    return format_html_join("\n", '<script type="module" src="{}"></script>', addresses)


@register.simple_tag
def at(view: str, pk: UUID) -> str:
    """`{% url view pk %}`, found once a view: a long list has hundreds of them."""
    return _pattern(view).replace(NOBODY, str(pk))


@cache
def _pattern(view: str) -> str:
    return reverse(view, args=[NOBODY])


@register.simple_tag
def live_trigger(*topic: object) -> SafeString:
    """Fetch again when the doorbell rings for this topic, and after a gap in the live stream.

    Rings close together make one fetch at once and one at the end, at most two a second.
    """
    name = "".join(str(part) for part in topic)
    return format_html('hx-trigger="{} from:body throttle:500ms, live-refresh from:body throttle:500ms"', name)


@register.simple_tag
def ago(moment: datetime | None) -> SafeString:
    """A relative time that the browser keeps current; the exact one is in its title."""
    if not moment:
        return format_html('<span class="muted">{}</span>', "–")
    local = timezone.localtime(moment).replace(microsecond=0, tzinfo=None)
    return format_html(
        '<time datetime="{}" title="{}" data-controller="relative-time">{}</time>',
        moment.isoformat(timespec="seconds"),
        _exact(local, get_language()),
        relative(moment),
    )


@lru_cache(maxsize=4096)
def _exact(local: datetime, language: str | None) -> str:
    """Always the same in a language; a list that fetches itself again has the same moments."""
    return format_date(local, "DATETIME_FORMAT")


def relative(moment: datetime) -> str:
    now = timezone.now()
    if (age := now - moment) < timedelta(minutes=1):
        return gettext("just now")
    end = _at_midnight(now)
    if age >= timedelta(days=1):
        # How many months that are depends on both days, and on which of them was later in its day.
        is_later = moment.astimezone(UTC).time() > now.time()
        return _since(_at_midnight(moment) + timedelta(minutes=is_later), end, get_language())
    unit = timedelta(hours=1) if age >= timedelta(hours=1) else timedelta(minutes=1)
    return _since(end - age // unit * unit, end, get_language())


def _at_midnight(moment: datetime) -> datetime:
    return datetime.combine(moment.astimezone(UTC), time(), UTC)


@lru_cache(maxsize=4096)
def _since(start: datetime, end: datetime, language: str | None) -> str:
    """Rows of a list share their ages."""
    return gettext("%(span)s ago") % {"span": timesince(start, end, depth=1)}


@register.filter
def command(text: str) -> SafeString:
    """For `code`: a line never breaks inside a word, as after the hyphens of `--data-dir`."""
    return format_html_join(" ", '<span class="word">{}</span>', ((word,) for word in text.split(" ")))


@register.filter
def duration(seconds: float | timedelta | None) -> str:
    """Two units at most: 12 s, 4 min 5 s, 3 h 20 min."""
    if seconds is None:
        return "–"
    total = round(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    if total < 60:
        return gettext("%(s)d s") % {"s": total}
    minutes, rest = divmod(total, 60)
    if minutes < 60:
        return gettext("%(m)d min %(s)d s") % {"m": minutes, "s": rest}
    hours, minutes = divmod(minutes, 60)
    return gettext("%(h)d h %(m)d min") % {"h": hours, "m": minutes}


@register.filter
def compact(number: float | None) -> str:
    """1,204 → 1.2 K; for token counts, where the exact figure stands in a title."""
    if number is None:
        return "–"
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(number) >= limit:
            return f"{number / limit:.1f} {unit}"
    return f"{number:g}"


@register.simple_tag
def examples(count: int) -> str:
    return ngettext("%(count)d example", "%(count)d examples", count) % {"count": count}
