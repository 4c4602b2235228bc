"""What an endpoint was asked in a period: figures, charts and the same as a table.

Requests, errors and latencies are Cloud Monitoring's, who counts those of every program. Where it doesn't answer, or
has not counted yet what this console itself asked, they are those of the console's own chats, and the page says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy, ngettext

from console.presenters.components import plots
from console.templatetags.endpoints import seconds
from jobs.models import Endpoint, EndpointReport
from jobs.services.endpoints import usage
from jobs.services.endpoints.reports import reports
from jobs.services.endpoints.reports.reports import PERIODS, Part
from jobs.services.endpoints.usage import Figures, Request

WIDTH, HEIGHT = 320.0, 80.0
DEFAULT = "1d"


LABELS: dict[str, str | Promise] = {
    "1h": gettext_lazy("1 hour"),
    "6h": gettext_lazy("6 hours"),
    "1d": gettext_lazy("1 day"),
    "7d": gettext_lazy("7 days"),
    "14d": gettext_lazy("14 days"),
}


@dataclass(frozen=True)
class Curve:
    name: str | Promise
    look: str
    lines: list[str]


@dataclass(frozen=True)
class Chart:
    title: str | Promise
    top: str
    bars: list[tuple[str, list[plots.Bar]]]
    curves: list[Curve]
    words: str


@dataclass(frozen=True)
class Row:
    """`own`: what this console asked. `traffic` None: nobody told what all asked."""

    begin: datetime
    own: Figures
    traffic: Part | None = None

    @property
    def requests(self) -> int:
        return self.traffic.requests if self.traffic else self.own.requests

    @property
    def errors(self) -> int:
        return self.traffic.errors if self.traffic else self.own.errors


@dataclass(frozen=True)
class Metrics:
    chosen: str
    begin: datetime
    own: Figures
    rows: list[Row]
    as_table: bool
    report: EndpointReport | None = None
    is_of_everybody: bool = False

    @property
    def chips(self) -> list[tuple[str, str | Promise]]:
        return list(LABELS.items())

    @property
    def requests(self) -> int:
        return sum(row.requests for row in self.rows)

    @property
    def errors(self) -> int:
        return sum(row.errors for row in self.rows)

    @property
    def problem(self) -> str:
        """Why Cloud Monitoring's figures are not shown, or are old."""
        return self.report.error if self.report else ""

    @property
    def is_awaited(self) -> bool:
        """The answer may have come before this page could hear of it."""
        return bool(self.report and self.report.is_awaited)

    @property
    def is_behind(self) -> bool:
        """It was told, and less than this console knows of."""
        return bool(self.report and self.report.told_at and not self.problem and not self.is_of_everybody)

    @property
    def replicas(self) -> int | None:
        return next((row.traffic.replicas for row in reversed(self.rows) if row.traffic), None)

    @property
    def charts(self) -> list[Chart]:
        everybody = [self._latency()] if self.is_of_everybody else []
        own = [self._first_token(), self._speed()] if self.own.requests else []
        return [self._requests(), *everybody, *own, *([self._replicas()] if self.is_of_everybody else [])]

    def _requests(self) -> Chart:
        asked, errors = [row.requests for row in self.rows], [row.errors for row in self.rows]
        top = max(*asked, 1)
        drawn = [("ok", _bars(asked, top)), ("bad", _bars(errors, top))]
        words = ngettext(
            "%(requests)d request, %(errors)d failed", "%(requests)d requests, %(errors)d failed", self.requests
        ) % {"requests": self.requests, "errors": self.errors}  # fmt: skip
        return Chart(_("Requests"), str(top), drawn, [], words)

    def _latency(self) -> Chart:
        half = [row.traffic.latency_p50 if row.traffic else None for row in self.rows]
        most = [row.traffic.latency_p95 if row.traffic else None for row in self.rows]
        top = max([value for value in most if value], default=1.0)
        drawn = [Curve(_("p95"), "s2", _lines(most, top)), Curve(_("p50"), "s1", _lines(half, top))]
        words = _("Highest 95th percentile: %(p95)s") % {"p95": seconds(top)} if any(most) else ""
        return Chart(_("Time to the whole answer"), seconds(top), [], drawn, words)

    def _replicas(self) -> Chart:
        numbers = [row.traffic.replicas if row.traffic else None for row in self.rows]
        top = max([number for number in numbers if number], default=1)
        return Chart(_("Replicas"), str(top), [], [Curve("", "s1", _lines([*numbers], top))], "")

    def _first_token(self) -> Chart:
        half = [row.own.first_token_p50 for row in self.rows]
        most = [row.own.first_token_p95 for row in self.rows]
        top = max([value for value in most if value], default=1.0)
        drawn = [Curve(_("p95"), "s2", _lines(most, top)), Curve(_("p50"), "s1", _lines(half, top))]
        values = {"p50": seconds(self.own.first_token_p50), "p95": seconds(self.own.first_token_p95)}
        words = _("Median %(p50)s, 95th percentile %(p95)s") % values
        return Chart(_("Time to first token"), seconds(top), [], drawn, words)

    def _speed(self) -> Chart:
        rates = [row.own.tokens_per_second for row in self.rows]
        top = max([value for value in rates if value], default=1.0)
        words = _("Median %(speed)s") % {"speed": speed(self.own.tokens_per_second)}
        return Chart(_("Tokens per second"), speed(top), [], [Curve("", "s3", _lines(rates, top))], words)


