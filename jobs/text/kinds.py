"""The kinds of sentences that rows may hold, and the English of each: `kinds.toml`.

A row has the kind and never the English, so a sentence can be corrected and rows from before say it in the new words.
`python -m tests.support.kinds` brings the file along with the code.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("kinds.toml")


@dataclass(frozen=True)
class Wording:
    """`text` is what gettext looks up. `earlier` are its texts from before a correction. A retired kind is said by no
    code any more, but rows may still have it."""

    text: str
    plural: str = ""
    earlier: tuple[str, ...] = ()
    retired: bool = False


class Registry:
    def __init__(self, wordings: Mapping[str, Wording]) -> None:
        self.wordings = wordings
        self._kinds: dict[tuple[str, bool], str] = {}
        # Where two kinds have had the same text, the one that the code says today comes first.
        for kind, wording in sorted(wordings.items(), key=lambda item: item[1].retired):
            self._kinds.setdefault((wording.text, bool(wording.plural)), kind)
        for kind, wording in wordings.items():
            for text in wording.earlier:
                self._kinds.setdefault((text, bool(wording.plural)), kind)

    def find_kind(self, text: str, plural: str = "") -> str | None:
        """By the English of today, or by that of before a correction."""
        return self._kinds.get((text, bool(plural)))


@cache
def load_registry() -> Registry:
    return Registry(read(FILE.read_text(encoding="utf-8")))


def read(toml: str) -> dict[str, Wording]:
    domains = tomllib.loads(toml).items()
    return {f"{domain}.{name}": _read_entry(entry) for domain, entries in domains for name, entry in entries.items()}


def _read_entry(entry: str | dict[str, Any]) -> Wording:
    if isinstance(entry, str):
        return Wording(entry)
    return Wording(**{**entry, "earlier": tuple(entry.get("earlier", ()))})
