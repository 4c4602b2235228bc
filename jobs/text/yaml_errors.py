"""What PyYAML finds wrong with a text, in sentences of ours: its own are English, and speak of scanners and nodes."""

import re
from typing import NamedTuple

import yaml

from .deferred import gettext as _

UNREADABLE_VALUE = "found a value that is none of its kind"
UNKNOWN_ESCAPE = "found unknown escape"


class Explanation(NamedTuple):
    """Of the errors whose context and problem `pattern` fits. `from_start`: the place to look at is where PyYAML began
    to read something, and not where that broke off."""

    pattern: str
    sentence: str
    from_start: bool = False


def list_explanations() -> tuple[Explanation, ...]:
    """The first that fits an error is its own."""
    return (
        Explanation(
            r"scanning a quoted scalar|scalar.*(end of stream|document separator)",
            _("the quotation mark that begins here is not closed."),
            from_start=True,
        ),
        Explanation(
            r"unknown escape|escape sequence",
            _("this escape sequence is unknown. Write two backslashes for one, or use single quotation marks."),
        ),
        Explanation(r"flow sequence.*expected|flow mapping.*expected", _("a comma or the closing bracket is missing.")),
        Explanation(r"'\\t' that cannot start", _("a tab can't indent a line. Use spaces.")),
        Explanation(r"cannot start any token", _("a value can't begin with this character. Put the value in quotes.")),
        Explanation(
            r"mapping values are not allowed",
            _("a colon isn't allowed here. Check the indentation, or put text that contains a colon in quotes."),
        ),
        Explanation(r"could not find expected ':'", _("the colon after a key is missing."), from_start=True),
        Explanation(
            r"not allowed here|expected <block end>, but found '(\?|-|<)",
            _("this line doesn't fit into the block. Indent the entries of one block equally."),
        ),
        Explanation(r"expected <block end>|expected the node content", _("a value is missing, or a bracket is extra.")),
        Explanation(r"expected '<document start>'", _("there is text after the end of the value.")),
        Explanation(r"unhashable key", _("a key can't be a list or an object. Write text.")),
        Explanation(r"for merging", _("merge keys are not read. Write the values themselves.")),
        Explanation(
            rf"{UNREADABLE_VALUE}|determine a constructor",
            _("this looks like a date or a number, but isn't one. Put it in quotes."),
        ),
        Explanation(r"block scalar", _("after | or >, the text begins on a new line.")),
        Explanation(r"anchor|alias", _("anchors and references are not read. Write the value itself.")),
        Explanation(r"\btag\b", _("tags are not read. Write the value alone.")),
        Explanation(
            r"directive|incompatible YAML",
            _("lines that begin with a percent sign are not read. Remove this line."),
        ),
    )


def at(line: int, column: int, problem: str) -> str:
    """Both counted from 0, as PyYAML does."""
    words = {"line": line + 1, "column": column + 1, "problem": problem}
    return _("line %(line)d, column %(column)d: %(problem)s") % words


def describe(error: yaml.YAMLError, text: str) -> str:
    """`text`: what was read."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        return at(before.count("\n"), error.position - before.rfind("\n") - 1, _("this character isn't allowed."))
    if not isinstance(error, yaml.MarkedYAMLError):
        return _rest()
    said = f"{error.context or ''} {error.problem or ''}"
    found = next((one for one in list_explanations() if re.search(one.pattern, said)), None)
    marks = (error.context_mark, error.problem_mark)
    mark = next((one for one in (marks if found and found.from_start else marks[::-1]) if one), None)
    sentence = found.sentence if found else _rest()
    return at(mark.line, mark.column, sentence) if mark else sentence


def _rest() -> str:
    return _("this can't be read. Check the quotes, the brackets, and the indentation.")
