"""The tensorboard behind a tuning job's experiment. Its points are read from the engine's event file, never copied."""

from pathlib import Path
from typing import Any

from google.cloud.aiplatform_v1beta1.types import (
    Scalar,
    Tensorboard,
    TensorboardExperiment,
    TensorboardRun,
    TensorboardTimeSeries,
    TimeSeriesDataPoint,
    TuningJob,
)

from jobs.localvertex.api.hosts import GLOBAL, HOME, at_home
from jobs.localvertex.resources.call import Parts, location_of
from jobs.localvertex.store import stamp
from jobs.localvertex.tuning.events import GOOGLE_TAGS, TAGS, Point, points

SCALAR = TensorboardTimeSeries.ValueType.SCALAR


def list_boards(parts: Parts, parent: str) -> list[Tensorboard]:
    """Of the jobs that have begun. Those of `global` have theirs in a region."""
    project = parent.partition("/locations/")[0]
    boards = [_board(job) for job in parts.store.all(TuningJob, project) if job.experiment]
    return [board for board in boards if location_of(board.name) == parent]


def list_children(parts: Parts, parent: str) -> list[Any]:
    """Experiments of a board, runs of an experiment, or time series of a run; nothing when it is not a job's."""
    job = find_job(parts, parent)
    if job is None:
        return []
    match parent.count("/"):
        case 5:
            return [_experiment(job)]
        case 7:
            return [_run(job)]
        case _:
            return _all_series(parts, job)


def find(parts: Parts, name: str) -> Any | None:
    """Any of the four, by its name."""
    job = find_job(parts, name)
    if job is None:
        return None
    if name.count("/") == 5:
        return _board(job)
    return next((one for one in list_children(parts, name.rsplit("/", 2)[0]) if one.name == name), None)


def find_job(parts: Parts, name: str) -> TuningJob | None:
    """Names carry the job's id as the tensorboard's, and the region where a job of `global` ran."""
    segments = name.split("/")
    here = "/".join([*segments[:4], "tuningJobs", segments[5]])
    job = parts.store.find(TuningJob, here) or parts.store.find(TuningJob, here.replace(HOME, GLOBAL, 1))
    if job is None or not job.experiment or not f"{name}/".startswith(f"{_board_name(job)}/"):
        return None
    own = (_experiment_name(job), _run_name(job))
    return job if all(f"{name}/".startswith(f"{one}/") for one in own[: (len(segments) - 6) // 2]) else None


def read_points(parts: Parts, name: str) -> list[TimeSeriesDataPoint] | None:
    """None for a time series that is no job's."""
    job, tag = find_job(parts, name), _tags(parts).get(name.rpartition("/")[2])
    if job is None or tag is None:
        return None
    return [
        TimeSeriesDataPoint(step=point.step, wall_time=_stamp(point.time), scalar=Scalar(value=point.value))
        for point in points(_events(parts, job), tag)
    ]


def measure(parts: Parts, name: str) -> int:
    """Bytes of a job's points."""
    job = find_job(parts, name)
    path = _events(parts, job) if job else None
    return path.stat().st_size if path and path.exists() else 0


def _tags(parts: Parts) -> dict[str, str]:
    """By the number of their series."""
    return {str(number): tag for number, tag in enumerate(GOOGLE_TAGS if parts.as_google else TAGS, start=1)}


def _board_name(job: TuningJob) -> str:
    return at_home(job.name).replace("/tuningJobs/", "/tensorboards/")


def _experiment_name(job: TuningJob) -> str:
    return f"{_board_name(job)}/experiments/{job.experiment.rpartition('/')[2]}"


def _run_name(job: TuningJob) -> str:
    return f"{_experiment_name(job)}/runs/{job.name.rpartition('/')[2]}"


def _events(parts: Parts, job: TuningJob) -> Path:
    return parts.runner.folder(job.name) / "events.jsonl"


def _board(job: TuningJob) -> Tensorboard:
    board = Tensorboard(
        name=_board_name(job),
        display_name=job.tuned_model_display_name,
        run_count=1,
        create_time=job.start_time,
        update_time=job.update_time,
        labels=dict(job.labels),
    )
    stamp(board)
    return board


def _experiment(job: TuningJob) -> TensorboardExperiment:
    experiment = TensorboardExperiment(
        name=_experiment_name(job),
        display_name=job.experiment.rpartition("/")[2],
        source="tuning-job",
        create_time=job.start_time,
        update_time=job.update_time,
    )
    stamp(experiment)
    return experiment


def _run(job: TuningJob) -> TensorboardRun:
    run = TensorboardRun(
        name=_run_name(job),
        display_name=job.tuned_model_display_name,
        create_time=job.start_time,
        update_time=job.update_time,
    )
    stamp(run)
    return run


def _all_series(parts: Parts, job: TuningJob) -> list[TensorboardTimeSeries]:
    """Those that have points."""
    path = _events(parts, job)
    tags, run = _tags(parts), f"{_run_name(job)}/timeSeries"
    series = [_series(f"{run}/{number}", tag, job, points(path, tag)) for number, tag in tags.items()]
    return [one for one in series if one.metadata.max_wall_time]


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


def _stamp(seconds: float) -> Any:
    whole = int(seconds)
    return {"seconds": whole, "nanos": int((seconds - whole) * 1e9)}
