"""The training log for people: its end, what was searched for in it, the lines around an error."""

import re
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _

from jobs.models import TuningJob

LINES_SHOWN = 1000
AROUND = 6
ERROR = re.compile(r"\b(?:ERROR|CRITICAL|FATAL|Traceback|\w*(?:Error|Exception))\b")
WARNING = re.compile(r"\bWARN(?:ING)?\b|\w*Warning\b")
LEVELS: dict[str, str | Promise] = {"": _("All lines"), "warning": _("Warnings and errors"), "error": _("Errors")}


@dataclass(frozen=True)
class ShownLog:
    """`total`: lines kept; `matching`: lines that fit; `hits`: how often the search was found in them."""

    html: SafeString
    total: int
    matching: int
    hits: int
    query: str
    level: str

    @property
    def level_label(self) -> str:
        return str(LEVELS[self.level])

    @property
    def is_cut(self) -> bool:
        return self.matching > LINES_SHOWN


def render_log(job: TuningJob, query: str = "", level: str = "") -> ShownLog:
    query, level = query.strip()[:200], level if level in LEVELS else ""
    lines = job.log_text.splitlines()
    found = [line for line in lines if fits(line, level) and query.lower() in line.lower()]
    hits = sum(line.lower().count(query.lower()) for line in found) if query else 0
    text = "\n".join(mark_matches(line, query) for line in found[-LINES_SHOWN:])
    return ShownLog(mark_safe(text), len(lines), len(found), hits, query, level)  # noqa: S308  # escaped in `mark_matches`


def fits(line: str, level: str) -> bool:
    if level == "error":
        return bool(ERROR.search(line))
    return not level or bool(ERROR.search(line) or WARNING.search(line))


def mark_matches(line: str, query: str) -> str:
    """As HTML. Split before it is escaped, so that a search for `lt` finds no part of an entity."""
    if not query:
        return escape(line)
    parts = re.split(f"({re.escape(query)})", line, flags=re.IGNORECASE)
    return "".join(f"<mark>{escape(part)}</mark>" if place % 2 else escape(part) for place, part in enumerate(parts))


def around_error(job: TuningJob) -> str:
    """The lines around the last error of a failed job's log, or its last lines."""
    if job.state not in {"FAILED", "EXPIRED"} or not job.log_text:
        return ""
    lines = job.log_text.splitlines()
    last = max((place for place, line in enumerate(lines) if ERROR.search(line)), default=len(lines) - 1)
    return "\n".join(lines[max(0, last - AROUND) : last + AROUND + 1])
