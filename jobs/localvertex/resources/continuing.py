"""`customBaseModel`: a tuning that begins with what an earlier one left, of the same base model.

That is its final folder, or the folder of one of its checkpoints, where the adapter lies by itself.
"""

import json

from google.cloud.aiplatform_v1beta1.types import SupervisedTuningSpec, TuningJob

from jobs.localvertex.buckets import Location, location
from jobs.localvertex.catalogue import CatalogueModel
from jobs.localvertex.errors import invalid
from jobs.localvertex.resources.artifacts import base_of
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.results import BASE_MODEL_FILE, CHECKPOINT_FILES
from jobs.localvertex.training import ADAPTER_SIZE
from jobs.localvertex.wire import Json

FIELD = "custom_base_model"
ADAPTER_FILES = tuple(f"adapter/{name}" for name in CHECKPOINT_FILES)
FULL = SupervisedTuningSpec.TuningMode.TUNING_MODE_FULL


def start_of(parts: Parts, job: TuningJob, model: CatalogueModel) -> Json:
    """What the training is to fetch, and which field of job.json says where it lies. Raises INVALID_ARGUMENT."""
    folder = location(job.custom_base_model, FIELD)
    files = set(parts.buckets.children(folder))
    if BASE_MODEL_FILE in files and (known := base_of(parts, folder, FIELD)) != model.id:
        raise invalid(f"{folder} was tuned from {known}, not from {model.id}. Set base_model to {known}.", FIELD)
    if job.supervised_tuning_spec.tuning_mode == FULL:
        return _whole_model(folder, files)
    names = _adapter(folder, files)
    config = _config(parts, folder / names[0])
    _check_size(job, int(config["r"]))
    engine = {"adapter_size": config["r"], "lora_alpha": config["lora_alpha"]}
    return {"start_files": list(names), "start": "adapter_dir", "engine": engine}


def _adapter(folder: Location, files: set[str]) -> tuple[str, ...]:
    if files.issuperset(CHECKPOINT_FILES):
        return CHECKPOINT_FILES
    missing = {*ADAPTER_FILES, BASE_MODEL_FILE} - files
    if missing:
        what = f"{folder} has no adapter to continue: it lacks {', '.join(sorted(missing))}."
        raise invalid(f"{what} Name the final folder of an earlier tuning, or a checkpoint of it.", FIELD)
    return ADAPTER_FILES


def _whole_model(folder: Location, files: set[str]) -> Json:
    if "config.json" not in files or not any(name.endswith(".safetensors") and "/" not in name for name in files):
        raise invalid(f"{folder} is not a Hugging Face model: config.json and safetensors files are needed.", FIELD)
    return {"start_files": sorted(name for name in files if "/" not in name), "start": "base_model_dir"}


def _config(parts: Parts, place: Location) -> Json:
    try:
        config = json.loads(parts.buckets.read(place))
        return {"r": int(config["r"]), "lora_alpha": int(config["lora_alpha"])}
    except (ValueError, KeyError, TypeError):
        raise invalid(f"{place} cannot be read.", FIELD) from None


def _check_size(job: TuningJob, rank: int) -> None:
    wanted = job.supervised_tuning_spec.hyper_parameters.adapter_size
    if wanted and ADAPTER_SIZE[int(wanted)] != rank:
        message = f"The adapter that is continued has size {rank}; leave adapter_size out or ask for the same."
        raise invalid(message, "supervised_tuning_spec.hyper_parameters.adapter_size")
