"""Tensorboards and experiments by themselves: each tuning job has one of its own. Their points are in `metrics`."""

from google.cloud.aiplatform_v1beta1.types import (
    GetTensorboardExperimentRequest,
    GetTensorboardRequest,
    GetTensorboardRunRequest,
    GetTensorboardTimeSeriesRequest,
    ListTensorboardExperimentsRequest,
    ListTensorboardExperimentsResponse,
    ListTensorboardsRequest,
    ListTensorboardsResponse,
    Tensorboard,
    TensorboardExperiment,
    TensorboardRun,
    TensorboardTimeSeries,
    TuningJob,
)

from jobs.localvertex.api.errors import not_found
from jobs.localvertex.resources.call import Call, Route, list_page, location_of
from jobs.localvertex.resources.metrics import board_of, job_of, run_of, series_of
from jobs.localvertex.store import stamp


def list_tensorboards(call: Call) -> ListTensorboardsResponse:
    request = call.request(ListTensorboardsRequest)
    project = request.parent.partition("/locations/")[0]
    boards = [_board(job) for job in call.parts.store.all(TuningJob, project) if job.experiment]
    here = [board for board in boards if location_of(board.name) == request.parent]
    found, following = list_page(request, Tensorboard, here)
    return ListTensorboardsResponse(tensorboards=found, next_page_token=following)


def get_tensorboard(call: Call) -> Tensorboard:
    return _board(_get_job(call, call.request(GetTensorboardRequest).name))


def list_tensorboard_experiments(call: Call) -> ListTensorboardExperimentsResponse:
    request = call.request(ListTensorboardExperimentsRequest)
    found, following = list_page(request, TensorboardExperiment, [_experiment(_get_job(call, request.parent))])
    return ListTensorboardExperimentsResponse(tensorboard_experiments=found, next_page_token=following)


def get_tensorboard_experiment(call: Call) -> TensorboardExperiment:
    return _experiment(_get_job(call, call.request(GetTensorboardExperimentRequest).name))


def get_tensorboard_run(call: Call) -> TensorboardRun:
    name = call.request(GetTensorboardRunRequest).name
    parent, _, number = name.rpartition("/runs/")
    run = run_of(call, parent)
    if not run.name.endswith(f"/{number}"):
        raise not_found(f"The TensorboardRun {name}")
    return run


def get_tensorboard_time_series(call: Call) -> TensorboardTimeSeries:
    name = call.request(GetTensorboardTimeSeriesRequest).name
    for series in series_of(call, name.rpartition("/timeSeries/")[0]):
        if series.name == name:
            return series
    raise not_found(f"The TensorboardTimeSeries {name}")


def _get_job(call: Call, name: str) -> TuningJob:
    job = job_of(call, name)
    if not job.experiment:
        raise not_found(f"The Tensorboard {name}")
    return job


def _board(job: TuningJob) -> Tensorboard:
    board = Tensorboard(
        name=board_of(job),
        display_name=job.tuned_model_display_name,
        run_count=1,
        create_time=job.start_time,
        update_time=job.update_time,
        labels=dict(job.labels),
    )
    stamp(board)
    return board


def _experiment(job: TuningJob) -> TensorboardExperiment:
    identifier = job.experiment.rpartition("/")[2]
    experiment = TensorboardExperiment(
        name=f"{board_of(job)}/experiments/{identifier}",
        display_name=identifier,
        source="tuning-job",
        create_time=job.start_time,
        update_time=job.update_time,
    )
    stamp(experiment)
    return experiment


_BOARD = "projects/*/locations/*/tensorboards/*"
_RUN = f"{_BOARD}/experiments/*/runs/*"

ROUTES = [
    Route("list_tensorboards", "GET", "{parent=projects/*/locations/*}/tensorboards", list_tensorboards),
    Route("get_tensorboard", "GET", f"{{name={_BOARD}}}", get_tensorboard),
    Route("list_tensorboard_experiments", "GET", f"{{parent={_BOARD}}}/experiments", list_tensorboard_experiments),
    Route("get_tensorboard_experiment", "GET", f"{{name={_BOARD}/experiments/*}}", get_tensorboard_experiment),
    Route("get_tensorboard_run", "GET", f"{{name={_RUN}}}", get_tensorboard_run),
    Route("get_tensorboard_time_series", "GET", f"{{name={_RUN}/timeSeries/*}}", get_tensorboard_time_series),
]
