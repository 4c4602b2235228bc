"""The tensorboard behind a tuning job's experiment. Its points are read from the engine's event file, never copied."""

from pathlib import Path
from typing import Any

from google.cloud.aiplatform_v1beta1.types import (
    BatchReadTensorboardTimeSeriesDataRequest,
    BatchReadTensorboardTimeSeriesDataResponse,
    ExportTensorboardTimeSeriesDataRequest,
    ExportTensorboardTimeSeriesDataResponse,
    ListTensorboardRunsRequest,
    ListTensorboardRunsResponse,
    ListTensorboardTimeSeriesRequest,
    ListTensorboardTimeSeriesResponse,
    ReadTensorboardTimeSeriesDataRequest,
    ReadTensorboardTimeSeriesDataResponse,
    Scalar,
    TensorboardRun,
    TensorboardTimeSeries,
    TimeSeriesData,
    TimeSeriesDataPoint,
    TuningJob,
)

from jobs.localvertex.api.errors import not_found
from jobs.localvertex.api.filters import page
from jobs.localvertex.api.hosts import GLOBAL, HOME, at_home
from jobs.localvertex.resources.call import Call, Route, list_page
from jobs.localvertex.resources.keeping import refuse_others
from jobs.localvertex.store import stamp
from jobs.localvertex.tuning.events import TAGS, Point, points

DEFAULT_POINTS = 1000
SCALAR = TensorboardTimeSeries.ValueType.SCALAR
_IDS = {str(number): tag for number, tag in enumerate(TAGS, start=1)}


def list_tensorboard_runs(call: Call) -> ListTensorboardRunsResponse:
    request = call.request(ListTensorboardRunsRequest)
    found, following = list_page(request, TensorboardRun, [run_of(call, request.parent)])
    return ListTensorboardRunsResponse(tensorboard_runs=found, next_page_token=following)


def list_tensorboard_time_series(call: Call) -> ListTensorboardTimeSeriesResponse:
    request = call.request(ListTensorboardTimeSeriesRequest)
    found, following = list_page(request, TensorboardTimeSeries, series_of(call, request.parent))
    return ListTensorboardTimeSeriesResponse(tensorboard_time_series=found, next_page_token=following)


def run_of(call: Call, experiment: str) -> TensorboardRun:
    job = job_of(call, experiment)
    run = TensorboardRun(
        name=f"{experiment}/runs/{job.name.rpartition('/')[2]}",
        display_name=job.tuned_model_display_name,
        create_time=job.start_time,
        update_time=job.update_time,
    )
    stamp(run)
    return run


def series_of(call: Call, run: str) -> list[TensorboardTimeSeries]:
    """Those that have points."""
    job, path = job_of(call, run), _events(call, run)
    series = [_series(f"{run}/timeSeries/{number}", tag, job, points(path, tag)) for number, tag in _IDS.items()]
    return [one for one in series if one.metadata.max_wall_time]


def read_tensorboard_time_series_data(call: Call) -> ReadTensorboardTimeSeriesDataResponse:
    request = call.request(ReadTensorboardTimeSeriesDataRequest)
    refuse_others(request, ("tensorboard_time_series", "max_data_points"))
    data = _data(call, request.tensorboard_time_series, request.max_data_points)
    return ReadTensorboardTimeSeriesDataResponse(time_series_data=data)


def batch_read_tensorboard_time_series_data(call: Call) -> BatchReadTensorboardTimeSeriesDataResponse:
    request = call.request(BatchReadTensorboardTimeSeriesDataRequest)
    for name in request.time_series:
        if not name.startswith(f"{request.tensorboard}/"):
            raise not_found(f"The TensorboardTimeSeries {name} of {request.tensorboard}")
    data = [_data(call, name, 0) for name in request.time_series]
    return BatchReadTensorboardTimeSeriesDataResponse(time_series_data=data)


