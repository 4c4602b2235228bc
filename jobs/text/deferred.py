"""Sentences that are stored as a kind and its facts, and read in the language of whoever reads them.

What a worker writes into a row is read by a person in another language. So `gettext` here gives a text that remembers
what it was made of; `serialize` is the form of it for the database, and `render` makes the text again in the language
that is active then. A text from elsewhere, such as an error of Vertex AI, stays as it is, also one that looks like a
stored sentence: whoever answers must not choose what is filled in where.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Self

from django.utils import translation
from django.utils.functional import Promise

from . import kinds, old_form

logger = logging.getLogger(__name__)

MARK = '{"kind":'
MARKS = (MARK, old_form.MARK)


class Sentence(str):
    """A text in the active language. `source` is its English, with places for `values`."""

    __slots__ = ("number", "plural", "source", "values")

    source: str
    plural: str
    number: int
    values: Any

    def __new__(cls, source: str, values: Any = None, plural: str = "", number: int = 0) -> Self:
        made = super().__new__(cls, _fill(source, values, plural, number))
        made.source, made.values, made.plural, made.number = source, values, plural, number
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.source, self.values, self.plural, self.number

    def __str__(self) -> str:
        """Itself, so that `str(error)` of an error with such a text keeps the parts."""
        return self

    def __mod__(self, values: Any) -> "Sentence":
        return Sentence(self.source, _make_plain(values), self.plural, self.number)


def gettext(text: str) -> str:
    return Sentence(text)


def ngettext(one: str, many: str, count: int) -> str:
    return Sentence(one, None, many, count)


def join(first: str, second: str) -> str:
    return Sentence("%s %s") % (first, second)


def serialize(value: Any) -> Any:
    """For the database: every sentence in it, however deep in lists and dicts, as a text that `render` understands."""
    if isinstance(value, Sentence):
        return _serialize_sentence(value)
    if isinstance(value, str):
        return _dump({"kind": "", "as_it_is": value}) if value.startswith(MARKS) else value
    if isinstance(value, Mapping):
        return {name: serialize(part) for name, part in value.items()}
    return [serialize(part) for part in value] if isinstance(value, list | tuple) else value


def _serialize_sentence(sentence: Sentence) -> Any:
    """A sentence without a kind stays the text that its writer read: it can be shown, though in that language only."""
    kind = kinds.load_registry().find_kind(sentence.source, sentence.plural)
    if kind is None:
        logger.warning("This sentence has no kind, so it is stored in one language: %s", sentence.source)
        return serialize(str.__str__(sentence))
    stored = {"kind": kind}
    if sentence.values is not None:
        stored["values"] = serialize(sentence.values)
    return _dump(stored | {"number": sentence.number} if sentence.plural else stored)


def _dump(stored: Mapping[str, Any]) -> str:
    return json.dumps(stored, ensure_ascii=False)


def render(value: Any) -> Any:
    """What `serialize` was given, its sentences in the active language and in the words of today."""
    if isinstance(value, str):
        return _render_text(value) if value.startswith(MARKS) else value
    if isinstance(value, Mapping):
        return {name: render(part) for name, part in value.items()}
    return [render(part) for part in value] if isinstance(value, list) else value


def _render_text(text: str) -> str:
    try:
        stored = json.loads(old_form.upgrade(text, kinds.load_registry()))
        if "as_it_is" in stored:
            return str(stored["as_it_is"])
        values = render(stored.get("values"))
        values = tuple(values) if isinstance(values, list) else values
        source, plural = _find_words(stored)
        return Sentence(source, values, plural, stored.get("number", 0))
    except (ValueError, TypeError, LookupError, RecursionError):
        return text


def _find_words(stored: Mapping[str, Any]) -> tuple[str, str]:
    if old_form.KEY in stored:
        return stored[old_form.KEY], stored.get("plural", "")
    wording = kinds.load_registry().wordings[stored["kind"]]
    return wording.text, wording.plural


def _fill(source: str, values: Any, plural: str, number: int) -> str:
    text = translation.ngettext(source, plural, number) if plural else translation.gettext(source) if source else ""
    return text if values is None else text % values


def _make_plain(values: Any) -> Any:
    """As JSON can hold them: labels and errors become texts; those of this module stay what they are."""
    if isinstance(values, Mapping):
        return {name: _make_plain(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return tuple(_make_plain(value) for value in values)
    if isinstance(values, Promise):
        with translation.override(None):
            source = str(values)
        return Sentence(source)
    return values if isinstance(values, str | int | float) else str(values)
