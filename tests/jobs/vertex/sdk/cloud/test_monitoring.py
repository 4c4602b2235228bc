"""Series as the REST reference of Cloud Monitoring v3 shows a TimeSeries; metrics and labels as in Google's list."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from jobs.vertex.sdk import Gateway
from jobs.vertex.values import Traffic
from tests.support.misbehaving_server import answer

BEGIN, HOUR = datetime(2026, 11, 30, 3, 0, tzinfo=UTC), timedelta(hours=1)
ENDPOINT = "projects/42/locations/us-central1/endpoints/garden-1"


def point(end, **value):
    interval = {"startTime": f"2026-11-30T0{end - 1}:00:00Z", "endTime": f"2026-11-30T0{end}:00:00Z"}
    return {"interval": interval, "value": value}


def series(metric, *points, labels=None):
    kind = {"metric": {"type": f"aiplatform.googleapis.com/prediction/online/{metric}", "labels": labels or {}}}
    resource = {"type": "aiplatform.googleapis.com/Endpoint", "labels": {"endpoint_id": "garden-1"}}
    return {**kind, "resource": resource, "metricKind": "DELTA", "valueType": "INT64", "points": list(points)}


def queries(api):
    return [dict(parse_qsl(urlsplit(one.path).query)) for one in api.requests]


def replying(api, **by_metric):
    """One reply for each metric; two percentiles of the same."""

    def behave(connection):
        wanted = queries(api)[-1]
        name = wanted["filter"].partition("prediction/online/")[2].partition('"')[0]
        if name == "prediction_latencies":
            name += wanted["aggregation.crossSeriesReducer"][-2:]
        answer(200, {"timeSeries": by_metric.get(name, [])})(connection)

    return behave


def traffic(parts=2):
    return Gateway().monitoring.traffic(ENDPOINT, BEGIN, HOUR, parts)


def test_requests_of_everybody_by_part(api):
    api.behave = replying(
        api,
        response_count=[
            series(
                "response_count", point(5, int64Value="7"), point(4, int64Value="3"), labels={"response_code": "2xx"}
            ),
            series("response_count", point(5, int64Value="2"), labels={"response_code": "4xx"}),
            series("response_count", point(5, int64Value="1"), labels={"response_code": "503"}),
        ],
        prediction_latencies50=[series("prediction_latencies", point(5, doubleValue=1500.0))],
        prediction_latencies95=[series("prediction_latencies", point(5, doubleValue=4000.0))],
        replicas=[series("replicas", point(5, int64Value="2"))],
    )
    assert traffic() == [Traffic(BEGIN, 3, 0), Traffic(BEGIN + HOUR, 10, 3, 1.5, 4.0, 2)]


def test_what_is_asked_is_bounded_and_of_one_endpoint(api):
    traffic(24)
    first = queries(api)[0]
    assert first == {
        "filter": 'metric.type="aiplatform.googleapis.com/prediction/online/response_count"'
        ' AND resource.type="aiplatform.googleapis.com/Endpoint"'
        ' AND resource.labels.endpoint_id="garden-1" AND resource.labels.location="us-central1"',
        "interval.startTime": "2026-11-30T03:00:00Z",
        "interval.endTime": "2026-12-01T03:00:00Z",
        "aggregation.alignmentPeriod": "3600s",
        "aggregation.perSeriesAligner": "ALIGN_DELTA",
        "aggregation.crossSeriesReducer": "REDUCE_SUM",
        "aggregation.groupByFields": "metric.labels.response_code",
        "pageSize": "1000",
    }
    assert {urlsplit(one.path).path for one in api.requests} == {"/v3/projects/garden/timeSeries"}
    assert len(api.requests) == 6


def test_without_responses_predictions_and_errors_are_counted(api):
    api.behave = replying(
        api,
        prediction_count=[series("prediction_count", point(4, int64Value="5"))],
        error_count=[series("error_count", point(4, int64Value="1"), point(5, int64Value="2"))],
    )
    assert traffic() == [Traffic(BEGIN, 6, 1), Traffic(BEGIN + HOUR, 2, 2)]


@pytest.mark.parametrize(
    "found",
    [
        None, "x", [None], [{"points": 5}], [{"points": [None, {"value": 5}]}],
        [series("response_count", point(5, int64Value="many"))],
        [series("response_count", point(5, doubleValue=10**400))],
        [series("response_count", point(5, doubleValue="NaN"), point(4, doubleValue=-1.0), point(9, int64Value="4"))],
    ],
)  # fmt: skip
def test_nonsense_counts_nothing(api, found):
    api.behave = answer(200, {"timeSeries": found})
    assert traffic() == [Traffic(BEGIN), Traffic(BEGIN + HOUR)]
