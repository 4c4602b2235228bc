"""What this console asked of an endpoint in a period: figures, charts and the same as a table."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy, ngettext

from console.presenters.components import plots
from console.templatetags.endpoints import seconds
from jobs.models import Endpoint
from jobs.services.endpoints import usage
from jobs.services.endpoints.usage import Figures

WIDTH, HEIGHT = 320.0, 80.0
DEFAULT = "1d"


@dataclass(frozen=True)
class Period:
    label: str | Promise
    length: timedelta
    parts: int


PERIODS = {
    "1h": Period(gettext_lazy("1 hour"), timedelta(hours=1), 12),
    "6h": Period(gettext_lazy("6 hours"), timedelta(hours=6), 24),
    "1d": Period(gettext_lazy("1 day"), timedelta(days=1), 24),
    "7d": Period(gettext_lazy("7 days"), timedelta(days=7), 28),
    "14d": Period(gettext_lazy("14 days"), timedelta(days=14), 28),
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
class Metrics:
    chosen: str
    begin: datetime
    total: Figures
    rows: list[tuple[datetime, Figures]]
    as_table: bool

    @property
    def chips(self) -> list[tuple[str, str | Promise]]:
        return [(key, period.label) for key, period in PERIODS.items()]

    @property
    def charts(self) -> list[Chart]:
        return [self._requests(), self._first_token(), self._speed()]

    def _requests(self) -> Chart:
        asked = [figures.requests for _time, figures in self.rows]
        errors = [figures.errors for _time, figures in self.rows]
        top = max(*asked, 1)
        drawn = [("ok", _bars(asked, top)), ("bad", _bars(errors, top))]
        counts = {"requests": self.total.requests, "errors": self.total.errors}
        words = ngettext(
            "%(requests)d request, %(errors)d failed", "%(requests)d requests, %(errors)d failed", self.total.requests
        ) % counts  # fmt: skip
        return Chart(_("Requests"), str(top), drawn, [], words)

    def _first_token(self) -> Chart:
        half = [figures.first_token_p50 for _time, figures in self.rows]
        most = [figures.first_token_p95 for _time, figures in self.rows]
        top = max([value for value in most if value], default=1.0)
        drawn = [Curve(_("p95"), "s2", _lines(most, top)), Curve(_("p50"), "s1", _lines(half, top))]
        values = {"p50": seconds(self.total.first_token_p50), "p95": seconds(self.total.first_token_p95)}
        words = _("Median %(p50)s, 95th percentile %(p95)s") % values
        return Chart(_("Time to first token"), seconds(top), [], drawn, words)

    def _speed(self) -> Chart:
        rates = [figures.tokens_per_second for _time, figures in self.rows]
        top = max([value for value in rates if value], default=1.0)
        words = _("Median %(speed)s") % {"speed": speed(self.total.tokens_per_second)}
        return Chart(_("Tokens per second"), speed(top), [], [Curve("", "s3", _lines(rates, top))], words)


def metrics(endpoint: Endpoint, chosen: str, *, as_table: bool) -> Metrics:
    """The parts end on round times, so that the picture of an idle endpoint stays the same for a while."""
    chosen = chosen if chosen in PERIODS else DEFAULT
    period = PERIODS[chosen]
    part = period.length / period.parts
    end = _round_up(timezone.now(), part)
    edges = [end - part * number for number in range(period.parts, -1, -1)]
    asked = usage.requests(endpoint, edges[0])
    rows = [(begin, figures) for (begin, _), figures in zip(pairwise(edges), usage.periods(asked, edges), strict=True)]
    return Metrics(chosen, edges[0], usage.figures(asked), rows, as_table)


def _round_up(moment: datetime, part: timedelta) -> datetime:
    size = part.total_seconds()
    return datetime.fromtimestamp((moment.timestamp() // size + 1) * size, tz=moment.tzinfo)


def _bars(values: list[int], top: float) -> list[plots.Bar]:
    return plots.bars(values, top, width=WIDTH, height=HEIGHT, gap=2)


def _lines(values: list[float | None], top: float) -> list[str]:
    return plots.lines(values, top, width=WIDTH, height=HEIGHT)


def speed(value: float | None) -> str:
    return "–" if value is None else _("%(value).1f/s") % {"value": value}
