"""The files of a batch: fetched once, and read line by line."""

import fnmatch
from collections.abc import Iterable, Iterator
from pathlib import Path

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.batch.rows import LONGEST_LINE
from jobs.localvertex.storage.buckets import Buckets, Location, location

LARGEST_FILE = 2**30


def fetch(buckets: Buckets, uris: Iterable[str], folder: Path) -> tuple[list[Path], list[ApiError]]:
    """Files in their order, and why others cannot be read. Raises when there are no others."""
    found, problems = [], []
    for number, uri in enumerate(uris):
        try:
            for index, place in enumerate(_find_places(buckets, uri)):
                path = folder / f"{number:04}-{index:06}.jsonl"
                if not path.exists():
                    buckets.size(place, LARGEST_FILE)
                    buckets.download(place, path)
                found.append(path)
        except ApiError as error:
            if error.status == "UNAVAILABLE":
                raise
            problems.append(error)
    if not found and problems:
        raise problems[0]
    return found, problems


def read_lines(path: Path) -> Iterator[bytes]:
    """Of a line that is too long, no more than tells so."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE + 1):
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(LONGEST_LINE)):
                pass
            if line.strip():
                yield line.strip()


def _find_places(buckets: Buckets, uri: str) -> Iterator[Location]:
    """`*` stands for anything, as in Google's."""
    place = location(uri, "input_config.gcs_source.uris")
    if "*" not in place.path:
        yield place
        return
    start = Location(place.bucket, place.path.partition("*")[0].rpartition("/")[0])
    places = [start / name for name in sorted(buckets.children(start))]
    matching = [one for one in places if fnmatch.fnmatchcase(one.path, place.path)]
    if not matching:
        raise ApiError("NOT_FOUND", f"No file matches {uri}.")
    yield from matching
