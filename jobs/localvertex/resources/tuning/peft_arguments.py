"""The command line of Google's `pytorch-peft-train` container, as a LoRA or QLoRA training of this server's engine."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from jobs.localvertex.api.errors import ApiError, invalid, precondition
from jobs.localvertex.engine.job import INSTALL_QLORA, MOST_SEED, QUANTIZATIONS, SCHEDULES
from jobs.localvertex.memory.training import Method
from jobs.localvertex.models.catalogue import ADAPTER_SIZES, Catalogue, CatalogueModel
from jobs.localvertex.storage.buckets import Location, file_location, location, uri_of
from jobs.localvertex.tuning.row_templates import DEFAULT_COLUMN, NAMED

FIELD = "job_spec.worker_pool_specs[0].container_spec.args"
DEFAULT_RANK = 16
DEFAULT_LENGTH = 2048
MANY = 10**9
# Templates of the container for rows of prompts or messages, which need no template here.
FORMATS = (
    "", "openai-chat", "openai-completion", "vertex-chat", "llama3", "llama3-text-bison", "gemma", "mistral", "qwen2_5",
)  # fmt: skip
OTHER_NAMES = {
    "pretrained_model_id": "pretrained_model_name_or_path",
    "dataset_name": "train_dataset",
    "template": "train_template",
    "instruct_column_in_dataset": "train_column",
    "train_split_name": "train_split",
    "num_epochs": "num_train_epochs",
    "eval_dataset_path": "eval_dataset",
    "eval_per_device_batch_size": "per_device_eval_batch_size",
}  # of older images
_OF_HUGGING_FACE = re.compile(r"[\w.-]+(?:/[\w.-]+)?")
WITH_WARMUP = "constant_with_warmup"
HALF = ("bfloat16", "float16", "16bit")
WITHOUT_EFFECT = {
    "config_file", "train_split", "input_masking", "eval_split", "eval_column", "eval_template",
    "eval_steps", "eval_tasks", "eval_metric_name", "metric_for_best_model", "lora_dropout", "optimizer",
    "max_grad_norm", "save_steps", "logging_steps", "huggingface_access_token", "gradient_checkpointing",
    "enable_gradient_checkpointing", "attn_implementation", "device_map", "benchmark_out_file", "target_modules",
    "model_type", "per_device_eval_batch_size", "completion_only", "access_token",
    "train_precision", "use_example_packing", "warnings_filter", "logger_level", "nccl_timeout",
    "eval_num_fewshot", "eval_limit", "max_gpu_memory_fraction", "example_packing",
}  # fmt: skip


@dataclass(frozen=True)
class PeftTraining:
    base: CatalogueModel
    train: str
    validation: str
    adapter_output: str
    merged_output: str
    metrics_output: str
    rank: int
    learning_rate: float
    epochs: int
    batch_size: int
    max_length: int
    engine: dict[str, Any] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    template: str = ""  # one of the named, or where it lies
    column: str = DEFAULT_COLUMN
    weights: str = ""  # as the caller named the base model
    # What the trainer of this project has an option for, and Google's container has not.
    custom_base: str = ""
    resume: str = ""
    stats_output: str = ""

    @property
    def method(self) -> Method:
        return Method("PEFT_ADAPTER", self.rank, self.engine.get("quantization"))


def read(catalogue: Catalogue, arguments: Sequence[str], *, trains: bool = True) -> PeftTraining:
    """Raises INVALID_ARGUMENT for what the container would not take, FAILED_PRECONDITION for what only we lack.
    `trains`: false where nothing is computed, so that no package for it can be missing."""
    asked = _pairs(arguments)
    given = {OTHER_NAMES.get(key, key): value for key, value in asked.items()}
    names = {OTHER_NAMES.get(key, key): key for key in asked}  # as the caller wrote them
    ignored = tuple(sorted(WITHOUT_EFFECT & set(given)))
    known = {key: value for key, value in given.items() if key not in WITHOUT_EFFECT}
    task = known.pop("task", "instruct-lora")
    if task != "instruct-lora":
        raise _bad("task", f"{task} is not supported: this server knows instruct-lora")
    quantization = _quantization(known.pop("precision_mode", "bfloat16"), trains=trains)
    _refuse_all_weights(known.pop("enable_peft", ""))
    weights = _require(known, "pretrained_model_name_or_path")
    base = _base(catalogue, weights, names)
    limit = base.tuning.max_tokens if base.tuning else DEFAULT_LENGTH
    rank = _whole(known, "lora_rank", DEFAULT_RANK)
    if rank not in ADAPTER_SIZES:
        raise _bad("lora_rank", f"must be one of {', '.join(map(str, ADAPTER_SIZES))}")
    batch = _whole(known, "per_device_train_batch_size", 1) * _whole(known, "gradient_accumulation_steps", 4)
    training = PeftTraining(
        base=base,
        train=_rows(_require(known, "train_dataset"), "train_dataset", names),
        validation=_rows(known.pop("eval_dataset", ""), "eval_dataset", names),
        adapter_output=_place(_require(known, "output_dir"), "output_dir"),
        merged_output=_place(known.pop("merge_base_and_lora_output_dir", ""), "merge_base_and_lora_output_dir"),
        metrics_output=_metrics_output(known),
        rank=rank,
        learning_rate=_number(known, "learning_rate", 5e-5),
        epochs=max(1, round(_number(known, "num_train_epochs", 1.0))),
        batch_size=batch,
        max_length=min(limit, _whole(known, "max_seq_length", limit)),
        engine=_engine(known, rank) | _schedule(known) | quantization,
        weights=weights,
        custom_base=_place(known.pop("custom_base_model", ""), "custom_base_model"),
        resume=_place(known.pop("resume_dir", ""), "resume_dir"),
        stats_output=_place(known.pop("tuning_data_stats_file", ""), "tuning_data_stats_file", file_location),
        ignored=ignored,
        template=_template(known.pop("train_template", ""), names),
        column=known.pop("train_column", "") or DEFAULT_COLUMN,
    )
    if known:
        raise _bad(min(known), "is not an argument of pytorch-peft-train that this server knows")
    return training


def _pairs(arguments: Sequence[str]) -> dict[str, str]:
    """`--key=value`, `--key value` and bare `--key`."""
    pairs: dict[str, str] = {}
    key = ""
    for text in arguments:
        if text.startswith("--"):
            key, _, value = text[2:].partition("=")
            pairs[key] = value
        elif key and not pairs[key]:
            pairs[key] = text
        else:
            raise invalid(f"The argument {text!r} belongs to no --option.", FIELD)
    return pairs


def _refuse_all_weights(enable_peft: str) -> None:
    if enable_peft.lower() in ("false", "0", "no"):
        raise _bad("enable_peft", "must be true: train all weights by a tuning job with tuningMode FULL")


def _template(name: str, names: dict[str, str]) -> str:
    """The name of one, or its place in a bucket; empty where the rows need none."""
    if name in FORMATS or name in NAMED:
        return name if name in NAMED else ""
    option = names["train_template"]
    if not uri_of(name).startswith("gs://"):
        known = ", ".join([*FORMATS[1:], *NAMED])
        message = f"{name!r} is not known here. Name a JSON file as gs://bucket/template.json, or one of {known}"
        raise _bad(option, message)
    return _place(name, option, file_location)


def _rows(path: str, key: str, names: dict[str, str]) -> str:
    option = names.get(key, key)
    if path and _OF_HUGGING_FACE.fullmatch(path):
        raise _bad(
            option,
            f"{path!r} is a dataset of Hugging Face, which this server does not fetch. Upload its rows to a bucket as"
            " JSON lines, and name the file as gs://bucket/rows.jsonl",
        )
    return _place(path, option, file_location)


def _quantization(mode: str, *, trains: bool) -> dict[str, str]:
    """The container's default is 4bit; here it is what needs no further package."""
    if mode in QUANTIZATIONS:
        if trains and find_spec("bitsandbytes") is None:
            raise precondition(
                f"--precision_mode={mode} needs bitsandbytes, which is not installed here. {INSTALL_QLORA}"
                " Or use --precision_mode=bfloat16."
            )
        return {"quantization": mode}
    if mode not in HALF:
        raise _bad("precision_mode", f"{mode!r} is not supported. Use bfloat16, 8bit or 4bit")
    return {}


