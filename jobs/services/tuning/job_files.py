"""A tuning job as a file that can be loaded again, in JSON or YAML: every answer of the five steps, and its datasets
by name and sum.

Accepted terms are not among them: each person accepts them anew.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from jobs.models import Dataset, Endpoint, TuningJob
from jobs.models.fields.labels import check_labels
from jobs.services.endpoints.serving.spec import is_json_of_options
from jobs.text.deferred import gettext as _
from jobs.text.yaml_data import read_yaml

from .container.request import dataset_uri
from .spec import TuningSpec

FORMAT, VERSION = "garden-console/tuning-job", 1
MAX_BYTES = 48 * 1024
# A number to most people, a text to YAML 1.1, which wants a dot and a sign in it.
POWER_OF_TEN = re.compile(r"\d+(\.\d*)?[eE][-+]?\d{1,3}")
SHA256 = re.compile(r"[0-9a-f]{64}")

Kind = tuple[type, ...]
TEXT, TRUTH, WHOLE, OPTIONAL_WHOLE, OBJECT = (str,), (bool,), (int,), (int, type(None)), (dict,)
OPTIONAL_NUMBER: Kind = (float, int, type(None))
FIELDS: dict[str, dict[str, Kind]] = {
    "name": {"display_name": TEXT, "description": TEXT, "labels": OBJECT},
    "base_model": {"base_model": TEXT, "custom_base_model": TEXT, "location": TEXT},
    "output": {"output_uri": TEXT},
    "training": {
        "dataset": OBJECT,
        "validation_dataset": (dict, type(None)),
        "epochs": WHOLE,
        "learning_rate": (float, int),
        "tuning_mode": TEXT,
        "adapter_size": OPTIONAL_WHOLE,
        "batch_size": OPTIONAL_WHOLE,
        "export_last_checkpoint_only": TRUTH,
        "warmup_ratio": OPTIONAL_NUMBER,
        "lr_scheduler_type": TEXT,
        "weight_decay": OPTIONAL_NUMBER,
        "seed": OPTIONAL_WHOLE,
        "max_seq_length": OPTIONAL_WHOLE,
        "training_machine": TEXT,
        "quantization": TEXT,
    },
    "deployment": {
        "auto_deploy": TRUTH,
        "endpoint_display_name": TEXT,
        "machine_type": TEXT,
        "deploy_endpoint": TEXT,
        "endpoint_share": WHOLE,
        "endpoint_lease_hours": OPTIONAL_WHOLE,
        "endpoint_min_replicas": WHOLE,
        "endpoint_max_replicas": WHOLE,
        "endpoint_options": OBJECT,
    },
}
# Of fields that older files do not have.
AT_FIRST: Mapping[str, Mapping[str, Any]] = {
    "training": {
        "warmup_ratio": None, "lr_scheduler_type": "", "weight_decay": None, "seed": None, "max_seq_length": None,
        "training_machine": "", "quantization": "",
    },
    "deployment": {
        "deploy_endpoint": "", "endpoint_share": 0, "endpoint_min_replicas": 1, "endpoint_max_replicas": 1,
        "endpoint_options": {},
    },
}  # fmt: skip
NUMBERS = ("learning_rate", "warmup_ratio", "weight_decay")
DATASETS = ("dataset", "validation_dataset")
DATASET_FIELDS: dict[str, Kind] = {"name": TEXT, "sha256": TEXT, "uri": TEXT}
WORDS: Mapping[Kind, Callable[[], str]] = {
    TEXT: lambda: _("It must be a string."),
    TRUTH: lambda: _("It must be true or false."),
    WHOLE: lambda: _("It must be a whole number."),
    OPTIONAL_WHOLE: lambda: _("It must be a whole number or null."),
    OBJECT: lambda: _("It must be an object."),
    (dict, type(None)): lambda: _("It must be an object or null."),
    (float, int): lambda: _("It must be a number."),
    OPTIONAL_NUMBER: lambda: _("It must be a number or null."),
}


class FileRejected(Exception):
    """`problems` are sentences, each with the field that it is about, such as training.epochs."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__(problems)
        self.problems = problems


@dataclass(frozen=True)
class Loaded:
    """The answers as a job has them. `missing`: the datasets, by column, that this person does not have."""

    answers: dict[str, Any]
    missing: dict[str, str] = field(default_factory=dict)


def dump(job: TuningJob | TuningSpec) -> dict[str, Any]:
    steps = {step: {name: getattr(job, name) for name in names} for step, names in FIELDS.items()}
    for name in DATASETS:
        dataset: Dataset | None = steps["training"][name]
        steps["training"][name] = dataset and {
            "name": dataset.name, "sha256": dataset.sha256, "uri": dataset_uri(dataset),
        }  # fmt: skip
    steps["deployment"]["deploy_endpoint"] = str(job.deploy_endpoint.pk) if job.deploy_endpoint else ""
    steps["name"]["labels"] = dict(job.labels)
    return {"format": FORMAT, "version": VERSION, **steps}


def as_text(job: TuningJob | TuningSpec, *, is_yaml: bool = False) -> str:
    """Both from what JSON makes of the values: YAML would want to know what a member of an enumeration is."""
    text = json.dumps(dump(job), indent=2, ensure_ascii=False) + "\n"
    return str(yaml.safe_dump(json.loads(text), sort_keys=False, allow_unicode=True)) if is_yaml else text


