"""A tuning job as a file that can be loaded again: every answer of the five steps, and its datasets by name and sum.

Accepted terms are not among them: each person accepts them anew.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User

from jobs.models import Dataset, TuningJob
from jobs.models.fields.labels import check_labels
from jobs.text.deferred import gettext as _

from .spec import TuningSpec
from .steps import dataset_uri

FORMAT, VERSION = "garden-console/tuning-job", 1
SHA256 = re.compile(r"[0-9a-f]{64}")

Kind = tuple[type, ...]
TEXT, TRUTH, WHOLE, OPTIONAL_WHOLE, OBJECT = (str,), (bool,), (int,), (int, type(None)), (dict,)
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
    },
    "deployment": {
        "auto_deploy": TRUTH,
        "endpoint_display_name": TEXT,
        "machine_type": TEXT,
        "endpoint_lease_hours": OPTIONAL_WHOLE,
        "endpoint_min_replicas": WHOLE,
        "endpoint_max_replicas": WHOLE,
    },
}
# Of fields that older files do not have.
AT_FIRST: Mapping[str, Mapping[str, Any]] = {"deployment": {"endpoint_min_replicas": 1, "endpoint_max_replicas": 1}}
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
    steps["name"]["labels"] = dict(job.labels)
    return {"format": FORMAT, "version": VERSION, **steps}


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
    return Loaded(answers, missing)


def _content(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text.removeprefix("\ufeff"), parse_constant=_no_constant)
        if not _can_be_kept(content):
            raise ValueError(_("it contains invalid characters."))
    except (ValueError, RecursionError) as error:
        raise FileRejected([("", _("The file is not JSON: %s") % error)]) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        message = _("The file is not a tuning job of this console: its format must be %s.") % FORMAT
        raise FileRejected([("format", message)])
    if content.get("version") != VERSION or isinstance(content["version"], bool):
        message = _("This console reads version %d of the format. Export the job again.") % VERSION
        raise FileRejected([("version", message)])
    return content


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