def _metrics_output(known: dict[str, str]) -> str:
    """The event file of TensorBoard is the one report that can be made here."""
    reports = known.pop("report_to", "tensorboard")
    folder = _place(known.pop("logging_output_dir", ""), "logging_output_dir")
    return folder if reports in ("tensorboard", "all") else ""


def _engine(known: dict[str, str], rank: int) -> dict[str, Any]:
    """Fields of job.json that a tuning job has no field for."""
    steps = _whole(known, "max_steps", -1, low=-1)
    alpha, seed = _whole(known, "lora_alpha", 2 * rank), _whole(known, "seed", -1, low=-1, high=MOST_SEED)
    return {"lora_alpha": alpha} | ({"max_steps": steps} if steps > 0 else {}) | ({"seed": seed} if seed >= 0 else {})


def _schedule(known: dict[str, str]) -> dict[str, Any]:
    """As in Hugging Face's trainer: a number of steps wins over their share, and `constant` has no warm-up. What is not
    given is as for a tuning job."""
    found: dict[str, Any] = {}
    for key in ("warmup_ratio", "weight_decay"):
        if known.get(key):
            found[key] = _number(known, key, 0.0)
            if found[key] > 1:
                raise _bad(key, "must be at most 1")
        known.pop(key, "")
    if steps := _whole(known, "warmup_steps", 0, low=0):
        found["warmup_steps"] = steps
    if name := known.pop("lr_scheduler_type", ""):
        if name not in (*SCHEDULES, WITH_WARMUP):
            raise _bad("lr_scheduler_type", f"must be one of {', '.join((*SCHEDULES, WITH_WARMUP))} here, not {name!r}")
        found["lr_scheduler_type"] = name.removesuffix("_with_warmup")
        if name == "constant":
            found |= {"warmup_ratio": 0.0, "warmup_steps": 0}
    return found


