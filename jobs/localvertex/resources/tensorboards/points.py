"""The points of time series: written by clients, and read whoever wrote them."""

from collections.abc import Sequence
from typing import Any

from google.cloud.aiplatform_v1beta1.types import (
    BatchReadTensorboardTimeSeriesDataRequest,
    BatchReadTensorboardTimeSeriesDataResponse,
    ExportTensorboardTimeSeriesDataRequest,
    ExportTensorboardTimeSeriesDataResponse,
    ReadTensorboardSizeRequest,
    ReadTensorboardSizeResponse,
    ReadTensorboardTimeSeriesDataRequest,
    ReadTensorboardTimeSeriesDataResponse,
    ReadTensorboardUsageRequest,
    ReadTensorboardUsageResponse,
    TensorboardTimeSeries,
    TimeSeriesData,
    TimeSeriesDataPoint,
    WriteTensorboardExperimentDataRequest,
    WriteTensorboardExperimentDataResponse,
    WriteTensorboardRunDataRequest,
    WriteTensorboardRunDataResponse,
)

from jobs.localvertex.api.errors import invalid, not_found, precondition
from jobs.localvertex.api.filtering.filters import order_resources, page, select
from jobs.localvertex.api.wire import load, render
from jobs.localvertex.resources.call import Call, Route, now
from jobs.localvertex.resources.tensorboards import of_jobs
from jobs.localvertex.resources.tensorboards.boards import require
from jobs.localvertex.resources.tensorboards.levels import SERIES

DEFAULT_POINTS = 1000
EVERY_POINT = -1
MAX_WRITTEN = 5000
TYPE: Any = TensorboardTimeSeries.ValueType
VALUES = {TYPE.SCALAR: "scalar", TYPE.TENSOR: "tensor", TYPE.BLOB_SEQUENCE: "blobs"}


def write_tensorboard_run_data(call: Call) -> WriteTensorboardRunDataResponse:
    request = call.parse_post(WriteTensorboardRunDataRequest)
    with call.parts.store.transaction():
        _write(call, request, "")
    return WriteTensorboardRunDataResponse()


def write_tensorboard_experiment_data(call: Call) -> WriteTensorboardExperimentDataResponse:
    """All runs or none."""
    request = call.parse_post(WriteTensorboardExperimentDataRequest)
    require(call, request.tensorboard_experiment)
    with call.parts.store.transaction():
        for number, one in enumerate(request.write_run_data_requests):
            where = f"write_run_data_requests[{number}]."
            if one.tensorboard_run.rpartition("/runs/")[0] != request.tensorboard_experiment:
                message = f"{one.tensorboard_run!r} is not a run of {request.tensorboard_experiment}."
                raise invalid(message, f"{where}tensorboard_run")
            _write(call, one, where)
    return WriteTensorboardExperimentDataResponse()


def read_tensorboard_time_series_data(call: Call) -> ReadTensorboardTimeSeriesDataResponse:
    request = call.request(ReadTensorboardTimeSeriesDataRequest)
    if request.max_data_points < EVERY_POINT:
        raise invalid("max_data_points must be positive, or -1 for all.", "max_data_points")
    data = _data(call, request.tensorboard_time_series, request.max_data_points, request.filter)
    return ReadTensorboardTimeSeriesDataResponse(time_series_data=data)


def batch_read_tensorboard_time_series_data(call: Call) -> BatchReadTensorboardTimeSeriesDataResponse:
    request = call.request(BatchReadTensorboardTimeSeriesDataRequest)
    for name in request.time_series:
        if not name.startswith(f"{request.tensorboard}/") or name.count("/") != 11:
            raise not_found(f"The TensorboardTimeSeries {name} of {request.tensorboard}")
    data = [_data(call, name, 0) for name in request.time_series]
    return BatchReadTensorboardTimeSeriesDataResponse(time_series_data=data)


def export_tensorboard_time_series_data(call: Call) -> ExportTensorboardTimeSeriesDataResponse:
    request = call.parse_post(ExportTensorboardTimeSeriesDataRequest)
    _, found = _read(call, request.tensorboard_time_series)
    chosen = order_resources(TimeSeriesDataPoint, select(TimeSeriesDataPoint, found, request.filter), request.order_by)
    shown, following = page(chosen, request.page_size, request.page_token)
    return ExportTensorboardTimeSeriesDataResponse(time_series_data_points=shown, next_page_token=following)


def read_tensorboard_size(call: Call) -> ReadTensorboardSizeResponse:
    name = require(call, call.request(ReadTensorboardSizeRequest).tensorboard).name
    return ReadTensorboardSizeResponse(
        storage_size_byte=call.parts.store.points.measure(name) + of_jobs.measure(call.parts, name)
    )