def choose_period(chosen: str) -> str:
    return chosen if chosen in PERIODS else DEFAULT


def metrics(endpoint: Endpoint, chosen: str, *, as_table: bool) -> Metrics:
    """Parts of the console's own figures end on round times, so that the picture of an idle endpoint stays the same."""
    chosen, now = choose_period(chosen), timezone.now()
    report, period = reports.find(endpoint, chosen), PERIODS[chosen]
    if traffic := reports.traffic_of(report, now):
        asked = usage.requests(endpoint, traffic[0].begin)
        if rows := _beside_traffic(traffic, period.part, asked):
            return Metrics(chosen, rows[0].begin, usage.figures(asked), rows, as_table, report, is_of_everybody=True)
    end = _round_up(now, period.part)
    edges = [end - period.part * number for number in range(period.parts, -1, -1)]
    asked = usage.requests(endpoint, edges[0])
    rows = [Row(begin, own) for begin, own in zip(edges, usage.periods(asked, edges), strict=False)]
    return Metrics(chosen, edges[0], usage.figures(asked), rows, as_table, report)


def _beside_traffic(traffic: Sequence[Part], length: timedelta, asked: Sequence[Request]) -> list[Row]:
    """The console's own figures of the same parts beside what all asked; nothing where that is less than this console
    itself asked. What it asked since is in no answer yet and counts in the last part."""
    begins = [one.begin for one in traffic]
    told_until = begins[-1] + length
    newer = [one for one in asked if one.asked_at >= told_until]
    if sum(one.requests for one in traffic) < len(asked) - len(newer):
        return []
    last = replace(
        traffic[-1],
        requests=traffic[-1].requests + len(newer),
        errors=traffic[-1].errors + sum(one.failed for one in newer),
    )
    until = max([told_until, *(one.asked_at + timedelta.resolution for one in newer)])
    own = usage.periods(asked, [*begins, until])
    return [Row(one.begin, figures, one) for one, figures in zip([*traffic[:-1], last], own, strict=True)]


def _round_up(moment: datetime, part: timedelta) -> datetime:
    size = part.total_seconds()
    return datetime.fromtimestamp((moment.timestamp() // size + 1) * size, tz=moment.tzinfo)


def _bars(values: list[int], top: float) -> list[plots.Bar]:
    return plots.bars(values, top, width=WIDTH, height=HEIGHT, gap=2)


def _lines(values: list[float | None], top: float) -> list[str]:
    return plots.lines(values, top, width=WIDTH, height=HEIGHT)


def speed(value: float | None) -> str:
    return "–" if value is None else _("%(value).1f/s") % {"value": value}
