"""`customBaseModel`: a tuning that begins with what an earlier one left, of the same base model.

That is its final folder, or the folder of one of its checkpoints, or any whole model of the same shape."""

import json

from google.cloud.aiplatform_v1beta1.types import TuningJob

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json
from jobs.localvertex.models.catalogue import CatalogueModel
from jobs.localvertex.resources.artifacts import find_origin
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.storage.buckets import Location, location
from jobs.localvertex.tuning.job import ADAPTER, ADAPTER_SIZE, WHOLE
from jobs.localvertex.tuning.results import FULL

FIELD = "custom_base_model"
CHECKPOINT_FILES = ("adapter_config.json", "adapter_model.safetensors")  # where the adapter lies by itself
ADAPTER_FILES = tuple(f"adapter/{name}" for name in CHECKPOINT_FILES)
SHAPE = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")


def start_of(parts: Parts, job: TuningJob, model: CatalogueModel) -> Json:
    """What the training is to fetch, and which field of job.json says where it lies: an adapter goes on as it is, a
    whole model takes the place of the base model. Raises INVALID_ARGUMENT."""
    folder = location(job.custom_base_model, FIELD)
    files = set(parts.buckets.children(folder))
    origin = find_origin(parts, folder, files, FIELD)
    if origin and origin.base_model != model.id:
        known = origin.base_model
        raise invalid(f"{folder} was tuned from {known}, not from {model.id}. Set base_model to {known}.", FIELD)
    wants_adapter = job.supervised_tuning_spec.tuning_mode != FULL
    if wants_adapter and files.issuperset(CHECKPOINT_FILES):
        return _adapter(parts, job, folder, CHECKPOINT_FILES)
    if wants_adapter and origin and not origin.custom_base_model and files.issuperset(ADAPTER_FILES):
        return _adapter(parts, job, folder, ADAPTER_FILES)
    return _whole_model(parts, folder, files, model)


def _adapter(parts: Parts, job: TuningJob, folder: Location, files: tuple[str, ...]) -> Json:
    config = _config(parts, folder / files[0])
    if config["base"].startswith("gs://"):
        what = f"The adapter in {folder} belongs to the weights in {config['base']}."
        raise invalid(f"{what} Name the final folder of its tuning, which holds both merged.", FIELD)
    _check_size(job, int(config["r"]))
    engine = {"adapter_size": config["r"], "lora_alpha": config["lora_alpha"]}
    return {"start_files": list(files), "start": ADAPTER, "engine": engine}


def _whole_model(parts: Parts, folder: Location, files: set[str], model: CatalogueModel) -> Json:
    own = sorted(name for name in files if "/" not in name)
    missing = [name for name in ("config.json", "tokenizer.json") if name not in own]
    missing += [] if any(name.endswith(".safetensors") for name in own) else ["*.safetensors"]
    if missing:
        what = f"{folder} holds neither a whole model nor an adapter to continue: it lacks {', '.join(missing)}."
        raise invalid(
            f"{what} Name the final folder of an earlier tuning, a checkpoint of it, or Hugging Face files.", FIELD
        )
    _check_shape(parts, folder, model)
    return {"start_files": own, "start": WHOLE}


def _check_shape(parts: Parts, folder: Location, model: CatalogueModel) -> None:
    weights = parts.weights.get(model.id)
    if not weights.trainable:
        return
    given = _shape(folder / "config.json", parts.buckets.read(folder / "config.json"))
    wanted = _shape(weights.hf, (weights.hf / "config.json").read_bytes())
    both = [key for key in given if key in wanted and given[key] != wanted[key]]
    if both:
        differs = "; ".join(f"{key} is {given[key]}, not {wanted[key]}" for key in both)
        raise invalid(f"{folder} has another shape than {model.id}: {differs}.", FIELD)


def _shape(place: object, content: bytes) -> Json:
    try:
        config = json.loads(content)
        text = config.get("text_config", config)
        shape = {"model_type": config.get("model_type")} | {key: text.get(key) for key in SHAPE}
    except (ValueError, AttributeError):
        raise invalid(f"{place} cannot be read.", FIELD) from None
    return {key: value for key, value in shape.items() if value is not None}


def _config(parts: Parts, place: Location) -> Json:
    try:
        config = json.loads(parts.buckets.read(place))
        base = str(config.get("base_model_name_or_path", ""))
        return {"r": int(config["r"]), "lora_alpha": int(config["lora_alpha"]), "base": base}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise invalid(f"{place} cannot be read.", FIELD) from None


def _check_size(job: TuningJob, rank: int) -> None:
    wanted = job.supervised_tuning_spec.hyper_parameters.adapter_size
    if wanted and ADAPTER_SIZE[int(wanted)] != rank:
        message = f"The adapter that is continued has size {rank}; leave adapter_size out or ask for the same."
        raise invalid(message, "supervised_tuning_spec.hyper_parameters.adapter_size")
