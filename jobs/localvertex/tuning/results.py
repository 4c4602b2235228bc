"""What a tuning job leaves: its folder in the bucket, a model in the registry, checkpoints."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from google.cloud.aiplatform_v1beta1.types import (
    Checkpoint,
    Model,
    ModelGardenSource,
    ModelSourceInfo,
    TunedModel,
    TunedModelCheckpoint,
    TuningJob,
)

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.hosts import at_home
from jobs.localvertex.api.wire import now
from jobs.localvertex.models.catalogue import model_id
from jobs.localvertex.models.registry import RESOURCES
from jobs.localvertex.shortages import shortage_on
from jobs.localvertex.storage.buckets import Buckets, Location, location
from jobs.localvertex.store import Store
from jobs.localvertex.tuning.events import EventFile

RESULTS = "postprocess/node-0/checkpoints"
BASE_MODEL_FILE = "adapter/base-model.json"
PATIENCE_SECONDS = 600.0
FOR_THE_TRAINER = "trainer_state.json"


@dataclass(frozen=True)
class Origin:
    """What lies in BASE_MODEL_FILE. `custom_base_model`: the adapter belongs to these weights of that model's shape."""

    base_model: str
    custom_base_model: str = ""


def upload(job: TuningJob, folder: Path, buckets: Buckets, check: Callable[[], None]) -> Location:
    """Safe to repeat after a crash: the same files go to the same names. Returns the place of `final`."""
    results = location(job.output_uri, "output_uri") / RESULTS
    _write_origin(job, folder)
    for path in _result_files(job, folder):
        check()
        _upload_patiently(path, results / _relative(path, folder), buckets, check)
    return results / "final"


def upload_checkpoints(
    job: TuningJob, folder: Path, buckets: Buckets, outputs: dict[str, str], check: Callable[[], None]
) -> int:
    """How many there are of a cancelled job, after they were put where they would have been at its end."""
    place = location(outputs["adapter"], "output_dir") if outputs else location(job.output_uri, "output_uri") / RESULTS
    files = [path for path in _result_files(job, folder) if not path.is_relative_to(folder / "final")]
    for path in files:
        check()
        buckets.upload(path, place / _relative(path, folder))
    return len({path.parent for path in files})


def upload_outputs(
    job: TuningJob, folder: Path, buckets: Buckets, outputs: dict[str, str], check: Callable[[], None]
) -> Location:
    """A custom job's own folders: the adapter and its checkpoints, and the merged model where one was asked for."""
    _write_origin(job, folder)
    adapter = location(outputs["adapter"], "output_dir")
    for path in _result_files(job, folder):
        check()
        relative = _relative(path, folder)
        if relative.startswith("final/adapter/") or not relative.startswith("final/"):
            _upload_patiently(path, adapter / relative.removeprefix("final/adapter/"), buckets, check)
        if outputs["merged"] and relative.startswith("final/"):
            merged = location(outputs["merged"], "merge_base_and_lora_output_dir")
            _upload_patiently(path, merged / relative.removeprefix("final/"), buckets, check)
    return location(outputs["merged"] or outputs["adapter"], "output_dir")


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix().removeprefix("checkpoints/")


def _write_origin(job: TuningJob, folder: Path) -> None:
    trained_on = json.loads((folder / "job.json").read_text(encoding="utf-8")).get("custom_base", "")
    origin = Origin(model_id(job.base_model), trained_on)
    path = folder / "final" / BASE_MODEL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: value for key, value in asdict(origin).items() if value}))


def _upload_patiently(path: Path, place: Location, buckets: Buckets, check: Callable[[], None]) -> None:
    """A finished training is worth waiting for a storage that is away for some minutes, or full for longer."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return buckets.upload(path, place)
        except ApiError as error:
            is_late = time.monotonic() > until and not shortage_on(path.parent)
            if error.status != "UNAVAILABLE" or is_late:
                raise
        for _ in range(10):
            check()
            time.sleep(0.2)


def register(job_name: str, folder: Path, final: Location, store: Store, new_id: Callable[[], str]) -> None:
    """One transaction: the model exists exactly when the job says so, however often this is tried."""
    with store.transaction(), store.edit(TuningJob, job_name) as job:
        if job.tuned_model.model:
            return
        parent = at_home(job_name).partition("/tuningJobs/")[0]
        checkpoints = _checkpoints(job, folder)
        model = _model(f"{parent}/models/{new_id()}", job, final, checkpoints)
        store.insert(model)
        job.tuned_model = TunedModel(model=f"{model.name}@1", checkpoints=checkpoints)


def _result_files(job: TuningJob, folder: Path) -> list[Path]:
    """Of a checkpoint only what makes a model: the trainer's own state is of no use elsewhere."""
    files = sorted(path for path in (folder / "final").rglob("*") if path.is_file())
    for checkpoint in _checkpoints(job, folder):
        place = folder / "checkpoints" / f"checkpoint-{checkpoint.step}"
        found = sorted(path for path in place.glob("*") if path.suffix in (".json", ".safetensors", ".jinja"))
        files += [path for path in found if path.name != FOR_THE_TRAINER]
    return files


def _checkpoints(job: TuningJob, folder: Path) -> list[TunedModelCheckpoint]:
    by_step = {
        int(event["step"]): int(event["epoch"])
        for event in EventFile(folder / "events.jsonl").new()
        if event.get("event") == "checkpoint"
    }
    steps = sorted(by_step)
    if job.supervised_tuning_spec.export_last_checkpoint_only:
        steps = steps[-1:]
    return [
        TunedModelCheckpoint(checkpoint_id=str(number), epoch=by_step[step], step=step)
        for number, step in enumerate(steps, start=1)
    ]


def _model(name: str, job: TuningJob, final: Location, checkpoints: list[TunedModelCheckpoint]) -> Model:
    publisher, _, version = model_id(job.base_model).partition("@")
    source = ModelGardenSource(
        public_model_name=f"publishers/{publisher.replace('/', '/models/', 1)}", version_id=version
    )
    return Model(
        name=name,
        display_name=job.tuned_model_display_name,
        description=job.description,
        version_id="1",
        version_aliases=["default"],
        artifact_uri=str(final),
        supported_deployment_resources_types=RESOURCES,
        labels=dict(job.labels),
        model_source_info=ModelSourceInfo(source_type=ModelSourceInfo.ModelSourceType.MODEL_GARDEN),
        base_model_source=Model.BaseModelSource(model_garden_source=source),
        create_time=now(),
        update_time=now(),
        version_create_time=now(),
        version_update_time=now(),
        checkpoints=[Checkpoint(checkpoint_id=c.checkpoint_id, epoch=c.epoch, step=c.step) for c in checkpoints],
    )
