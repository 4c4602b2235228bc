"""Cloud Monitoring's `timeSeries.list`: what an endpoint was asked, by anybody.

Names and labels are those of Google's list of metrics: responses have the class of their HTTP code, such as `2xx`, and
latencies are those of the whole answer. Where an endpoint reports no responses, its predictions and errors are counted.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from jobs.vertex.moments import read_moment, write_moment
from jobs.vertex.sdk.clients import location_of
from jobs.vertex.values import Traffic

from .rest import ask

MONITORING = "monitoring"
ONLINE = "aiplatform.googleapis.com/prediction/online"
RESPONSE_CODE = "response_code"
MOST_POINTS = 1000

Counts = dict[int, float]


class Monitoring:
    def traffic(self, endpoint: str, begin: datetime, part: timedelta, parts: int) -> list[Traffic]:
        period = _Period(endpoint, begin, part, parts)
        requests, errors = _count(period)
        half, most = (period.read("prediction_latencies", "ALIGN_DELTA", f"REDUCE_PERCENTILE_{p}") for p in (50, 95))
        replicas = period.read("replicas", "ALIGN_MAX", "REDUCE_SUM")
        return [
            Traffic(
                begin=begin + part * number,
                requests=round(requests.get(number, 0)),
                errors=round(errors.get(number, 0)),
                latency_p50=_seconds(half.get(number)),
                latency_p95=_seconds(most.get(number)),
                replicas=round(replicas[number]) if number in replicas else None,
            )
            for number in range(parts)
        ]


class _Period:
    def __init__(self, endpoint: str, begin: datetime, part: timedelta, parts: int) -> None:
        self._id, self._location = endpoint.rpartition("/")[2], location_of(endpoint)
        self._begin, self._part, self._parts = begin, part, parts

    def read(self, metric: str, aligner: str, reducer: str) -> Counts:
        return self._add_up(self._list(metric, aligner, reducer), lambda _labels: True)

    def read_by_code(self) -> tuple[Counts, Counts]:
        """All responses, and those that were none of success."""
        found = list(self._list("response_count", "ALIGN_DELTA", "REDUCE_SUM", f"metric.labels.{RESPONSE_CODE}"))
        return self._add_up(found, lambda _labels: True), self._add_up(found, _is_failure)

    def _list(self, metric: str, aligner: str, reducer: str, group: str = "") -> list[Any]:
        wanted = (
            f'metric.type="{ONLINE}/{metric}" AND resource.type="aiplatform.googleapis.com/Endpoint"'
            f" AND resource.labels.endpoint_id={json.dumps(self._id)}"
            f" AND resource.labels.location={json.dumps(self._location)}"
        )
        if metric == "prediction_latencies":
            wanted += ' AND metric.labels.latency_type="total"'
        query = [
            ("filter", wanted),
            ("interval.startTime", write_moment(self._begin)),
            ("interval.endTime", write_moment(self._begin + self._part * self._parts)),
            ("aggregation.alignmentPeriod", f"{self._part.total_seconds():.0f}s"),
            ("aggregation.perSeriesAligner", aligner),
            ("aggregation.crossSeriesReducer", reducer),
            ("pageSize", str(MOST_POINTS)),
            *([("aggregation.groupByFields", group)] if group else []),
        ]
        path = f"v3/projects/{settings.VERTEX_PROJECT}/timeSeries"
        found = ask("GET", MONITORING, path, query=query).get("timeSeries", [])
        return found if isinstance(found, list) else []

    def _add_up(self, series: list[Any], fits: Callable[[Mapping[str, Any]], bool]) -> Counts:
        counts: Counts = {}
        for one in series:
            if isinstance(one, dict) and fits(_within(one, "metric", "labels")):
                for number, value in self._points(one.get("points")):
                    counts[number] = counts.get(number, 0) + value
        return counts

    def _points(self, points: object) -> Iterator[tuple[int, float]]:
        """By the part that each ends."""
        for point in points if isinstance(points, list) else []:
            end, value = read_moment(_within(point, "interval").get("endTime")), _value(_within(point, "value"))
            if end is not None and value is not None:
                number = math.ceil((end - self._begin) / self._part) - 1
                if 0 <= number < self._parts:
                    yield number, value


def _count(period: _Period) -> tuple[Counts, Counts]:
    requests, errors = period.read_by_code()
    if requests:
        return requests, errors
    failed = period.read("error_count", "ALIGN_DELTA", "REDUCE_SUM")
    answered = period.read("prediction_count", "ALIGN_DELTA", "REDUCE_SUM")
    return {number: answered.get(number, 0) + failed.get(number, 0) for number in answered | failed}, failed


def _is_failure(labels: Mapping[str, Any]) -> bool:
    return str(labels.get(RESPONSE_CODE, "2xx"))[:1] in ("4", "5")


def _within(found: object, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _value(found: Mapping[str, Any]) -> float | None:
    """Whole numbers come as texts."""
    try:
        value = float(found.get("int64Value", found.get("doubleValue", "")))
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and 0 <= value < 1e15 else None


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
