"""Puts new files into the place of old ones, by renames that are undone when one of them fails.

A process that is killed between two of them leaves the old files in a folder whose name ends with `-unfinished`. The
next exchange adds what is left of them, so that they are whole there; nothing is ever overwritten.
"""

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import Final

ASIDE: Final = "before-restore-"
UNFINISHED: Final = "-unfinished"
# Whoever finds no key makes one: without it for as short as can be.
KEY: Final = "secret-key"


class Exchange:
    """`last` has the names whose new files come last: while they are missing, there is no console here."""

    def __init__(self, folder: Path, stays: Callable[[str], bool], last: Collection[str], now: datetime) -> None:
        self._folder, self._stays, self._last = folder, stays, last
        before = next(iter(sorted(folder.glob(f"{ASIDE}*{UNFINISHED}"))), None)
        name = f"{ASIDE}{now:%Y%m%d-%H%M%S}"
        self._aside = before or find_free_name(folder / f"{name}{UNFINISHED}")
        # What took the place of something that was put aside before is newer: it does not mix with the old.
        self._half = find_free_name(folder / f"{name}-half")
        self._made: list[tuple[Path, Path]] = []

    def run(self, staged: Path) -> None:
        old = [one for one in self._folder.iterdir() if not self._stays(one.name)]
        for one in sorted(old, key=lambda one: (one.name == KEY, one.name in self._last, one.name)):
            self._rename(one, self._place_aside(one.name))
        for one in sorted(staged.iterdir(), key=lambda one: (one.name in self._last, one.name != KEY, one.name)):
            self._rename(one, self._folder / one.name)

    def undo(self) -> None:
        """All is where it was. Raises OSError when the disk does not even rename."""
        for old, new in reversed(self._made):
            if os.path.lexists(new) and not os.path.lexists(old):
                new.rename(old)
        self._made.clear()
        for folder in (self._aside, self._half):
            with suppress(OSError):
                folder.rmdir()

    def finish(self) -> Path | None:
        """Where the old files lie from now on, if there were any."""
        if not self._aside.is_dir():
            return None
        return self._aside.rename(find_free_name(self._aside.with_name(self._aside.name.removesuffix(UNFINISHED))))

    def _place_aside(self, name: str) -> Path:
        is_taken = os.path.lexists(self._aside / name)
        place = (self._half if is_taken else self._aside) / name
        place.parent.mkdir(mode=0o700, exist_ok=True)
        return place

    def _rename(self, old: Path, new: Path) -> None:
        self._made.append((old, new))
        old.rename(new)


def find_free_name(path: Path) -> Path:
    names = chain([path], (path.with_name(f"{path.name}-{number}") for number in count(2)))
    return next(one for one in names if not os.path.lexists(one))
