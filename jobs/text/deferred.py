"""Sentences that are kept, and read in the language of whoever reads them.

What a worker writes into a row is read by a person in another language. So `gettext` here gives a text that remembers
what it was made of; `kept` is the form of it for the database, and `told` makes the text again in the language that is
active then. A text from elsewhere, such as an error of Vertex AI, stays as it is, also one that looks like a kept
sentence: whoever answers must not choose what is filled in where.
"""

import json
from collections.abc import Mapping
from typing import Any, Self

from django.utils import translation
from django.utils.functional import Promise

MARK = '{"sentence":'


class Sentence(str):
    """A text in the active language. `source` is its English, with places for `values`."""

    __slots__ = ("number", "plural", "source", "values")

    source: str
    plural: str
    number: int
    values: Any

    def __new__(cls, source: str, values: Any = None, plural: str = "", number: int = 0) -> Self:
        made = super().__new__(cls, _filled(source, values, plural, number))
        made.source, made.values, made.plural, made.number = source, values, plural, number
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.source, self.values, self.plural, self.number

    def __str__(self) -> str:
        """Itself, so that `str(error)` of an error with such a text keeps the parts."""
        return self

    def __mod__(self, values: Any) -> "Sentence":
        return Sentence(self.source, _plain(values), self.plural, self.number)


def gettext(text: str) -> str:
    return Sentence(text)


def ngettext(one: str, many: str, count: int) -> str:
    return Sentence(one, None, many, count)


def joined(*parts: str) -> str:
    return Sentence(" ".join(["%s"] * len(parts))) % parts


def kept(value: Any) -> Any:
    """For the database: every sentence in it, however deep in lists and dicts, as a text that `told` understands."""
    if isinstance(value, Sentence):
        parts = {"sentence": value.source, "values": value.values, "plural": value.plural, "number": value.number}
        return json.dumps({name: kept(part) for name, part in parts.items() if part}, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(MARK):
        return json.dumps({"sentence": "", "as_it_is": value}, ensure_ascii=False)
    if isinstance(value, Mapping):
        return {name: kept(part) for name, part in value.items()}
    return [kept(part) for part in value] if isinstance(value, list | tuple) else value


def told(value: Any) -> Any:
    """What `kept` was given, its sentences in the active language."""
    if isinstance(value, str):
        return _read(value) if value.startswith(MARK) else value
    if isinstance(value, Mapping):
        return {name: told(part) for name, part in value.items()}
    return [told(part) for part in value] if isinstance(value, list) else value


def _read(text: str) -> str:
    try:
        parts = json.loads(text)
        if "as_it_is" in parts:
            return str(parts["as_it_is"])
        values = told(parts.get("values"))
        values = tuple(values) if isinstance(values, list) else values
        return Sentence(parts["sentence"], values, parts.get("plural", ""), parts.get("number", 0))
    except (ValueError, TypeError, LookupError):
        return text


def _filled(source: str, values: Any, plural: str, number: int) -> str:
    text = translation.ngettext(source, plural, number) if plural else translation.gettext(source) if source else ""
    return text if values is None else text % values


def _plain(values: Any) -> Any:
    """As JSON can hold them: labels and errors become texts; those of this module stay what they are."""
    if isinstance(values, Mapping):
        return {name: _plain(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return tuple(_plain(value) for value in values)
    if isinstance(values, Promise):
        with translation.override(None):
            source = str(values)
        return Sentence(source)
    return values if isinstance(values, str | int | float) else str(values)
