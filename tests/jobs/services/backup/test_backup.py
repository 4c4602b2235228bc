"""Backups of a data directory of their own, made and put back by the commands, as a person does."""

import hashlib
import json
import os
import sqlite3
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from django.db import connection

from jobs.services.backup.archive import Reader
from jobs.services.backup.manifest import BackupUnusable
from jobs.services.backup.restore import check
from tests.jobs.services.backup.commands import RESTORED, SEED, counts, manage, members_of, run
from tests.support.migrated import migrated
from tests.support.running import ROOT

OF_SQLITE = pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="the backup is of an SQLite database")


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data_dir = tmp_path_factory.mktemp("seeded") / "data"
    migrated.copy_to(data_dir / "console.sqlite3")
    manage(data_dir, "migrate", "-v0")
    manage(data_dir, "shell", "-v0", "-c", SEED)
    return data_dir


@pytest.fixture(scope="module")
def backup(seeded: Path) -> Path:
    path = seeded.parent / "backup.zip"
    picture = seeded / "pictures/ab/abcd"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"\x89PNG")
    for folder in ("run", "logs", "cache"):
        (seeded / folder).mkdir(exist_ok=True)
        (seeded / folder / "left-out").write_text("of this run only")
    server = seeded / "localvertex/vertex.sqlite3"
    server.parent.mkdir()
    with closing(sqlite3.connect(server)) as live:
        live.execute("PRAGMA journal_mode=WAL")
        live.execute("CREATE TABLE kept (word TEXT)")
        live.execute("INSERT INTO kept VALUES ('ahoy')")
        live.commit()
        manage(seeded, "backup", str(path))
    return path


def test_all_that_is_kept_comes_back_and_nobody_is_signed_in(backup: Path, tmp_path: Path) -> None:
    restored = tmp_path / "console"
    assert "Restored." in manage(restored, "restore", str(backup))
    assert counts(restored) == RESTORED
    assert (restored / "pictures/ab/abcd").read_bytes() == b"\x89PNG"
    assert (restored / "secret-key").read_text() == (backup.parent / "data/secret-key").read_text()
    with closing(sqlite3.connect(restored / "localvertex/vertex.sqlite3")) as state:
        assert state.execute("SELECT word FROM kept").fetchall() == [("ahoy",)]
    assert [path for path in restored.rglob("left-out")] == []
    written = [restored / name.removeprefix("data/") for name in members_of(backup) if name.startswith("data/")]
    assert {path.stat().st_mode & 0o077 for path in written} == {0}


def test_only_its_owner_can_read_it(backup: Path) -> None:
    assert backup.stat().st_mode & 0o777 == 0o600


def test_a_file_that_exists_is_not_overwritten(seeded: Path, backup: Path) -> None:
    before = backup.read_bytes()
    assert manage(seeded, "backup", str(backup), fails=True) == (
        f"CommandError: {backup} already exists. Enter another name."
    )
    assert backup.read_bytes() == before


