"""Whether an answer has a shape: the fields that must be there, their types, documented constants and forms of names.

Objects may have more fields than the shape; each element of a list must have the shape's one form. Texts that begin
with @ stand for a kind of value, others for themselves:

    @string @bool @number @int64 @time @any     a value of that kind; @int64 is a number in quotes
    @absent                                     the field must not be there
    @one:A|B                                    one of these texts
    @match:PATTERN                              a regular expression for the whole text
    @name:endpoints/*                           projects/…/locations/… and then this, * for any part
    {"@message": "Endpoint", …}                 also readable as this message of Google's
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from google.protobuf import json_format

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6}|\.\d{9})?Z")
_KINDS: dict[str, Callable[[Any], bool]] = {
    "@any": lambda value: True,
    "@string": lambda value: isinstance(value, str) and value != "",
    "@bool": lambda value: isinstance(value, bool),
    "@number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "@int64": lambda value: isinstance(value, str) and re.fullmatch(r"-?\d+", value) is not None,
    "@time": lambda value: isinstance(value, str) and _TIME.fullmatch(value) is not None,
}
_MESSAGE = "@message"


@dataclass(frozen=True)
class Problem:
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path or 'answer'}: {self.text}"


def find_problems(shape: Any, value: Any, version: str = "v1beta1", path: str = "") -> Iterator[Problem]:
    if isinstance(shape, dict):
        yield from _of_object(shape, value, version, path)
    elif isinstance(shape, list):
        yield from _of_list(shape, value, version, path)
    elif not _fits(shape, value):
        yield Problem(path, f"is {_short(value)}, not {shape!r}")


def _of_object(shape: dict[str, Any], value: Any, version: str, path: str) -> Iterator[Problem]:
    if not isinstance(value, dict):
        yield Problem(path, f"is {_short(value)}, not an object")
        return
    for key, inner in shape.items():
        name = key.removesuffix("?")
        where = f"{path}.{name}" if path else name
        if key == _MESSAGE:
            yield from _of_message(inner, value, version, path)
        elif inner == "@absent":
            if name in value:
                yield Problem(where, f"is there, as {_short(value[name])}")
        elif name in value:
            yield from find_problems(inner, value[name], version, where)
        elif not key.endswith("?"):
            yield Problem(where, "is not there")


def _of_list(shape: list[Any], value: Any, version: str, path: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem(path, f"is {_short(value)}, not a list")
    elif not value:
        yield Problem(path, "is empty")
    else:
        for number, one in enumerate(value):
            yield from find_problems(shape[0], one, version, f"{path}[{number}]")


def _of_message(name: str, value: dict[str, Any], version: str, path: str) -> Iterator[Problem]:
    """Fields that are newer than the installed package are passed over."""
    kind = getattr(import_module(f"google.cloud.aiplatform_{version}.types"), name)
    try:
        json_format.ParseDict(value, kind.pb()(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        yield Problem(path, f"is no {name}: {error}")


def _fits(shape: Any, value: Any) -> bool:
    if not isinstance(shape, str) or not shape.startswith("@"):
        return bool(shape == value and isinstance(value, bool) == isinstance(shape, bool))
    if shape in _KINDS:
        return _KINDS[shape](value)
    kind, _, rest = shape.partition(":")
    if kind == "@one":
        return value in rest.split("|")
    if kind == "@name":
        rest = rf"projects/[^/]+/locations/[^/]+/{re.escape(rest).replace(chr(92) + '*', '[^/:]+')}"
    elif kind != "@match":
        raise ValueError(f"{shape} is no kind of value.")
    return isinstance(value, str) and re.fullmatch(rest, value, re.DOTALL) is not None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
