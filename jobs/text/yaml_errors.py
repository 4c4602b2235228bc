"""What PyYAML finds wrong with a text, in sentences of ours: its own are English, and speak of scanners and nodes."""

import re
from collections.abc import Callable
from typing import NamedTuple

import yaml

from .deferred import gettext as _

UNREADABLE_VALUE = "found a value that is none of its kind"
UNKNOWN_ESCAPE = "found unknown escape"
Words = Callable[[], str]


class Class(NamedTuple):
    """Of errors. `from_start`: the place to look at is where what was being read begins, and not where it broke off."""

    pattern: re.Pattern[str]
    words: Words
    from_start: bool = False


def _of(pattern: str, words: Words, *, from_start: bool = False) -> Class:
    return Class(re.compile(pattern), words, from_start)


# The first that fits the context and the problem of the error.
CLASSES = (
    _of(
        r"scanning a quoted scalar|scalar.*(end of stream|document separator)",
        lambda: _("the quotation mark that begins here is not closed."),
        from_start=True,
    ),
    _of(
        r"unknown escape|escape sequence",
        lambda: _("this escape sequence is unknown. Write two backslashes for one, or use single quotation marks."),
    ),
    _of(
        r"flow sequence.*expected|flow mapping.*expected",
        lambda: _("a comma or the closing bracket is missing."),
    ),
    _of(r"'\\t' that cannot start", lambda: _("a tab can't indent a line. Use spaces.")),
    _of(
        r"cannot start any token",
        lambda: _("a value can't begin with this character. Put the value in quotes."),
    ),
    _of(
        r"mapping values are not allowed",
        lambda: _("a colon isn't allowed here. Check the indentation, or put text that contains a colon in quotes."),
    ),
    _of(
        r"could not find expected ':'",
        lambda: _("the colon after a key is missing."),
        from_start=True,
    ),
    _of(
        r"not allowed here|expected <block end>, but found '(\?|-|<)",
        lambda: _("this line doesn't fit into the block. Indent the entries of one block equally."),
    ),
    _of(r"expected <block end>|expected the node content", lambda: _("a value is missing, or a bracket is extra.")),
    _of(r"expected '<document start>'", lambda: _("there is text after the end of the value.")),
    _of(r"unhashable key", lambda: _("a key can't be a list or an object. Write text.")),
    _of(r"for merging", lambda: _("merge keys are not read. Write the values themselves.")),
    _of(
        rf"{UNREADABLE_VALUE}|determine a constructor",
        lambda: _("this looks like a date or a number, but isn't one. Put it in quotes."),
    ),
    _of(r"block scalar", lambda: _("after | or >, the text begins on a new line.")),
    _of(r"anchor|alias", lambda: _("anchors and references are not read. Write the value itself.")),
    _of(r"\btag\b", lambda: _("tags are not read. Write the value alone.")),
    _of(
        r"directive|incompatible YAML",
        lambda: _("lines that begin with a percent sign are not read. Remove this line."),
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
    found = next((one for one in CLASSES if one.pattern.search(said)), None)
    marks = (error.context_mark, error.problem_mark)
    mark = next((one for one in (marks if found and found.from_start else marks[::-1]) if one), None)
    sentence = found.words() if found else _rest()
    return at(mark.line, mark.column, sentence) if mark else sentence


def _rest() -> str:
    return _("this can't be read. Check the quotes, the brackets, and the indentation.")
