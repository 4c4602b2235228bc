"""What a tuning job leaves: its folder in the bucket, a model in the registry, checkpoints."""

import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from google.cloud.aiplatform_v1beta1.types import (
    Checkpoint,
    Model,
    ModelGardenSource,
    ModelSourceInfo,
    SupervisedTuningSpec,
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
ADAPTER_FILE, ORIGIN_FILE = "adapter.gguf", "base-model.json"
BASE_MODEL_FILE = f"adapter/{ORIGIN_FILE}"
GGUF = ".gguf"
MODEL_SUFFIXES = (".json", ".safetensors", ".jinja", ".gguf")
FULL = SupervisedTuningSpec.TuningMode.TUNING_MODE_FULL
PATIENCE_SECONDS = 600.0
FOR_THE_TRAINER = "trainer_state.json"


@dataclass(frozen=True)
class Origin:
    """What lies in ORIGIN_FILE beside an adapter. `custom_base_model`: the adapter belongs to these weights of that
    model's shape."""

    base_model: str
    custom_base_model: str = ""


def upload(
    job: TuningJob, folder: Path, buckets: Buckets, check: Callable[[], None], *, as_google: bool = False
) -> Location:
    """Safe to repeat after a crash: the same files go to the same names. Returns the place of `final`."""
    results = location(job.output_uri, "output_uri") / RESULTS
    if as_google:
        for path, name in _files_as_google(job, folder):
            check()
            _upload_patiently(path, results / name, buckets, check)
        return results / "final"
    write_origin(job, folder, folder / "final" / BASE_MODEL_FILE)
    for path in _result_files(job, folder):
        check()
        _upload_patiently(path, results / _relative(path, folder), buckets, check)
    return results / "final"


def upload_checkpoints(
    job: TuningJob,
    folder: Path,
    buckets: Buckets,
    outputs: dict[str, str],
    check: Callable[[], None],
    *,
    as_google: bool = False,
) -> int:
    """How many there are of a cancelled job, after they were put where they would have been at its end. Google says of
    none that a job leaves it which did not succeed."""
    if as_google and not outputs:
        return 0
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
    write_origin(job, folder, folder / "final" / BASE_MODEL_FILE)
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


def write_origin(job: TuningJob, folder: Path, path: Path) -> Origin:
    trained_on = json.loads((folder / "job.json").read_text(encoding="utf-8")).get("custom_base", "")
    origin = Origin(model_id(job.base_model), trained_on)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({key: value for key, value in asdict(origin).items() if value}))
    return origin


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


def upload_adapters(
    job: TuningJob, folder: Path, buckets: Buckets, known: Collection[int], place: Location | None = None
) -> list[TunedModelCheckpoint]:
    """While the training goes on: the adapters that it has saved, each with what is needed to serve it, without those
    of the steps in `known`. Returns all that can be told of now; a full model is none before its end. `place`: of a
    custom job's own folder."""
    spec = job.supervised_tuning_spec
    if spec.tuning_mode == FULL or spec.export_last_checkpoint_only:
        return []
    found = _checkpoints(job, folder)
    place = place or location(job.output_uri, "output_uri") / RESULTS
    for checkpoint in found:
        if checkpoint.step not in known:
            for path in _checkpoint_files(job, folder, checkpoint.step):
                buckets.upload(path, place / _relative(path, folder), retry=False)
    return found


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
        files += _checkpoint_files(job, folder, checkpoint.step)
    return files


def _files_as_google(job: TuningJob, folder: Path) -> Iterator[tuple[Path, str]]:
    """Each with its name below RESULTS: nothing that only llama.cpp or this server reads, and checkpoints by the number
    of their epoch, so that the numbers have gaps where not every epoch has one."""
    for path in sorted((folder / "final").glob("*")):
        if path.suffix in MODEL_SUFFIXES and path.suffix != GGUF:
            yield path, f"final/{path.name}"
    for checkpoint in _checkpoints(job, folder):
        for path in sorted((folder / "checkpoints" / f"checkpoint-{checkpoint.step}").glob("*")):
            if path.suffix in MODEL_SUFFIXES and path.suffix != GGUF and path.name != FOR_THE_TRAINER:
                yield path, f"{name_as_google(checkpoint)}/{path.name}"


def name_as_google(checkpoint: TunedModelCheckpoint | Checkpoint) -> str:
    return f"checkpoint-{checkpoint.epoch}"


def _checkpoint_files(job: TuningJob, folder: Path, step: int) -> list[Path]:
    """An adapter for llama.cpp comes with its origin, and last: where it is, the others are. One that was trained on
    other weights than the base model's own serves nobody by itself."""
    place = folder / "checkpoints" / f"checkpoint-{step}"
    left_out = {FOR_THE_TRAINER}
    if (place / ADAPTER_FILE).is_file() and write_origin(job, folder, place / ORIGIN_FILE).custom_base_model:
        left_out |= {ADAPTER_FILE}
    found = [path for path in place.glob("*") if path.suffix in MODEL_SUFFIXES and path.name not in left_out]
    return sorted(found, key=lambda path: (path.name == ADAPTER_FILE, path))


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