def test_a_console_with_accounts_is_replaced_only_when_asked_and_moved_aside(backup: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "console"
    manage(data_dir, "restore", str(backup))
    (data_dir / "datasets/newer.jsonl").write_text("{}\n")
    assert "add --replace" in manage(data_dir, "restore", str(backup), fails=True)
    manage(data_dir, "restore", "--replace", str(backup))
    assert counts(data_dir) == RESTORED
    assert not (data_dir / "datasets/newer.jsonl").exists()
    assert [path.read_text() for path in data_dir.glob("before-restore-*/datasets/newer.jsonl")] == ["{}\n"]


@pytest.mark.slow
def test_a_database_that_cannot_be_read_can_be_replaced(backup: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "console"
    data_dir.mkdir()
    (data_dir / "console.sqlite3").write_bytes(b"no database at all" * 100)
    assert "add --replace" in manage(data_dir, "restore", str(backup), fails=True)
    manage(data_dir, "restore", "--replace", str(backup))
    assert counts(data_dir) == RESTORED


def test_a_disk_that_fills_up_leaves_no_half_backup(seeded: Path, backup: Path, tmp_path: Path) -> None:
    """A limit to the size of a file stands for the disk."""
    weights = seeded / "storage/weights.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(os.urandom(9_000_000))
    command = f"ulimit -f 6000; exec {sys.executable} {ROOT}/manage.py backup {tmp_path}/backup.zip"
    ended = run(["bash", "-c", command], seeded)
    weights.unlink()
    text = ended.stderr.strip()
    assert (ended.returncode, text[:63]) == (1, "CommandError: The backup could not be written: File too large. ")
    assert list(tmp_path.glob("*backup*")) == list(tmp_path.glob(".*")) == []
    assert list(seeded.glob(".backup-*")) == []


def rewritten(backup: Path, path: Path, **changes: object) -> Path:
    """The same backup with another manifest."""
    with zipfile.ZipFile(backup) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "manifest.json":
                content = json.dumps(json.loads(content) | changes).encode()
            new.writestr(name, content)
    return path


def reason(path: Path) -> str:
    """Why a backup is not put back; nothing was written by then."""
    try:
        with Reader.open(path) as reader:
            check(reader, replace=True)
            reader.verify()
            list(reader.names("data"))
    except BackupUnusable as refusal:
        return str(refusal)
    return ""


def test_a_backup_of_a_newer_program_is_refused(backup: Path, tmp_path: Path) -> None:
    migrations = [["jobs", "0021_message_has_pictures"], ["jobs", "9999_from_the_future"]]
    newer = rewritten(backup, tmp_path / "newer.zip", database=connection.vendor, migrations=migrations, version="99.0")
    assert reason(newer) == (
        "This backup is from version 99.0, and this version is older: it does not know 9999_from_the_future. "
        "Install version 99.0 or newer, then restore."
    )


def test_a_backup_that_is_too_old_is_refused(backup: Path, tmp_path: Path) -> None:
    older = rewritten(backup, tmp_path / "older.zip", database=connection.vendor, migrations=[["jobs", "0001_initial"]])
    assert reason(older) == (
        "The backup was made before 28 November 2026. docs/operations.md says under “Upgrade” how to bring it along."
    )


def test_a_backup_of_another_kind_of_database_is_refused(backup: Path, tmp_path: Path) -> None:
    other = rewritten(backup, tmp_path / "other.zip", database="mysql")
    assert reason(other).startswith("The backup is from a mysql database")


@OF_SQLITE
@pytest.mark.django_db
def test_a_member_that_is_not_what_was_written(backup: Path, tmp_path: Path) -> None:
    members = members_of(backup)
    members["data/secret-key"]["sha256"] = "0" * 64
    damaged = rewritten(backup, tmp_path / "damaged.zip", database=connection.vendor, members=members)
    assert reason(damaged).startswith("The backup is damaged: data/secret-key differs from what was written.")


def test_a_backup_that_is_cut_off_is_no_backup(backup: Path, tmp_path: Path) -> None:
    half = tmp_path / "half.zip"
    half.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])
    assert "is not a backup of a console, or it is incomplete" in reason(half)


