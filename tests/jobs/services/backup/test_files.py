"""What of a data directory is in a backup: all of it, or a remark says what is not."""

import os
import socket
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jobs.services.backup import archive, files
from jobs.services.backup.archive import BackupFailed
from jobs.services.backup.manifest import Manifest

pytestmark = pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")


@pytest.fixture
def data_dir(tmp_path: Path, settings: Any) -> Path:
    folder = tmp_path / "console"
    folder.mkdir()
    settings.DATA_DIR, settings.STATIC_ROOT = folder, folder / "static"
    return folder


def put(path: Path, content: bytes = b"precious") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def made(data_dir: Path) -> tuple[dict[str, bytes], list[str]]:
    """Members with their content, and the remarks."""
    path = data_dir.parent / "backup.zip"
    with archive.write(path, Manifest("1", "", "sqlite", [])) as writer:
        remarks = files.add_files(writer, data_dir, path)
        names = list(writer.manifest.members)
    with zipfile.ZipFile(path) as written:
        return {name: written.read(name) for name in names}, remarks


def refusal(data_dir: Path) -> str:
    with pytest.raises(BackupFailed) as refused:
        made(data_dir)
    assert [path.name for path in data_dir.parent.iterdir() if "zip" in path.name] == []
    return str(refused.value)


OBJECTS = "storage/.cloudstorage/garden-local/tuning/users/1"


@pytest.mark.parametrize(
    "place",
    [
        f"{OBJECTS}/my-journal", f"{OBJECTS}/moves-wal", f"{OBJECTS}/x-shm", f"{OBJECTS}/weights.partial",
        f"{OBJECTS}/vertex.sqlite3-wal", f"{OBJECTS}/.meta", f"{OBJECTS}/run/x", "storage/before-restore-x/y",
        "storage/.restore/x", "datasets/console.sqlite3", "localvertex/tuning-jobs/1/vertex.sqlite3-wal",
        "pictures/tmp123.partial", "notes-wal", "notes.partial",
    ],
)  # fmt: skip
def test_a_file_is_in_it_whatever_it_is_called(data_dir: Path, place: str) -> None:
    put(data_dir / place)
    assert made(data_dir) == ({f"data/{place}": b"precious"}, [])


@pytest.mark.parametrize(
    "top",
    [
        "run",
        "logs",
        "cache",
        "static",
        "beat-schedule",
        "beat-schedule.db",
        ".restore",
        "before-restore-20260101-000000",
    ],
)
def test_what_is_made_anew_or_is_of_before_is_not_in_it(data_dir: Path, top: str) -> None:
    put(data_dir / top / "x")
    assert made(data_dir) == ({}, [])


def test_static_files_are_not_in_it_wherever_they_lie(data_dir: Path, settings: Any) -> None:
    settings.STATIC_ROOT = data_dir / "assets"
    put(data_dir / "assets/x")
    assert made(data_dir) == ({}, [])