def load(owner: User, text: str) -> Loaded:
    """Raises FileRejected with everything that is wrong in the form of the file; the steps judge the values."""
    content = _content(text)
    for step, values in AT_FIRST.items():
        if isinstance(content.get(step), dict):
            content[step] = {**values, **content[step]}
    problems = [found for step, fields in FIELDS.items() for found in _problems(content.get(step), step, fields)]
    problems += [(name, _("Unknown section.")) for name in sorted(content.keys() - {"format", "version", *FIELDS})]
    if problems:
        raise FileRejected(problems)
    answers = {name: value for step in FIELDS for name, value in content[step].items()}
    missing = {}
    for name in DATASETS:
        reference = answers[name]
        answers[name] = reference and _dataset(owner, reference)
        if reference and answers[name] is None:
            missing[name] = f"{reference['name']} ({reference['sha256'][:8]})"
    if wanted := answers["deploy_endpoint"]:
        answers["deploy_endpoint"] = find_endpoint(owner, wanted)
        if answers["deploy_endpoint"] is None:
            missing["deploy_endpoint"] = wanted
    return Loaded(answers | {"deploy_endpoint": answers["deploy_endpoint"] or None}, missing)


def find_endpoint(owner: User, pk: str) -> Endpoint | None:
    """This person's own, by its id in this console."""
    with suppress(ValidationError):
        found: Endpoint | None = Endpoint.objects.visible_to(owner).not_deleted().filter(pk=pk).first()
        return found
    return None


def _content(text: str) -> dict[str, Any]:
    text = text.removeprefix("\ufeff")
    is_json = text.lstrip().startswith("{")
    try:
        content = json.loads(text, parse_constant=_no_constant) if is_json else _from_yaml(text)
        if not _can_be_kept(content):
            raise ValueError(_("it contains invalid characters."))
    except (ValueError, RecursionError) as error:
        message = _("The file is not JSON: %s") if is_json else _("The file is neither JSON nor YAML: %s")
        raise FileRejected([("", message % error)]) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        message = _("The file is not a tuning job of this console: its format must be %s.") % FORMAT
        raise FileRejected([("format", message)])
    if content.get("version") != VERSION or isinstance(content["version"], bool):
        message = _("This console reads version %d of the format. Export the job again.") % VERSION
        raise FileRejected([("version", message)])
    return content


def _from_yaml(text: str) -> Any:
    if len(text) > MAX_BYTES:
        raise ValueError(_("it is longer than any tuning job."))
    content = read_yaml(text)
    _check_is_data(content)
    training = content.get("training") if isinstance(content, dict) else None
    if isinstance(training, dict):
        powers = [name for name in NUMBERS if POWER_OF_TEN.fullmatch(str(training.get(name)))]
        training.update({name: float(training[name]) for name in powers})
    return content


def _check_is_data(value: Any) -> None:
    """YAML knows more: dates, and keys that are no text."""
    if isinstance(value, dict):
        if odd := [key for key in value if not isinstance(key, str)]:
            raise ValueError(_("the key %s is no text. Put it in quotes.") % odd[0])
        for one in value.values():
            _check_is_data(one)
    elif isinstance(value, list):
        for one in value:
            _check_is_data(one)
    elif not isinstance(value, str | bool | int | float | None):
        raise ValueError(_("%s is read as a date. Put it in quotes.") % value)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(_("%s is no number that a job can have.") % value)


def _can_be_kept(content: Any) -> bool:
    """JSON may carry a NUL or half a surrogate pair; no database takes the one, no encoding the other."""
    written = json.dumps(content, ensure_ascii=False)
    return "\\u0000" not in written.replace("\\\\", "") and written.encode(errors="replace").decode() == written


def _no_constant(name: str) -> float:
    raise ValueError(_("%s is not a valid JSON number.") % name)


def _problems(values: Any, step: str, fields: Mapping[str, Kind]) -> list[tuple[str, str]]:
    if values is None:
        return [(step, _("This section is missing."))]
    if not isinstance(values, dict):
        return [(step, WORDS[OBJECT]())]
    found = [(f"{step}.{name}", _("Unknown field.")) for name in sorted(values.keys() - fields.keys())]
    for name, kind in fields.items():
        if name not in values:
            found.append((f"{step}.{name}", _("This field is missing.")))
        elif not _fits(values[name], kind):
            found.append((f"{step}.{name}", WORDS[kind]()))
        else:
            found += _inner(values[name], f"{step}.{name}", name)
    return found


def _inner(value: Any, place: str, name: str) -> list[tuple[str, str]]:
    if name == "labels":
        return _label_problems(value, place)
    if name in DATASETS and value is not None:
        wrong = _problems(value, place, DATASET_FIELDS)
        if not wrong and not SHA256.fullmatch(value["sha256"]):
            wrong = [(f"{place}.sha256", _("It must be the SHA-256 of the file, 64 characters of 0-9 and a-f."))]
        return wrong
    if name == "endpoint_options" and not is_json_of_options(value):
        return [(place, _("It must hold options of a deployment, such as idle_minutes, with values of their types."))]
    return []


def _label_problems(labels: dict[str, Any], place: str) -> list[tuple[str, str]]:
    if wrong := [key for key, value in labels.items() if not isinstance(value, str)]:
        return [(f"{place}.{wrong[0]}", WORDS[TEXT]())]
    try:
        check_labels(labels)
    except ValueError as error:
        return [(place, str(error))]
    return []


def _fits(value: Any, kind: Kind) -> bool:
    """A bool is an int to Python, not to a reader of the file."""
    return isinstance(value, kind) and (not isinstance(value, bool) or bool in kind)


def _dataset(owner: User, reference: Mapping[str, str]) -> Dataset | None:
    """By its content; of equal files the one with the same name, then the newest."""
    found = list(Dataset.objects.visible_to(owner).filter(sha256=reference["sha256"]))
    return next((one for one in found if one.name == reference["name"]), found[0] if found else None)
