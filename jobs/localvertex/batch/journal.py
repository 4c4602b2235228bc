"""What a batch has done so far, on this disk: a line for each row, from which it goes on after a restart."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.localvertex.api.wire import Json
from jobs.localvertex.batch.rows import choose_file_name


class Journal:
    """Rows may be noted in any order and are written in that of the input."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._path = folder / "done.jsonl"
        self._places: dict[int, int] = {}
        self.failed = 0
        self._read()
        self._file = self._path.open("ab")

    @property
    def inputs(self) -> Path:
        return self._folder / "inputs"

    @property
    def done(self) -> int:
        return len(self._places)

    def has(self, number: int) -> bool:
        return number in self._places

    def note(self, number: int, shape: str, line: Json, *, is_error: bool) -> None:
        entry = {"number": number, "shape": shape, "failed": is_error, "line": line}
        place = self._file.tell()
        self._file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        self._places[number] = place
        self.failed += is_error

    def write_outputs(self) -> list[Path]:
        """Files of the names that they have in the bucket, with whole lines."""
        folder = self._folder / "outputs"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for entry in self._entries():
            name = choose_file_name(entry["shape"], is_error=entry["failed"])
            with (folder / name).open("ab") as file:
                file.write(json.dumps(entry["line"], ensure_ascii=False).encode() + b"\n")
        return sorted(folder.iterdir())

    def discard(self) -> None:
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        self._file.close()

    def _entries(self) -> Iterator[Any]:
        with self._path.open("rb") as file:
            for _, place in sorted(self._places.items()):
                file.seek(place)
                yield json.loads(file.readline())

    def _read(self) -> None:
        """A last line that a crash has cut is as if it had never been."""
        if not self._path.exists():
            return
        with self._path.open("rb+") as file:
            place = 0
            for line in file:
                try:
                    entry = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    entry = None
                if entry is None:
                    break
                self._places[entry["number"]] = place
                self.failed += bool(entry["failed"])
                place += len(line)
            file.truncate(place)