def database(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    live = sqlite3.connect(path)
    live.execute("PRAGMA journal_mode=WAL")
    live.execute("CREATE TABLE kept (word TEXT)")
    live.execute("INSERT INTO kept VALUES ('ahoy')")
    live.commit()
    return live


def test_the_database_of_the_local_server_is_whole_without_what_is_beside_it(data_dir: Path, tmp_path: Path) -> None:
    with closing(database(data_dir / "localvertex/vertex.sqlite3")):
        assert (data_dir / "localvertex/vertex.sqlite3-wal").stat().st_size
        members, remarks = made(data_dir)
    assert (list(members), remarks) == (["data/localvertex/vertex.sqlite3"], [])
    with closing(sqlite3.connect(put(tmp_path / "copy", *members.values()))) as copy:
        assert copy.execute("SELECT word FROM kept").fetchall() == [("ahoy",)]
    assert [path.name for path in data_dir.iterdir()] == ["localvertex"]


def test_counts_of_answers_are_no_loss_and_left_out(data_dir: Path) -> None:
    put(data_dir / "localvertex/elsewhere/answers.sqlite3", b"an object")
    with closing(database(data_dir / "localvertex/answers.sqlite3")):
        members, remarks = made(data_dir)
    assert (list(members), remarks) == (["data/localvertex/elsewhere/answers.sqlite3"], [])


def test_an_object_that_is_a_database_keeps_its_bytes(data_dir: Path) -> None:
    path = data_dir / OBJECTS / "object"
    database(path).close()
    assert made(data_dir) == ({f"data/{OBJECTS}/object": path.read_bytes()}, [])


def test_a_file_that_only_begins_like_a_database_stops_nothing(data_dir: Path) -> None:
    content = b"SQLite format 3\0" + b"x" * 5000
    put(data_dir / "datasets/1.jsonl", content)
    assert made(data_dir) == ({"data/datasets/1.jsonl": content}, [])


def test_a_damaged_database_is_told_of_in_a_sentence(data_dir: Path) -> None:
    put(data_dir / "localvertex/vertex.sqlite3", b"SQLite format 3\0" + b"x" * 5000)
    text = refusal(data_dir)
    assert text.startswith(f"The database {data_dir}/localvertex/vertex.sqlite3 cannot be copied: ")
    assert [path.name for path in data_dir.iterdir()] == ["localvertex"]


def test_a_folder_on_another_disk_is_in_it(data_dir: Path, tmp_path: Path) -> None:
    put(tmp_path / "big/storage/.cloudstorage/.meta")
    put(tmp_path / "big/storage/weights.safetensors")
    (data_dir / "storage").symlink_to(tmp_path / "big/storage")
    assert made(data_dir) == (
        {"data/storage/.cloudstorage/.meta": b"precious", "data/storage/weights.safetensors": b"precious"}, [],
    )  # fmt: skip


def test_a_file_on_another_disk_is_in_it(data_dir: Path, tmp_path: Path) -> None:
    (data_dir / "secret-key").symlink_to(put(tmp_path / "keys/secret"))
    assert made(data_dir) == ({"data/secret-key": b"precious"}, [])


def test_a_disk_that_is_not_there_is_no_empty_folder(data_dir: Path) -> None:
    (data_dir / "storage").symlink_to("/nowhere/storage")
    assert refusal(data_dir) == (
        f"{data_dir}/storage links to '/nowhere/storage', which does not exist. Attach that disk, or delete the link, "
        "then create the backup."
    )


def test_what_is_no_file_has_a_remark(data_dir: Path, tmp_path: Path) -> None:
    put(data_dir / "storage/kept")
    (data_dir / "storage/folder").symlink_to(tmp_path)
    (data_dir / "storage/link").symlink_to(data_dir / "storage/kept")
    os.mkfifo(data_dir / "storage/pipe")
    with socket.socket(socket.AF_UNIX) as listening, inside(data_dir / "storage"):
        listening.bind("socket")
        members, remarks = made(data_dir)
    assert list(members) == ["data/storage/kept"]
    assert remarks == [
        f"{data_dir}/storage/{name} is not in the backup: it is a {kind}."
        for name, kind in [("folder", "link"), ("link", "link"), ("pipe", "pipe"), ("socket", "socket")]
    ]


def test_a_name_that_is_no_text_has_a_remark_that_writes_nothing_on_a_terminal(data_dir: Path) -> None:
    put(data_dir / os.fsdecode(b"storage/\xff\x1b[31m"))
    ((remark,),) = [made(data_dir)[1]]
    assert remark == f"'{data_dir}/storage/\\udcff\\x1b[31m' is not in the backup: its name is not valid text."


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="There is no file here that nobody can read")
def test_a_file_that_cannot_be_read_is_told_of_by_its_name(data_dir: Path) -> None:
    (data_dir / "odd").symlink_to("/proc/self/mem")
    assert refusal(data_dir) == (
        f"{data_dir}/odd cannot be read: Input/output error. Make it readable for the user who makes the backup, or "
        "move it out of the data directory."
    )


def test_a_folder_that_cannot_be_read_is_told_of_by_its_name(data_dir: Path) -> None:
    """Too deep for any path, so that it holds for root as well."""
    put(data_dir / "storage/kept")
    with inside(data_dir / "storage"):
        for _depth in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
    assert "cannot be read: File name too long." in refusal(data_dir)


def test_a_file_that_is_deleted_meanwhile_has_a_remark(data_dir: Path, tmp_path: Path) -> None:
    path = put(data_dir / "datasets/1.jsonl")
    with archive.write(tmp_path / "backup.zip", Manifest("1", "", "sqlite", [])) as writer:
        (found,) = files.find_files(data_dir)
        path.unlink()
        remark = files.add_file(writer, found, data_dir)
    assert (remark, writer.manifest.members) == (
        f"{path} is not in the backup: it was deleted in the meantime.", {},
    )  # fmt: skip


def test_a_folder_that_is_deleted_meanwhile_stops_nothing(data_dir: Path) -> None:
    put(data_dir / "datasets/1.jsonl")
    put(data_dir / "datasets/deeper/2.jsonl")
    found = files.find_files(data_dir)
    assert next(found).name == "1.jsonl"
    (data_dir / "datasets/deeper/2.jsonl").unlink()
    (data_dir / "datasets/deeper").rmdir()
    assert list(found) == []


def test_what_an_index_names_is_there_when_it_is_read_first(data_dir: Path) -> None:
    """An object that came after the index was read is more than it names, never less."""
    put(data_dir / "datasets/1.jsonl")
    put(data_dir / "storage/.cloudstorage/.meta")
    put(data_dir / "storage/.cloudstorage/garden-local/a")
    assert list(made(data_dir)[0]) == [
        "data/storage/.cloudstorage/.meta", "data/datasets/1.jsonl", "data/storage/.cloudstorage/garden-local/a",
    ]  # fmt: skip


def test_a_backup_into_the_data_directory_does_not_hold_itself(data_dir: Path) -> None:
    path = data_dir / "storage/backup.zip"
    put(data_dir / "storage/kept")
    with archive.write(path, Manifest("1", "", "sqlite", [])) as writer:
        assert files.add_files(writer, data_dir, path, archive.partial_of(path)) == []
    assert list(writer.manifest.members) == ["data/storage/kept"]


class inside:  # noqa: N801  # contextlib.chdir cannot come back from a folder that is too deep
    def __init__(self, folder: Path) -> None:
        self._folder, self._before = folder, Path.cwd()

    def __enter__(self) -> None:
        os.chdir(self._folder)

    def __exit__(self, *_error: object) -> None:
        os.chdir(self._before)
