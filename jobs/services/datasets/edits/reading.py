"""Rows of the file of a dataset in the memory of one row, with how far the file was read."""

from collections.abc import Callable, Collection, Iterator
from typing import IO

from jobs.services.datasets.file import Line, Lines

Progress = Callable[[int], None]
ROWS_BETWEEN = 500


def silent(_bytes: int) -> None:
    pass


def rows_of(file: IO[bytes], progress: Progress = silent) -> Iterator[Line]:
    """Without blank lines; each has its line in the file. `progress` is told the bytes that were read."""
    for number, (line, _offset) in enumerate(rows_with_places(file), 1):
        if number % ROWS_BETWEEN == 0:
            progress(file.tell())
        yield line


def rows_with_places(file: IO[bytes]) -> Iterator[tuple[Line, int]]:
    """With the byte at which each row begins."""
    begun = 0
    for line in Lines(file, None):
        if line.data.strip():
            yield line, begun
        begun = file.tell()


def rows_at(file: IO[bytes], wanted: Collection[int]) -> dict[int, bytes]:
    """By their lines."""
    numbers, found = set(wanted), {}
    for line in Lines(file, None) if numbers else ():
        if line.number in numbers:
            found[line.number] = line.data
            if len(found) == len(numbers):
                break
    return found
