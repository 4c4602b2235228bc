"""The `fields` parameter of every call: `endpoints(name,displayName),nextPageToken`, `metadata/createTime`, `*`."""

import re
from typing import Any, NoReturn, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from jobs.localvertex.api.easing import field_named
from jobs.localvertex.api.errors import invalid
from jobs.localvertex.api.wire import Json

Tree: TypeAlias = dict[str, "Tree"]
DEEPEST = 20
_PIECE = re.compile(r"[(),/.]|\*|[\w@-]+")


def keep_fields(body: Json, descriptor: Descriptor, wanted: str) -> Json:
    """Only what `wanted` names of a reply. Raises INVALID_ARGUMENT for a field that the reply never has."""
    tree = _Reader(wanted).whole()
    _check(tree, descriptor, "")
    kept: Json = _keep(body, tree)
    return kept


class _Reader:
    def __init__(self, text: str) -> None:
        self._pieces = _PIECE.findall(text)
        if "".join(self._pieces) != re.sub(r"\s", "", text):
            _refuse(text)
        self._text = text
        self._depth = 0

    def whole(self) -> Tree:
        found = self._list()
        if self._pieces:
            _refuse(self._text)
        return found

    def _list(self) -> Tree:
        self._depth += 1
        if self._depth > DEEPEST:
            _refuse(self._text)
        tree: Tree = {}
        while True:
            self._path(tree)
            if not self._eat(","):
                break
        self._depth -= 1
        return tree

    def _path(self, tree: Tree) -> None:
        name = self._pieces.pop(0) if self._pieces else "("
        if name in "(),/.":
            _refuse(self._text)
        inner = tree.setdefault(name, {})
        if self._eat("/", "."):
            self._path(inner)
        elif self._eat("("):
            inner |= self._list()
            if not self._eat(")"):
                _refuse(self._text)

    def _eat(self, *wanted: str) -> bool:
        if not self._pieces or self._pieces[0] not in wanted:
            return False
        self._pieces.pop(0)
        return True


def _check(tree: Tree, descriptor: Descriptor | None, before: str) -> None:
    """What is below a map or a free structure may be anything."""
    for name, inner in tree.items():
        if name == "*" or descriptor is None:
            continue
        found = field_named(descriptor, name)
        if found is None:
            _refuse(f"{before}{name}")
        if inner and found.type != FieldDescriptor.TYPE_MESSAGE:
            _refuse(f"{before}{name}/{min(inner)}")
        _check(inner, _inside(found), f"{before}{name}.")


def _inside(found: FieldDescriptor) -> Descriptor | None:
    message = found.message_type
    free = message is None or message.GetOptions().map_entry or message.full_name.startswith("google.protobuf.")
    return None if free else message


def _keep(body: Any, tree: Tree) -> Any:
    if not tree:
        return body
    if isinstance(body, list):
        return [_keep(one, tree) for one in body]
    if not isinstance(body, dict):
        return body
    named = {_camel(name): inner for name, inner in tree.items()}
    rest = named.get("*")
    kept = {key: _keep(value, named.get(key, rest or {})) for key, value in body.items() if key in named or "*" in tree}
    return {key: value for key, value in kept.items() if value not in ({}, []) or body[key] in ({}, [])}


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def _refuse(path: str) -> NoReturn:
    raise invalid(f"Error expanding 'fields' parameter. Cannot find matching fields for path '{path}'.", path)
