"""What Cloud Monitoring's reference says of filters, aligners and reducers, for counts that are known."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.observability import time_series
from jobs.localvertex.observability.answers import Answers, Minute, Series, bucket_of
from jobs.localvertex.observability.queries import parse
from jobs.localvertex.observability.series import list_series

END = datetime(2026, 11, 30, 5, 0, tzinfo=UTC).timestamp()
ENDPOINT = "projects/p/locations/us-central1/endpoints/e"
ONLINE = "aiplatform.googleapis.com/prediction/online"
HALF_SECOND = bucket_of(500.0)


class Counted(Answers):
    """Two models; each answered in the last minute and in one an hour before."""

    def __init__(self) -> None:
        pass

    def read(self, project: str, begin: float, end: float) -> dict[Series, list[Minute]]:
        late, early = int(END) - 60, int(END) - 3660
        return {
            Series(ENDPOINT, "1"): [
                Minute(early, Counter({"2xx": 4}), Counter({HALF_SECOND: 4})),
                Minute(late, Counter({"2xx": 2, "5xx": 1}), Counter({HALF_SECOND: 2})),
            ],
            Series(ENDPOINT, "2"): [Minute(late, Counter({"2xx": 10}), Counter({HALF_SECOND: 10}))],
        }


def ask(metric: str, *more: tuple[str, str], **values: str):
    query = [
        ("filter", f'metric.type="{ONLINE}/{metric}"{values.pop("wanted", "")}'),
        ("interval.startTime", "2026-11-30T03:00:00Z"),
        ("interval.endTime", "2026-11-30T05:00:00.000000000Z"),
        *((f"aggregation.{key}", value) for key, value in values.items()),
        *more,
    ]
    asked = parse(query)
    replicas = {Series(ENDPOINT, "1"): 1, Series(ENDPOINT, "2"): 0}
    return time_series.answer(asked, list_series(Counted(), "p", asked.begin, asked.end, replicas))


def values(reply, kind="int64Value"):
    found = reply.get("timeSeries", [])
    return [(one["metric"]["labels"], [_point(point, kind) for point in one["points"]]) for one in found]


def _point(point, kind):
    return point["interval"]["endTime"][11:16], point["value"][kind]


HOURLY = {"alignmentPeriod": "3600s", "perSeriesAligner": "ALIGN_DELTA"}


def test_without_an_aggregation_each_minute_is_a_point():
    found = ask("response_count", wanted=' AND metric.labels.response_code="2xx" AND resource.labels.endpoint_id="e"')
    assert values(found) == [
        ({"deployed_model_id": "1", "response_code": "2xx"}, [("05:00", "2"), ("04:00", "4")]),
        ({"deployed_model_id": "2", "response_code": "2xx"}, [("05:00", "10")]),
    ]
    first = found["timeSeries"][0]
    assert first["resource"] == {
        "type": "aiplatform.googleapis.com/Endpoint",
        "labels": {"endpoint_id": "e", "location": "us-central1", "resource_container": "p"},
    }
    assert (first["metricKind"], first["valueType"]) == ("DELTA", "INT64")
    assert first["points"][0]["interval"] == {"startTime": "2026-11-30T04:59:00Z", "endTime": "2026-11-30T05:00:00Z"}


def test_a_sum_over_all_models_and_one_for_each_code():
    total = ask("response_count", **HOURLY, crossSeriesReducer="REDUCE_SUM")
    assert values(total) == [({}, [("05:00", "13"), ("04:00", "4")])]
    by_code = ask(
        "response_count", **HOURLY, crossSeriesReducer="REDUCE_SUM", groupByFields="metric.labels.response_code"
    )
    assert values(by_code) == [
        ({"response_code": "2xx"}, [("05:00", "12"), ("04:00", "4")]),
        ({"response_code": "5xx"}, [("05:00", "1")]),
    ]


@pytest.mark.parametrize(
    ("metric", "expected"), [("prediction_count", [("05:00", "12"), ("04:00", "4")]), ("error_count", [("05:00", "1")])]
)
def test_predictions_and_errors(metric, expected):
    assert values(ask(metric, **HOURLY, crossSeriesReducer="REDUCE_SUM")) == [({}, expected)]


def test_percentiles_of_latencies():
    found = ask("prediction_latencies", **HOURLY, crossSeriesReducer="REDUCE_PERCENTILE_50")
    ((_labels, points),) = values(found, "doubleValue")
    assert [at for at, _value in points] == ["05:00", "04:00"]
    assert all(400 <= value <= 625 for _at, value in points)
    assert found["timeSeries"][0]["valueType"] == "DOUBLE"
    raw = ask("prediction_latencies", wanted=' AND metric.labels.latency_type="total"')["timeSeries"][0]
    assert raw["points"][0]["value"]["distributionValue"]["count"] == "2"


def test_replicas_of_now():
    gauge = {"alignmentPeriod": "3600s", "perSeriesAligner": "ALIGN_MAX", "crossSeriesReducer": "REDUCE_SUM"}
    assert values(ask("replicas", **gauge)) == [({}, [("05:00", "1")])]
    older = ask("replicas", alignmentPeriod="60s", perSeriesAligner="ALIGN_NEXT_OLDER")
    assert values(older)[0] == ({"deployed_model_id": "1"}, [("05:00", "1")])


def test_rates_pages_and_headers():
    (first, *_rest) = values(
        ask("prediction_count", alignmentPeriod="60s", perSeriesAligner="ALIGN_RATE"), "doubleValue"
    )
    assert first[1][0] == ("05:00", 2 / 60)
    page = ask("prediction_count", ("pageSize", "1"))
    assert (len(page["timeSeries"]), bool(page["nextPageToken"])) == (1, True)
    rest = ask("prediction_count", ("pageSize", "1"), ("pageToken", page["nextPageToken"]))
    assert rest["timeSeries"][0]["metric"]["labels"] == {"deployed_model_id": "2"}
    assert "points" not in ask("prediction_count", ("view", "HEADERS"))["timeSeries"][0]


def test_what_nothing_here_has_is_no_series():
    assert ask("cpu/utilization") == {}
    assert ask("response_count", wanted=' AND resource.labels.endpoint_id="other"') == {}


@pytest.mark.parametrize(
    "query",
    [
        [("filter", "")],
        [("filter", "metric.type=")],
        [("filter", 'metric.type="a" AND shoes="b"')],
        [("filter", 'metric.type>"a"')],
        [("interval.endTime", "")],
        [("interval.endTime", "tomorrow")],
        [("interval.startTime", "2027-01-01T00:00:00Z")],
        [("aggregation.perSeriesAligner", "ALIGN_SOMEHOW")],
        [("aggregation.perSeriesAligner", "ALIGN_SUM")],
        [("aggregation.perSeriesAligner", "ALIGN_SUM"), ("aggregation.alignmentPeriod", "1s")],
        [("aggregation.crossSeriesReducer", "REDUCE_SUM")],
        [("aggregation.groupByFields", "metric")],
        [("pageSize", "-1")],
        [("view", "ALL")],
        [
            ("interval.startTime", "1970-01-01T00:00:00Z"),
            ("aggregation.perSeriesAligner", "ALIGN_SUM"),
            ("aggregation.alignmentPeriod", "60s"),
        ],
    ],
)
def test_what_cannot_be_read_is_refused(query):
    good = [("filter", 'metric.type="a"'), ("interval.endTime", "2026-11-30T05:00:00Z")]
    given = dict(query)
    with pytest.raises(ApiError) as refused:
        parse([*((key, value) for key, value in good if key not in given), *query])
    assert refused.value.status == "INVALID_ARGUMENT"


def test_an_aligner_of_another_kind_of_metric_is_refused():
    with pytest.raises(ApiError):
        ask("replicas", alignmentPeriod="60s", perSeriesAligner="ALIGN_DELTA")
    with pytest.raises(ApiError):
        ask("response_count", alignmentPeriod="60s", perSeriesAligner="ALIGN_MAX")


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z"])
def test_a_time_beyond_the_calendar_is_refused(moment):
    with pytest.raises(ApiError, match=r"interval\.endTime must be a time"):
        ask("replicas", ("interval.endTime", moment))
