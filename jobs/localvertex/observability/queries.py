"""A request of Cloud Monitoring's `timeSeries.list`: what it asks for, or what is wrong with it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.filtering.expressions import Test, parse_expression
from jobs.localvertex.api.filtering.filters import read_time
from jobs.localvertex.api.wire import Json

MOST_POINTS = 100_000
FIRST = datetime.fromtimestamp(0, UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # and some periods later there is still a calendar
SHORTEST_SECONDS = 60
NO_ALIGNER, NO_REDUCER = ("", "ALIGN_NONE"), ("", "REDUCE_NONE")


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def last(values: Sequence[float]) -> float:
    return values[-1]


SUMS = {"ALIGN_DELTA", "ALIGN_SUM"}
OF_GAUGES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "ALIGN_MAX": max,
    "ALIGN_MIN": min,
    "ALIGN_MEAN": mean,
    "ALIGN_NEXT_OLDER": last,
}
RATE = "ALIGN_RATE"
WHOLE_ALIGNERS = {*SUMS, "ALIGN_MAX", "ALIGN_MIN", "ALIGN_NEXT_OLDER"}
ALIGNERS = {*SUMS, *OF_GAUGES, RATE, "ALIGN_PERCENTILE_50", "ALIGN_PERCENTILE_95", "ALIGN_PERCENTILE_99"}
REDUCERS = {
    "REDUCE_SUM", "REDUCE_MEAN", "REDUCE_MAX", "REDUCE_MIN",
    "REDUCE_PERCENTILE_50", "REDUCE_PERCENTILE_95", "REDUCE_PERCENTILE_99",
}  # fmt: skip
_SECONDS = re.compile(r"(\d{1,9})(?:\.\d+)?s")
_KNOWN = re.compile(r"(?:metric|resource)\.(?:type|labels?\.\w+)|project")
_GROUP = re.compile(r"(?:metric|resource)\.labels?\.\w+")


@dataclass(frozen=True)
class Asked:
    begin: float
    end: float
    fits: Test
    period: int
    aligner: str
    reducer: str
    groups: Sequence[str]
    size: int
    token: str
    has_points: bool


def parse(query: Sequence[tuple[str, str]]) -> Asked:
    given = dict(query)
    if not given.get("filter", "").strip():
        raise invalid('filter must name a metric, such as metric.type="compute.googleapis.com/…".', "filter")
    end = _moment(given, "interval.endTime")
    begin = _moment(given, "interval.startTime") if "interval.startTime" in given else end
    if begin > end:
        raise invalid("interval.start_time must not be after interval.end_time.", "interval.start_time")
    aligner, reducer = given.get("aggregation.perSeriesAligner", ""), given.get("aggregation.crossSeriesReducer", "")
    period = _period(given, aligner)
    if aligner not in (*NO_ALIGNER, *ALIGNERS):
        raise invalid(f"{aligner} is no aligner that is known here.", "aggregation.per_series_aligner")
    if reducer not in (*NO_REDUCER, *REDUCERS):
        raise invalid(f"{reducer} is no reducer that is known here.", "aggregation.cross_series_reducer")
    if reducer not in NO_REDUCER and aligner in NO_ALIGNER:
        raise invalid("A reducer needs an aligner.", "aggregation.per_series_aligner")
    if period and (end - begin) / period > MOST_POINTS:
        raise invalid("The interval has too many alignment periods.", "aggregation.alignment_period")
    groups = [value for key, value in query if key == "aggregation.groupByFields"]
    if unknown := [one for one in groups if not _GROUP.fullmatch(one)]:
        raise invalid(f"{unknown[0]} is no label of a metric or resource.", "aggregation.group_by_fields")
    size = given.get("pageSize", "0")
    if not re.fullmatch(r"\d{1,9}", size):
        raise invalid("page_size must be a number.", "page_size")
    view = given.get("view", "FULL")
    if view not in ("FULL", "HEADERS"):
        raise invalid(f"{view} is no view.", "view")
    fits = parse_expression(given["filter"], _compare)
    token = given.get("pageToken", "")
    return Asked(begin, end, fits, period, aligner, reducer, groups, int(size), token, view == "FULL")


def _compare(path: str, op: str, wanted: str) -> Test:
    if not _KNOWN.fullmatch(path) or op not in ("=", "!="):
        raise invalid(f"Invalid filter expression: {path} {op} is not known here.", "filter")
    is_same = op == "="
    return lambda shown: (path == "project" or label_of(shown, path) == wanted) is is_same


def label_of(shown: Json, path: str) -> str:
    kind, *rest = path.split(".")
    found: Any = shown[kind]
    return str(found["type"] if rest == ["type"] else found["labels"].get(rest[1], ""))


def _period(given: Mapping[str, str], aligner: str) -> int:
    text = given.get("aggregation.alignmentPeriod", "")
    if aligner in NO_ALIGNER:
        return 0
    found = _SECONDS.fullmatch(text)
    if found is None or int(found[1]) < SHORTEST_SECONDS:
        raise invalid("aggregation.alignment_period must be at least 60 seconds, such as 60s.", "aggregation")
    return int(found[1])


def _moment(given: Mapping[str, str], name: str) -> float:
    found = read_time(given.get(name, ""))
    if found is None or not FIRST <= found <= LATEST:
        raise invalid(f"{name} must be a time, such as 2026-11-30T05:00:00Z.", name)
    return found.timestamp()