@OF_SQLITE
@pytest.mark.threat("T13")
@pytest.mark.django_db
@pytest.mark.parametrize("place", ["data/../../outside", "data//etc/outside"])
def test_a_place_outside_of_the_data_directory_is_refused(backup: Path, tmp_path: Path, place: str) -> None:
    members = members_of(backup) | {place: {"size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}}
    evil = rewritten(backup, tmp_path / "evil.zip", database=connection.vendor, members=members)
    with zipfile.ZipFile(evil, "a") as archive:
        archive.writestr(place, b"x")
    assert "contains a path outside its folder" in reason(evil)


@pytest.fixture
def postgresql() -> Iterator[tuple[str, str]]:
    """Two empty databases beside the one of the tests."""
    address = os.environ.get("TEST_DATABASE_URL", "")
    if not address:
        pytest.skip("TEST_DATABASE_URL names no PostgreSQL server")
    names = [f"backup_{uuid4().hex}" for _ in range(2)]
    with psycopg.connect(address, autocommit=True) as server:
        for name in names:
            server.execute(f"CREATE DATABASE {name}")
        yield tuple(urlunsplit(urlsplit(address)._replace(path=f"/{name}")) for name in names)  # type: ignore[misc]
        for name in names:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.django_db
def test_postgresql_comes_back_with_its_sequences(postgresql: tuple[str, str], tmp_path: Path) -> None:
    """The folder that is called like the database is in it."""
    first, second = postgresql
    data_dir, restored, path = tmp_path / "first", tmp_path / "second", tmp_path / "backup.zip"
    manage(data_dir, "migrate", "-v0", database=first)
    manage(data_dir, "shell", "-v0", "-c", SEED, database=first)
    named = data_dir / urlsplit(first).path.lstrip("/") / "kept"
    named.parent.mkdir()
    named.write_text("precious")
    manage(data_dir, "backup", str(path), database=first)
    manage(restored, "migrate", "-v0", database=second)
    manage(restored, "restore", str(path), database=second)
    assert counts(restored, second) == RESTORED
    assert (restored / named.relative_to(data_dir)).read_text() == "precious"
    newcomer = "from tests.support import factories; factories.stranger(); factories.job(); print('added')"
    assert manage(restored, "shell", "-v0", "-c", newcomer, database=second) == "added"
    manage(restored, "restore", "--replace", str(path), database=second)
    assert counts(restored, second) == RESTORED


@pytest.mark.threat("T13")
@pytest.mark.django_db
def test_a_column_that_no_table_has_changes_neither_tables_nor_files(
    postgresql: tuple[str, str], tmp_path: Path
) -> None:
    """Between quotation marks of its own it would be a part of the statement."""
    first, _second = postgresql
    data_dir, path, evil = tmp_path / "first", tmp_path / "backup.zip", tmp_path / "evil.zip"
    manage(data_dir, "migrate", "-v0", database=first)
    manage(data_dir, "shell", "-v0", "-c", SEED, database=first)
    manage(data_dir, "backup", str(path), database=first)
    with zipfile.ZipFile(path) as archive:
        tables = json.loads(archive.read("manifest.json"))["tables"]
    rewritten(path, evil, tables=tables | {"django_session": ['"session_key") FROM PROGRAM \'touch /tmp/x\' --"']})
    text = manage(data_dir, "restore", "--replace", str(evil), database=first, fails=True)
    assert text.startswith("CommandError: The backup has unknown data (")
    assert counts(data_dir, first) == RESTORED | {"links": 1, "sessions": 1}
    assert list(data_dir.glob("before-restore-*")) == []


ELSEWHERE = {"FILES_URL": "gs://files/console?endpoint_url=http://127.0.0.1:1", "CONSOLE_SECRET_KEY": "same-everywhere"}


def test_files_that_lie_elsewhere_are_named_and_looked_for_there(seeded: Path, tmp_path: Path) -> None:
    """Neither a backup of the folder nor one of a bucket goes where its rows would name files that are not there."""
    inside, outside = tmp_path / "inside.zip", tmp_path / "outside.zip"
    manage(seeded, "backup", str(inside))
    told = manage(seeded, "backup", str(outside), more=ELSEWHERE)
    assert "Datasets and images are stored in gs://files/console and are not in this backup." in told
    assert (files_of(inside), files_of(outside)) == ("", "gs://files/console")

    refused = manage(tmp_path / "a", "restore", str(inside), more=ELSEWHERE, fails=True)
    assert refused == (
        "CommandError: The backup contains its datasets and images, but FILES_URL is gs://files/console. "
        "Restore it without FILES_URL, then set it and run: python manage.py copy-files"
    )
    refused = manage(tmp_path / "b", "restore", str(outside), fails=True)
    assert refused == (
        "CommandError: The datasets and images of the backup are stored in gs://files/console, but FILES_URL is empty. "
        "Set FILES_URL to gs://files/console, or copy them to the location in FILES_URL and add --files-copied."
    )
    assert "Restored." in manage(tmp_path / "c", "restore", str(outside), more=ELSEWHERE)
    assert "Restored." in manage(tmp_path / "d", "restore", "--files-copied", str(outside))


def files_of(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return str(json.loads(archive.read("manifest.json"))["files"])


@pytest.mark.slow
def test_copying_says_what_it_would_copy_to(seeded: Path) -> None:
    assert manage(seeded, "copy-files", fails=True) == (
        "CommandError: FILES_URL is empty: the files are in the data directory already."
    )
    away = manage(seeded, "copy-files", more=ELSEWHERE, fails=True)
    assert away.splitlines()[-1] == (
        "CommandError: The copy stopped after 0 files: The file store does not answer. Try again in a moment. "
        "Run the command again."
    )