def read_tensorboard_usage(call: Call) -> ReadTensorboardUsageResponse:
    """Google counts who looks at a board in its web pages, which there are none of here."""
    require(call, call.request(ReadTensorboardUsageRequest).tensorboard)
    return ReadTensorboardUsageResponse()


def _write(call: Call, request: WriteTensorboardRunDataRequest, where: str) -> None:
    require(call, request.tensorboard_run)
    if sum(len(data.values) for data in request.time_series_data) > MAX_WRITTEN:
        raise invalid(f"A write takes at most {MAX_WRITTEN} points of a run.", f"{where}time_series_data")
    for number, data in enumerate(request.time_series_data):
        _write_series(call, request.tensorboard_run, data, f"{where}time_series_data[{number}]")


def _write_series(call: Call, run: str, data: TimeSeriesData, where: str) -> None:
    if not data.tensorboard_time_series_id:
        field = f"{where}.tensorboard_time_series_id"
        raise invalid("The tensorboard_time_series_id field is required.", field)
    name = f"{run}/{SERIES.collection}/{data.tensorboard_time_series_id}"
    if of_jobs.find(call.parts, name) is not None:
        raise precondition(f"{name} belongs to a tuning job, which alone writes it.")
    with call.parts.store.edit(TensorboardTimeSeries, name, stamped=False) as series:
        if data.value_type and data.value_type != series.value_type:
            wanted, given = TYPE(series.value_type).name, TYPE(data.value_type).name
            raise invalid(f"{name} is of the type {wanted}, not {given}.", f"{where}.value_type")
        for number, point in enumerate(data.values):
            _check_point(series, point, f"{where}.values[{number}]")
        call.parts.store.points.write(name, [(point.step, render(point)) for point in data.values])
        _note_last(series, data.values)


def _check_point(series: TensorboardTimeSeries, point: TimeSeriesDataPoint, where: str) -> None:
    kind = VALUES[TYPE(series.value_type)]
    if kind not in point:
        raise invalid(f"A point of {series.name} must have a value: {kind}.", f"{where}.{kind}")
    if kind == "blobs" and any(blob.data for blob in point.blobs.values):
        raise precondition("This server keeps scalars and tensors; blobs have no place here.")
    if "wall_time" not in point:
        point.wall_time = now()


def _note_last(series: TensorboardTimeSeries, values: Sequence[TimeSeriesDataPoint]) -> None:
    for point in values:
        series.metadata.max_step = max(series.metadata.max_step, point.step)
        if not series.metadata.max_wall_time or point.wall_time > series.metadata.max_wall_time:
            series.metadata.max_wall_time = point.wall_time


def _data(call: Call, name: str, most: int, wanted: str = "") -> TimeSeriesData:
    series, found = _read(call, name)
    chosen = select(TimeSeriesDataPoint, found, wanted)
    return TimeSeriesData(
        tensorboard_time_series_id=name.rpartition("/")[2],
        value_type=series.value_type,
        values=chosen if most == EVERY_POINT else _sample(chosen, most or DEFAULT_POINTS),
    )


def _read(call: Call, name: str) -> tuple[TensorboardTimeSeries, list[TimeSeriesDataPoint]]:
    series: TensorboardTimeSeries = require(call, name)
    of_job = of_jobs.read_points(call.parts, name)
    if of_job is not None:
        return series, of_job
    return series, [load(TimeSeriesDataPoint, body) for body in call.parts.store.points.read(name)]


def _sample(found: Sequence[TimeSeriesDataPoint], most: int) -> Sequence[TimeSeriesDataPoint]:
    """Evenly, and always with the last one."""
    if len(found) <= most:
        return found
    stride = len(found) / most
    return [found[min(int((index + 1) * stride) - 1, len(found) - 1)] for index in range(most)]


_BOARD = "projects/*/locations/*/tensorboards/*"
_RUN = f"{_BOARD}/experiments/*/runs/*"
_SERIES = f"{{tensorboard_time_series={_RUN}/timeSeries/*}}"

ROUTES = [
    Route("write_tensorboard_run_data", "POST", f"{{tensorboard_run={_RUN}}}:write", write_tensorboard_run_data),
    Route(
        "write_tensorboard_experiment_data",
        "POST",
        f"{{tensorboard_experiment={_BOARD}/experiments/*}}:write",
        write_tensorboard_experiment_data,
    ),
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
    Route("read_tensorboard_size", "GET", f"{{tensorboard={_BOARD}}}:readSize", read_tensorboard_size),
    Route("read_tensorboard_usage", "GET", f"{{tensorboard={_BOARD}}}:readUsage", read_tensorboard_usage),
]
