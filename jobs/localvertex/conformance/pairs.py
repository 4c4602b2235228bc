"""The recorded pairs: JSON files in `pairs/`, in the order in which they are sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

FOLDER = Path(__file__).parent / "pairs"
FILES = (
    "garden",
    "endpoints",
    "models",
    "tuning",
    "boards",
    "cancelling",
    "metadata",
    "own_boards",
    "pools",
    "batches",
    "evaluating",
    "never_here",
    "jobs",
    "deploying",
    "operations",
    "errors",
)
DOCUMENTED, INFERRED = "documented", "inferred"


@dataclass(frozen=True)
class Step:
    """`raw` is a body as the documentation has it, with what is no standard JSON in it. `saves`: name of a value →
    where it is in the answer, such as `deployedModels.0.id`, and after | a pattern whose group is the value."""

    method: str
    path: str
    body: Any = None
    raw: str = ""
    saves: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """`known`: path of an answer, `code` for the whole → what the local server is known to do otherwise. `until`: it is
    asked again until the answer has this shape. `needs`: what a project of Google's must have, in words. `note`: why
    the answer is inferred, or what of it. `cleanup` is sent in reverse, at the end."""

    id: str
    call: str
    source: str
    request: Step
    answer: Any
    code: int = 200
    basis: str = DOCUMENTED
    note: str = ""
    paid: bool = False
    needs: str = ""
    until: Any = None
    streamed: bool = False
    known: Mapping[str, str] = field(default_factory=dict)
    cleanup: tuple[Step, ...] = ()


def read_pairs() -> list[Pair]:
    return [_pair(one) for name in FILES for one in json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))]


def known_differences(pairs: list[Pair]) -> dict[str, list[str]]:
    """By call, each once."""
    found: dict[str, list[str]] = {}
    for pair in pairs:
        for text in pair.known.values():
            if text not in found.setdefault(pair.call, []):
                found[pair.call].append(text)
    return {call: texts for call, texts in found.items() if texts}


def fill(content: Any, values: Mapping[str, str]) -> Any:
    """With `${name}` replaced everywhere. Raises KeyError with the name of a value that is not there."""
    if isinstance(content, str):
        return Template(content).substitute(values) if "$" in content else content
    if isinstance(content, list):
        return [fill(one, values) for one in content]
    if isinstance(content, dict):
        return {fill(key, values): fill(one, values) for key, one in content.items()}
    return content


def _pair(written: dict[str, Any]) -> Pair:
    given = dict(written)
    request = Step(**given.pop("request"), saves=given.pop("saves", {}))
    cleanup = tuple(Step(**one) for one in given.pop("cleanup", []))
    return Pair(request=request, cleanup=cleanup, **given)
