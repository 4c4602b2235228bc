"""Google's filter expressions: terms with AND, OR, NOT, `-` and brackets. What a term means, the list says."""

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from jobs.localvertex.api.errors import ApiError, invalid

Test: TypeAlias = Callable[[Any], bool]
Compare: TypeAlias = Callable[[str, str, str], Test]

CALL = "()"
DEEPEST = 20
_COMPARISON = re.compile(
    r'(?P<path>[A-Za-z_]\w*(?:\.(?:[\w-]+|"[^"]*"))*)\s*(?P<op>=~|!=|>=|<=|=|:|<|>)\s*'
    r'(?P<value>"(?:[^"\\]|\\.)*"|[^\s()"]+)'
)
_CALL = re.compile(r"(?P<path>[a-z_]+)\(\s*(?P<value>\w*)\s*\)")


def parse_expression(text: str, compare: Compare) -> Test:
    """`compare(path, operator, value)` gives a term's test, or raises INVALID_ARGUMENT; the operator of
    `can_deploy(true)` is `CALL`. OR binds closer than AND, as in all of Google's filters."""
    return _Reader(text, compare).whole()


class _Reader:
    def __init__(self, text: str, compare: Compare) -> None:
        self._text = text.strip()
        self._compare = compare
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        found = self._all()
        if self._at < len(self._text):
            raise self._nonsense()
        return found

    def _all(self) -> Test:
        tests = [self._any()]
        while self._eat(r"AND\b"):
            tests.append(self._any())
        return lambda item: all(test(item) for test in tests)

    def _any(self) -> Test:
        tests = [self._term()]
        while self._eat(r"OR\b"):
            tests.append(self._term())
        return lambda item: any(test(item) for test in tests)

    def _term(self) -> Test:
        self._depth += 1
        if self._depth > DEEPEST:
            raise invalid(f"Invalid filter expression: more than {DEEPEST} levels.", "filter")
        found = self._one()
        self._depth -= 1
        return found

    def _one(self) -> Test:
        if self._eat(r"NOT\b|-"):
            test = self._term()
            return lambda item: not test(item)
        if self._eat(r"\("):
            inner = self._all()
            if not self._eat(r"\)"):
                raise self._nonsense()
            return inner
        if call := self._match(_CALL):
            return self._compare(call["path"], CALL, call["value"])
        if term := self._match(_COMPARISON):
            return self._compare(term["path"], term["op"], _plain(term["value"]))
        raise self._nonsense()

    def _eat(self, pattern: str) -> bool:
        return self._match(re.compile(pattern)) is not None

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
            while self._text[self._at : self._at + 1].isspace():
                self._at += 1
        return found

    def _nonsense(self) -> ApiError:
        return invalid(f"Invalid filter expression: {self._text[self._at :] or self._text!r}.", "filter")


def segments(path: str) -> list[str]:
    """`labels."a key"` has two."""
    return [part.strip('"') for part in re.findall(r'"[^"]*"|[^."]+', path)]


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