def _base(catalogue: Catalogue, name: str, names: dict[str, str]) -> CatalogueModel:
    """`google/gemma-3-270m`, a bucket's path that ends so, or the catalogue's own id."""
    if model := catalogue.find_by_weights(name):
        return model
    option = names["pretrained_model_name_or_path"]
    message = f"--{option}: {name} is not in the catalogue, and this server fetches no weights of Hugging Face."
    raise ApiError("NOT_FOUND", message)


def _require(known: dict[str, str], key: str) -> str:
    value = known.pop(key, "")
    if not value:
        raise _bad(key, "is required")
    return value


def _place(path: str, key: str, kind: Callable[[str, str], Location] = location) -> str:
    """Containers see a bucket as a folder: `/gcs/bucket/path`."""
    if not path:
        return ""
    return str(kind(uri_of(path), f"--{key}"))


def _whole(known: dict[str, str], key: str, default: int, low: int = 1, high: int = MANY) -> int:
    value = _number(known, key, default, low, high)
    if value != int(value):
        raise _bad(key, "must be a whole number")
    return int(value)


def _number(known: dict[str, str], key: str, default: float, low: float = 0, high: int = MANY) -> float:
    try:
        value = float(known.pop(key, "") or default)
    except ValueError:
        raise _bad(key, "must be a number") from None
    if not low <= value <= high:
        raise _bad(key, f"must be at most {high}" if value > high else f"must be at least {low}")
    return value


def _bad(key: str, what: str) -> ApiError:
    return invalid(f"--{key} {what}.", FIELD)
