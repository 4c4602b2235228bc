"""YAML from a stranger, as far as it says no more than JSON could: values, lists and objects, each written where it is.

References are refused, since a few lines of them stand for more than any memory holds; so are tags, which name types.
"""

from typing import Any

import yaml

from .deferred import gettext as _
from .yaml_errors import UNKNOWN_ESCAPE, UNREADABLE_VALUE, at, describe

DEEPEST = 20


class _Loader(yaml.SafeLoader):
    """Says where it is that a date, a number, or a character of a number does not exist."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError:
            raise yaml.constructor.ConstructorError(None, None, UNREADABLE_VALUE, node.start_mark) from None

    def scan_flow_scalar_non_spaces(self, double: bool, start_mark: yaml.Mark) -> Any:
        try:
            return super().scan_flow_scalar_non_spaces(double, start_mark)
        except ValueError:
            mark = self.get_mark()
            raise yaml.scanner.ScannerError(None, None, UNKNOWN_ESCAPE, mark) from None


def read_yaml(text: str) -> object:
    """Raises ValueError with a sentence. The caller limits the length of the text."""
    try:
        _check_events(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - as safe as the one it extends
    except yaml.YAMLError as error:
        raise ValueError(describe(error, text)) from None


def _check_events(text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if problem := _find_problem(event, depth, documents):
            mark = event.start_mark
            raise ValueError(at(mark.line, mark.column, problem) if mark else problem)


def _find_problem(event: yaml.Event, depth: int, documents: int) -> str:
    if getattr(event, "anchor", None):
        return _("anchors and references are not read. Write the value itself.")
    if getattr(event, "tag", None):
        return _("tags are not read. Write the value alone.")
    if depth > DEEPEST:
        return _("it is nested too deeply.")
    return _("there is a second document. Write one.") if documents > 1 else ""
