"""The four levels of a tensorboard, from the board down to a time series, and what each takes from a request."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.cloud.aiplatform_v1beta1 import types
from google.cloud.aiplatform_v1beta1.types import (
    Tensorboard,
    TensorboardExperiment,
    TensorboardRun,
    TensorboardTimeSeries,
)

from jobs.localvertex.api.errors import invalid
from jobs.localvertex.resources.edits import check_display_name, check_labels, refuse_encryption

MAX_PLUGIN_BYTES = 65_000
_ID = re.compile(r"^[a-z0-9-]{1,128}$")
_SERIES_ID = re.compile(r"^[a-z0-9][a-z0-9-]{0,127}$")


@dataclass(frozen=True)
class Level:
    """`changes`: what a patch may change; `once`: what only a create may say. A display name that is `unique` is so
    among the children of one parent."""

    message: Any
    word: str
    collection: str
    changes: tuple[str, ...]
    once: tuple[str, ...] = ()
    unique: bool = False
    needs_name: bool = True

    @property
    def plural(self) -> str:
        return self.word if self.word.endswith("series") else f"{self.word}s"

    @property
    def id_field(self) -> str:
        return f"{self.word}_id"

    def request(self, verb: str) -> Any:
        return getattr(types, f"{verb}{_camel(self.plural if verb == 'List' else self.word)}Request")

    def reply(self, verb: str) -> Any:
        return getattr(types, f"{verb}{_camel(self.plural)}Response")


COMMON = ("display_name", "description", "labels")
BOARD = Level(Tensorboard, "tensorboard", "tensorboards", (*COMMON, "is_default"))
EXPERIMENT = Level(
    TensorboardExperiment, "tensorboard_experiment", "experiments", COMMON, once=("source",), needs_name=False
)
RUN = Level(TensorboardRun, "tensorboard_run", "runs", COMMON, unique=True)
SERIES = Level(
    TensorboardTimeSeries,
    "tensorboard_time_series",
    "timeSeries",
    ("display_name", "description", "plugin_name", "plugin_data"),
    once=("value_type",),
    unique=True,
)
BELOW: dict[str, Level] = {BOARD.word: EXPERIMENT, EXPERIMENT.word: RUN, RUN.word: SERIES}
OF_COLLECTION = {level.collection: level for level in (BOARD, EXPERIMENT, RUN, SERIES)}


def level_of(name: str) -> Level:
    return OF_COLLECTION[name.split("/")[-2]]


def check(level: Level, given: Any, changed: tuple[str, ...]) -> None:
    """Raises INVALID_ARGUMENT for what cannot be kept. `changed`: the fields that count."""
    if "display_name" in changed:
        check_display_name(given.display_name, f"{level.word}.display_name", required=level.needs_name)
    if "labels" in changed:
        check_labels(dict(given.labels), f"{level.word}.labels")
    if level is BOARD:
        refuse_encryption(given, f"{level.word}.encryption_spec")
    if "value_type" in changed and not given.value_type:
        raise invalid("The value_type field is required.", f"{level.word}.value_type")
    if "plugin_data" in changed and len(given.plugin_data) > MAX_PLUGIN_BYTES:
        raise invalid(f"plugin_data must have at most {MAX_PLUGIN_BYTES} bytes.", f"{level.word}.plugin_data")


def check_id(level: Level, identifier: str, make_id: Callable[[], str]) -> str:
    """The id of a new resource: the chosen one, or one of ours where none has to be chosen."""
    if level is BOARD or (level is SERIES and not identifier):
        return make_id()
    if not identifier:
        raise invalid(f"The {level.id_field} field is required.", level.id_field)
    if not (_SERIES_ID if level is SERIES else _ID).match(identifier):
        message = f"{level.id_field} must have at most 128 characters of [a-z0-9-]"
        raise invalid(f"{message}{' and not start with -' if level is SERIES else ''}.", level.id_field)
    return identifier


def _camel(word: str) -> str:
    return "".join(part.capitalize() for part in word.split("_"))
