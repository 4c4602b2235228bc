"""Restores that are cut off, refused or out of room: what was there stays, and the next one is whole."""

import json
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.jobs.services.backup.commands import RESTORED, SEED, counts, manage, run
from tests.support.migrated import migrated
from tests.support.share import one_of

# A restore whose process ends, or whose disk is full, at the Nth event of a kind.
STOPPED = """
import errno, os, sys
kind, place, left, how = sys.argv[1], sys.argv[2], [int(sys.argv[3])], sys.argv[4]
def hook(event, arguments):
    if event == kind and place in str(arguments[0]):
        if not left[0]:
            if how == "killed":
                os._exit(9)
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
sys.addaudithook(hook)
os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
from django.core.management import execute_from_command_line
from tests.support.share import one_of
execute_from_command_line(["manage.py", *sys.argv[5:]])
"""


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("seeded") / "data"
    migrated.copy_to(data_dir / "console.sqlite3")
    manage(data_dir, "migrate", "-v0")
    manage(data_dir, "shell", "-v0", "-c", SEED)
    path = data_dir.parent / "backup.zip"
    manage(data_dir, "backup", str(path))
    return path


@pytest.fixture
def console(backup: Path, tmp_path: Path) -> Path:
    """One that has something which is not in the backup."""
    folder = tmp_path / "console"
    manage(folder, "restore", str(backup))
    (folder / "datasets/newer.jsonl").write_text("{}\n")
    return folder


def stopped(data_dir: Path, event: str, place: str, count: int, how: str, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-c", STOPPED, event, place, str(count), how, *arguments]
    ended = run(command, data_dir)
    assert "Traceback" not in ended.stderr
    return ended.returncode, ended.stderr.strip()


def kept(folder: Path) -> dict[str, str]:
    """What lies in the data directory, without what any command makes there."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in found}
    return {
        name: sha256(path.read_bytes()).hexdigest()
        for name, path in names.items()
        if name.split("/")[0] not in {"run", "static"} and not name.endswith(("-shm", "-wal"))
    }


def test_a_backup_that_is_made_after_a_restore_was_cut_off_can_be_put_back(
    backup: Path, console: Path, tmp_path: Path
) -> None:
    restore = ("restore", "--replace", str(backup))
    assert stopped(console, "open", "/.restore/", 2, "killed", *restore) == (9, "")
    assert (console / ".restore").is_dir()
    manage(console, "backup", str(tmp_path / "nightly.zip"))
    assert [name for name in zipfile.ZipFile(tmp_path / "nightly.zip").namelist() if ".restore" in name] == []
    manage(tmp_path / "fresh", "restore", str(tmp_path / "nightly.zip"))
    assert counts(tmp_path / "fresh") == RESTORED


@pytest.mark.slow
def test_what_stays_where_it_is_has_no_place_in_a_backup_of_before(backup: Path, console: Path) -> None:
    """Backups were made that hold what a restore had staged."""
    tops = [".restore", "before-restore-20260101-000000", "run", "static", "console.sqlite3-wal"]
    older = with_members(backup, console.parent / "older.zip", [f"data/{top}/x" for top in tops])
    told = manage(console, "restore", "--replace", str(older))
    assert [top for top in tops if f"'{top}' is skipped: the console creates it again." not in told] == []
    assert counts(console) == RESTORED
    assert list(console.rglob("x")) == []


@pytest.mark.parametrize("names", [["data/a", "data/a/b"], ["data/a/b", "data/a"], ["data/" + "n" * 300]])
@pytest.mark.slow
def test_places_that_no_disk_has_change_nothing(backup: Path, console: Path, names: list[str]) -> None:
    before = kept(console)
    odd = with_members(backup, console.parent / "odd.zip", names)
    text = manage(console, "restore", "--replace", str(odd), fails=True)
    assert text.startswith(f"CommandError: The files of the backup cannot be written to {console}: ")
    assert kept(console) == before
    assert not (console / ".restore").exists()


@pytest.mark.parametrize(("event", "place"), [("open", "/.restore/datasets/"), ("os.rename", "/.restore/")])
@pytest.mark.slow
def test_a_disk_that_is_full_changes_nothing(backup: Path, console: Path, event: str, place: str) -> None:
    before = kept(console)
    code, text = stopped(console, event, place, 0, "full", "restore", "--replace", str(backup))
    assert (code, "No space left on device. Nothing was changed." in text) == (1, True)
    assert kept(console) == before
    assert not (console / ".restore").exists()


@pytest.mark.slow
def test_a_backup_that_is_larger_than_the_disk_is_refused_before_it_is_read(backup: Path, tmp_path: Path) -> None:
    huge = with_members(backup, tmp_path / "huge.zip", [], {"data/x": {"size": 10**18, "sha256": "0"}})
    text = manage(tmp_path / "fresh", "restore", str(huge), fails=True)
    assert text.startswith("CommandError: The backup needs 9536743164")
    assert "Nothing was changed." in text
    assert not (tmp_path / "fresh/console.sqlite3").exists()


@pytest.mark.slow
def test_a_database_that_cannot_be_brought_up_to_date_changes_nothing(backup: Path, console: Path) -> None:
    before = kept(console)
    name = "database/console.sqlite3"
    odd = with_members(
        backup, console.parent / "odd.zip", [], {name: of(b"no database" * 500)}, {name: b"no database" * 500}
    )
    text = manage(console, "restore", "--replace", str(odd), fails=True)
    assert text.startswith("CommandError: The database of the backup cannot be used: ")
    assert kept(console) == before


def test_a_backup_without_its_database_is_refused(backup: Path, console: Path) -> None:
    odd = with_members(backup, console.parent / "odd.zip", [], without="database/console.sqlite3")
    text = manage(console, "restore", "--replace", str(odd), fails=True)
    assert text == "CommandError: The backup is damaged: its database is incomplete. Use another backup."


@pytest.mark.parametrize(
    "place",
    one_of(
        5,
        ["/console/datasets", "/console/secret-key", "/.restore/datasets", "/.restore/console.sqlite3", "-unfinished"],
    ),
)
@pytest.mark.slow
def test_one_that_was_killed_is_whole_when_it_is_run_again(backup: Path, console: Path, place: str) -> None:
    """Killed right before it renames this."""
    before, earlier = kept(console), set(console.glob("before-restore-*"))
    restore = ("restore", "--replace", str(backup))
    assert stopped(console, "os.rename", place, 0, "killed", *restore) == (9, "")
    manage(console, *restore)
    assert counts(console) == RESTORED
    assert not (console / "datasets/newer.jsonl").exists()
    (aside,) = [path for path in set(console.glob("before-restore-*")) - earlier if not path.name.endswith("-half")]
    old = {name: content for name, content in before.items() if not name.startswith("before-restore-")}
    assert kept(aside).items() >= old.items()


def of(content: bytes) -> dict[str, object]:
    return {"size": len(content), "sha256": sha256(content).hexdigest()}


def with_members(
    backup: Path, path: Path, names: list[str], members: dict[str, dict[str, object]] | None = None,
    contents: dict[str, bytes] | None = None, without: str = "",
) -> Path:  # fmt: skip
    """The same backup with more members, or other ones."""
    added = dict.fromkeys(names, b"x") | (contents or {})
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.json":
                manifest = json.loads(content)
                manifest["members"] |= {name: of(content) for name, content in added.items()} | (members or {})
                manifest["members"].pop(without, None)
                content = json.dumps(manifest).encode()
            if name not in added:
                new.writestr(name, content)
        for name, content in added.items():
            new.writestr(name, content)
    return path