def export_tensorboard_time_series_data(call: Call) -> ExportTensorboardTimeSeriesDataResponse:
    request = call.parse_post(ExportTensorboardTimeSeriesDataRequest)
    refuse_others(request, ("tensorboard_time_series", "page_size", "page_token"))
    name = request.tensorboard_time_series
    shown, following = page(_points(points(_events(call, name), _tag(name))), request.page_size, request.page_token)
    return ExportTensorboardTimeSeriesDataResponse(time_series_data_points=shown, next_page_token=following)


def job_of(call: Call, name: str) -> TuningJob:
    """Names carry the job's id as the tensorboard's, and the region where a job of `global` ran."""
    parts = name.split("/")
    here = "/".join([*parts[:4], "tuningJobs", parts[5]])
    job = call.parts.store.find(TuningJob, here) or call.parts.store.find(TuningJob, here.replace(HOME, GLOBAL, 1))
    if job is None or board_of(job) not in name or (len(parts) > 7 and not job.experiment.endswith(f"/{parts[7]}")):
        raise not_found(name)
    return job


def board_of(job: TuningJob) -> str:
    return at_home(job.name).replace("/tuningJobs/", "/tensorboards/")


def _events(call: Call, name: str) -> Path:
    return call.parts.runner.folder(job_of(call, name).name) / "events.jsonl"


def _tag(name: str) -> str:
    tag = _IDS.get(name.rpartition("/")[2])
    if tag is None:
        raise not_found(f"The TensorboardTimeSeries {name}")
    return tag


def _series(name: str, tag: str, job: TuningJob, found: list[Point]) -> TensorboardTimeSeries:
    series = TensorboardTimeSeries(
        name=name,
        display_name=tag,
        value_type=SCALAR,
        plugin_name="scalars",
        create_time=job.start_time,
        update_time=job.update_time,
    )
    stamp(series)
    if found:
        last = found[-1]
        series.metadata = TensorboardTimeSeries.Metadata(max_step=last.step, max_wall_time=_stamp(last.time))
    return series


def _data(call: Call, name: str, most: int) -> TimeSeriesData:
    found = _sample(points(_events(call, name), _tag(name)), most or DEFAULT_POINTS)
    return TimeSeriesData(tensorboard_time_series_id=name.rpartition("/")[2], value_type=SCALAR, values=_points(found))


def _sample(found: list[Point], most: int) -> list[Point]:
    """Evenly, and always with the last one."""
    if len(found) <= most:
        return found
    stride = len(found) / most
    return [found[min(int((index + 1) * stride) - 1, len(found) - 1)] for index in range(most)]


def _points(found: list[Point]) -> list[TimeSeriesDataPoint]:
    return [
        TimeSeriesDataPoint(step=point.step, wall_time=_stamp(point.time), scalar=Scalar(value=point.value))
        for point in found
    ]


def _stamp(seconds: float) -> Any:
    whole = int(seconds)
    return {"seconds": whole, "nanos": int((seconds - whole) * 1e9)}


_BOARD = "projects/*/locations/*/tensorboards/*"
_EXPERIMENT = f"{_BOARD}/experiments/*"
_RUN = f"{_EXPERIMENT}/runs/*"
_SERIES = f"{{tensorboard_time_series={_RUN}/timeSeries/*}}"

ROUTES = [
    Route("list_tensorboard_runs", "GET", f"{{parent={_EXPERIMENT}}}/runs", list_tensorboard_runs),
    Route("list_tensorboard_time_series", "GET", f"{{parent={_RUN}}}/timeSeries", list_tensorboard_time_series),
    Route("read_tensorboard_time_series_data", "GET", f"{_SERIES}:read", read_tensorboard_time_series_data),
    Route(
        "batch_read_tensorboard_time_series_data",
        "GET",
        f"{{tensorboard={_BOARD}}}:batchRead",
        batch_read_tensorboard_time_series_data,
    ),
    Route(
        "export_tensorboard_time_series_data",
        "POST",
        f"{_SERIES}:exportTensorboardTimeSeries",
        export_tensorboard_time_series_data,
    ),
]
