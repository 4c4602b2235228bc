"""Cloud Monitoring's series of endpoints, as Google's list names the metrics and their labels."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from jobs.localvertex.api.wire import Json
from jobs.localvertex.observability.answers import MINUTE, Answers, Minute, Series

ONLINE = "aiplatform.googleapis.com/prediction/online/"
RESOURCE = "aiplatform.googleapis.com/Endpoint"
DELTA, GAUGE, WHOLE, DISTRIBUTION = "DELTA", "GAUGE", "INT64", "DISTRIBUTION"


@dataclass(frozen=True)
class Metric:
    kind: str
    value: str
    unit: str = "1"


METRICS = {
    "response_count": Metric(DELTA, WHOLE),
    "prediction_count": Metric(DELTA, WHOLE),
    "error_count": Metric(DELTA, WHOLE),
    "prediction_latencies": Metric(DELTA, DISTRIBUTION, "ms"),
    "replicas": Metric(GAUGE, WHOLE),
    "target_replicas": Metric(GAUGE, WHOLE),
}


@dataclass(frozen=True)
class Point:
    """`end` in seconds of Unix time; of the minutes only what belongs to the series."""

    end: float
    number: int = 0
    minute: Minute | None = None


@dataclass(frozen=True)
class TimeSeries:
    name: str
    metric_labels: Mapping[str, str]
    resource_labels: Mapping[str, str]
    points: list[Point]

    @property
    def metric(self) -> Metric:
        return METRICS[self.name]

    def describe(self) -> Json:
        return {
            "metric": {"type": ONLINE + self.name, "labels": dict(self.metric_labels)},
            "resource": {"type": RESOURCE, "labels": dict(self.resource_labels)},
        }


def list_series(
    answers: Answers, project: str, begin: float, end: float, replicas: Mapping[Series, int]
) -> Iterator[TimeSeries]:
    """`replicas`: how many there are now, of every deployed model; nobody has written down how many there were."""
    for one, minutes in answers.read(project, begin, end).items():
        resource = _label_resource(one.endpoint)
        own = {"deployed_model_id": one.deployed}
        for code in sorted({code for minute in minutes for code in minute.codes}):
            labels = own | {"response_code": code}
            yield TimeSeries("response_count", labels, resource, _count(minutes, lambda one, c=code: one.codes[c]))  # type: ignore[misc]
        yield TimeSeries("prediction_count", own, resource, _count(minutes, lambda one: one.codes["2xx"]))
        yield TimeSeries("error_count", own, resource, _count(minutes, _count_failures))
        latencies = [Point(minute.begin + MINUTE, minute=minute) for minute in minutes if minute.buckets]
        yield TimeSeries("prediction_latencies", own | {"latency_type": "total"}, resource, latencies)
    for one, number in replicas.items():
        resource, own = _label_resource(one.endpoint), {"deployed_model_id": one.deployed}
        yield TimeSeries("replicas", own, resource, [Point(end, number)])
        yield TimeSeries("target_replicas", own, resource, [Point(end, 1)])


def _count(minutes: list[Minute], number: Callable[[Minute], int]) -> list[Point]:
    return [Point(minute.begin + MINUTE, number(minute)) for minute in minutes if number(minute)]


def _count_failures(minute: Minute) -> int:
    return sum(number for code, number in minute.codes.items() if code[0] in "45")


def _label_resource(endpoint: str) -> dict[str, str]:
    _, project, _, location, _, identifier = endpoint.split("/")
    return {"endpoint_id": identifier, "location": location, "resource_container": project}
