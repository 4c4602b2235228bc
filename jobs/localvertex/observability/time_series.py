"""Cloud Monitoring's `timeSeries.list`: which series fit the filter, aligned and reduced as the request says."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.filtering.filters import page
from jobs.localvertex.api.wire import Json
from jobs.localvertex.observability import answers
from jobs.localvertex.observability.queries import (
    NO_REDUCER,
    OF_GAUGES,
    RATE,
    SHORTEST_SECONDS,
    WHOLE_ALIGNERS,
    Asked,
    label_of,
    mean,
)
from jobs.localvertex.observability.series import DISTRIBUTION, GAUGE, Point, TimeSeries

_PERCENTILE = re.compile(r"(?:ALIGN|REDUCE)_PERCENTILE_(\d\d)")

_REDUCERS: Mapping[str, Callable[[list[float]], float]] = {
    "REDUCE_SUM": sum, "REDUCE_MAX": max, "REDUCE_MIN": min, "REDUCE_MEAN": mean,
}  # fmt: skip

Value = float | Counter[int]


@dataclass(frozen=True)
class Aligned:
    """`values` by the end of each period."""

    shown: Json
    kind: str
    value: str
    values: Mapping[float, Value]


def answer(asked: Asked, found: Iterable[TimeSeries]) -> Json:
    """Points newest first, as Google has them."""
    chosen = [one for one in found if one.points and asked.fits(one.describe())]
    aligned = [_align(one, asked) for one in chosen] if asked.period else [_raw(one) for one in chosen]
    if asked.reducer not in NO_REDUCER:
        aligned = _reduce(aligned, asked)
    shown = [_show(one, asked) for one in aligned]
    kept, following = page(shown, asked.size, asked.token)
    return {**({"timeSeries": kept} if kept else {}), **({"nextPageToken": following} if following else {})}


def _raw(one: TimeSeries) -> Aligned:
    values = {point.end: _value(point) for point in one.points}
    return Aligned(one.describe(), one.metric.kind, one.metric.value, values)


def _value(point: Point) -> Value:
    return point.minute.buckets if point.minute else float(point.number)


def _align(one: TimeSeries, asked: Asked) -> Aligned:
    """Periods are counted back from the end of the interval."""
    if (one.metric.kind == GAUGE) != (asked.aligner in OF_GAUGES):
        raise invalid(f"{asked.aligner} does not fit a metric of the kind {one.metric.kind}.", "aggregation")
    periods: dict[float, list[Value]] = {}
    for point in one.points:
        end = asked.end - math.floor((asked.end - point.end) / asked.period) * asked.period
        periods.setdefault(end, []).append(_value(point))
    values = {end: _join(found, asked) for end, found in periods.items()}
    is_whole = asked.aligner in WHOLE_ALIGNERS and one.metric.value != DISTRIBUTION
    kind = one.metric.value if is_whole or not _is_number(values) else "DOUBLE"
    return Aligned(one.describe(), one.metric.kind, kind, values)


def _is_number(values: Mapping[float, Value]) -> bool:
    return not any(isinstance(value, Counter) for value in values.values())


def _join(found: list[Value], asked: Asked) -> Value:
    if isinstance(found[0], Counter):
        added = _add(found)
        percent = _PERCENTILE.fullmatch(asked.aligner)
        return answers.percentile(added, int(percent[1])) or 0.0 if percent else added
    numbers = [value for value in found if isinstance(value, float)]
    if asked.aligner in OF_GAUGES:
        return float(OF_GAUGES[asked.aligner](numbers))
    return sum(numbers) / (asked.period if asked.aligner == RATE else 1)


def _add(found: Iterable[Value]) -> Counter[int]:
    added: Counter[int] = Counter()
    for one in found:
        if isinstance(one, Counter):
            added.update(one)
    return added


def _reduce(aligned: list[Aligned], asked: Asked) -> list[Aligned]:
    """One series for each group; labels that are not grouped by are gone."""
    groups: dict[tuple[str, ...], list[Aligned]] = {}
    for one in aligned:
        groups.setdefault(tuple(label_of(one.shown, path) for path in asked.groups), []).append(one)
    return [_reduce_group(values, members, asked) for values, members in groups.items()]


def _reduce_group(labels: tuple[str, ...], members: list[Aligned], asked: Asked) -> Aligned:
    first = members[0]
    shown: Json = {"metric": {"type": first.shown["metric"]["type"], "labels": {}},
                   "resource": {"type": first.shown["resource"]["type"], "labels": {}}}  # fmt: skip
    for path, text in zip(asked.groups, labels, strict=True):
        of, _, label = path.split(".")
        shown[of]["labels"][label] = text
    periods: dict[float, list[Value]] = {}
    for one in members:
        for end, value in one.values.items():
            periods.setdefault(end, []).append(value)
    values = {end: _reduce_values(found, asked.reducer) for end, found in periods.items()}
    is_whole = asked.reducer == "REDUCE_SUM" and first.value == "INT64"
    kind = first.value if is_whole or not _is_number(values) else "DOUBLE"
    return Aligned(shown, first.kind, kind, values)


def _reduce_values(found: list[Value], reducer: str) -> Value:
    percent = _PERCENTILE.fullmatch(reducer)
    if isinstance(found[0], Counter):
        if percent is None and reducer != "REDUCE_SUM":
            raise invalid(f"{reducer} does not fit a distribution.", "aggregation.cross_series_reducer")
        added = _add(found)
        return answers.percentile(added, int(percent[1])) or 0.0 if percent else added
    numbers = sorted(value for value in found if isinstance(value, float))
    if percent:
        return numbers[max(math.ceil(len(numbers) * int(percent[1]) / 100), 1) - 1]
    return float(_REDUCERS[reducer](numbers))


def _show(one: Aligned, asked: Asked) -> Json:
    points = [
        {"interval": _interval(one.kind, end, asked), "value": _show_value(one.value, value)}
        for end, value in sorted(one.values.items(), reverse=True)
    ]
    shown = one.shown | {"metricKind": one.kind, "valueType": one.value}
    return shown | {"points": points} if asked.has_points else shown


def _interval(kind: str, end: float, asked: Asked) -> Json:
    begin = end if kind == GAUGE else end - (asked.period or SHORTEST_SECONDS)
    return {"startTime": _write(begin), "endTime": _write(end)}


def _show_value(kind: str, value: Value) -> Json:
    if isinstance(value, Counter):
        return {"distributionValue": _show_distribution(value)}
    return {"int64Value": str(round(value))} if kind == "INT64" else {"doubleValue": value}


def _show_distribution(buckets: Counter[int]) -> Json:
    total = sum(buckets.values())
    options = {"numFiniteBuckets": answers.BUCKETS, "growthFactor": answers.GROWTH, "scale": answers.SCALE}
    middles = {bucket: answers.SCALE * answers.GROWTH ** (bucket - 0.5) for bucket in buckets}
    average = sum(number * middles[bucket] for bucket, number in buckets.items()) / total if total else 0.0
    counts = [str(buckets[bucket]) for bucket in range(max(buckets, default=-1) + 1)]
    layout = {"exponentialBuckets": options}
    return {"count": str(total), "mean": average, "bucketOptions": layout, "bucketCounts": counts}


def _write(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
