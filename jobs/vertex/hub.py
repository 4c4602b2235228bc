"""What is asked for and answered of models that the local Vertex AI imports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ImportSpec:
    """`source`: a repository of Hugging Face, or a path of the machine of the local Vertex AI. `file`: which of several
    GGUF files."""

    source: str
    revision: str = ""
    file: str = ""
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class RemoteImport:
    """`state`: RUNNING, INTERRUPTED (it may be started again), PAUSED or FAILED (with a `message`), or DONE (with a
    `model`). `stage`: fetching, checking or converting."""

    state: str
    stage: str = ""
    message: str = ""
    done: int = 0
    total: int = 0
    model: str = ""


Facts = Mapping[str, Any]
