"""JSON as Google's front end reads it, more leniently than the standard: commas before a closing bracket, texts in
single quotes, names without any, characters that should have been escaped."""

import json
import re
from collections.abc import Iterator
from typing import NoReturn

_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\]|\\.?)*+(?:"|\Z)|'(?:[^'\\]|\\.?)*+(?:'|\Z))"""
    r"""|(?P<name>[A-Za-z_$][\w$]*(?=\s*:))|(?P<comma>,(?=\s*[}\]]))|[^"',A-Za-z_$]+|[\w$]+|.""",
    re.DOTALL,
)
_SPECIAL = re.compile(r'\\(.)|"', re.DOTALL)
_ESCAPES = 'bfnrtu"\\/'
_LONGEST = 256 * 1024
_EMPTY = ("{", "[", ",", ":", "")


def read_json(content: bytes) -> object:
    """The standard's reader comes first: it is the fast one, and what it takes is taken."""
    try:
        return read_strict(content)
    except ValueError:
        if len(content) > _LONGEST:
            raise
        return read_strict("".join(_standard(content.decode())))


def read_strict(content: bytes | str) -> object:
    found: object = json.loads(content, strict=isinstance(content, bytes), parse_constant=_refuse)
    return found


def _standard(text: str) -> Iterator[str]:
    """The same in standard JSON, as far as Google allows it; the rest is left for the reader to refuse."""
    before = ""
    for token in _TOKEN.finditer(text):
        piece = token[0]
        if token["text"]:
            if len(piece) < 2 or piece[-1] != piece[0]:
                raise ValueError("Unexpected end of string.")
            piece = f'"{_SPECIAL.sub(_escape, piece[1:-1])}"'
        elif token["name"] and piece not in ("true", "false", "null"):
            piece = f'"{piece}"'
        elif token["comma"] and before not in _EMPTY:
            piece = ""
        before = piece.rstrip()[-1:] or before
        yield piece


def _escape(found: re.Match[str]) -> str:
    if found[0] == '"':
        return '\\"'
    return found[0] if found[1] in _ESCAPES else found[1]


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value.")
