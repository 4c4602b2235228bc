"""New files take the place of old ones while each rename may fail, or be the last thing that the process does."""

import errno
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.services.backup.exchange import Exchange
from tests.support.running import ROOT

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
OLD = {"console.sqlite3": "old", "datasets/1": "old", "gone/1": "old", "secret-key": "old"}
NEW = {"console.sqlite3": "new", "datasets/1": "new", "pictures/1": "new", "secret-key": "new"}
KEPT = {"run/lock": "kept"}
ASIDE = "before-restore-20260504-030201"
RENAMES = len(OLD) + len(NEW)
# What the process was about to rename is told to the hook before it is done.
STOPPED = """
import os, sys
from datetime import UTC, datetime
from pathlib import Path
from tests.jobs.services.backup.test_exchange import exchange
left = [int(sys.argv[2])]
def hook(event, arguments):
    if event == "os.rename":
        if not left[0]:
            os._exit(9)
        left[0] -= 1
sys.addaudithook(hook)
exchange(Path(sys.argv[1]))
"""


def put(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def found(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def below(name: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{name}/{place}": content for place, content in files.items()}


def stays(name: str) -> bool:
    return name in {"run", ".restore"} or name.startswith("before-restore-")


def begun(folder: Path) -> tuple[Exchange, Path]:
    staged = folder / ".restore"
    put(staged, NEW)
    return Exchange(folder, stays, {"console.sqlite3"}, NOW), staged


def exchange(folder: Path) -> Path | None:
    made, staged = begun(folder)
    made.run(staged)
    staged.rmdir()
    return made.finish()


def killed_after(renames: int, folder: Path) -> None:
    command = [sys.executable, "-c", STOPPED, str(folder), str(renames)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    assert subprocess.run(command, cwd=ROOT, env=environment, timeout=60, check=False).returncode == 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "console"
    made.mkdir()
    return made


def test_the_old_files_lie_aside(folder: Path) -> None:
    put(folder, OLD | KEPT)
    assert exchange(folder) == folder / ASIDE
    assert found(folder) == NEW | KEPT | below(ASIDE, OLD)
    assert (folder / ASIDE).stat().st_mode & 0o777 == 0o700


def test_two_in_one_second_overwrite_nothing(folder: Path) -> None:
    put(folder, OLD)
    exchange(folder)
    assert exchange(folder) == folder / f"{ASIDE}-2"
    assert found(folder) == NEW | below(ASIDE, OLD) | below(f"{ASIDE}-2", NEW)


def test_nothing_lies_aside_where_nothing_was(folder: Path) -> None:
    put(folder, KEPT)
    assert exchange(folder) is None
    assert found(folder) == NEW | KEPT


@pytest.mark.parametrize("renames", range(RENAMES))
def test_all_is_where_it_was_when_a_rename_fails(folder: Path, renames: int) -> None:
    put(folder, OLD | KEPT)
    made, staged = begun(folder)
    with refusing_after(renames), pytest.raises(OSError, match="No space left"):
        made.run(staged)
    made.undo()
    assert found(folder) == OLD | KEPT | below(".restore", NEW)
    assert sorted(path.name for path in folder.glob("before-restore-*")) == []


@pytest.mark.parametrize("renames", range(1, RENAMES + 1))
def test_the_next_one_makes_it_whole_when_the_process_was_killed(folder: Path, renames: int) -> None:
    """After the last rename only the folder of the old files has its name still to get."""
    put(folder, OLD | KEPT)
    killed_after(renames, folder)
    assert not (folder / ASIDE).exists()
    placed = found(folder).keys() & {name for name in NEW if (folder / name).exists()}
    both = {name: "new" for name in placed if (folder / f"{ASIDE}-unfinished" / name.split("/")[0]).exists()}
    others = {"pictures/1": "new"} if (folder / "pictures").exists() else {}
    assert exchange(folder) == folder / ASIDE
    assert found(folder) == NEW | KEPT | below(ASIDE, OLD | others) | below(f"{ASIDE}-half", both)


def test_there_is_no_console_until_all_else_is_there(folder: Path) -> None:
    killed_after(len(NEW) - 1, folder)
    assert found(folder) == {name: "new" for name in NEW if name != "console.sqlite3"} | {
        ".restore/console.sqlite3": "new"
    }


HOOK: dict[str, int] = {}


def hook(event: str, _arguments: object) -> None:
    if event == "os.rename" and "left" in HOOK:
        if not HOOK["left"]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        HOOK["left"] -= 1


class refusing_after:  # noqa: N801  # reads as the standard library's own
    """Hooks stay as long as the process: this one refuses only inside."""

    def __init__(self, renames: int) -> None:
        self._renames = renames

    def __enter__(self) -> None:
        if "added" not in HOOK:
            sys.addaudithook(hook)
            HOOK["added"] = 1
        HOOK["left"] = self._renames

    def __exit__(self, *_error: object) -> None:
        del HOOK["left"]
