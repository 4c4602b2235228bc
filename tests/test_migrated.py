"""The database that is made once for all processes of a run."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from django.db.migrations.loader import MigrationLoader

from tests.support.migrated import Migrated


def test_a_process_that_is_alone_migrates_for_itself(tmp_path: Path) -> None:
    Migrated().copy_to(tmp_path / "data/console.sqlite3")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_it_has_every_migration_and_is_of_its_owner_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "first/console.sqlite3", tmp_path / "second/console.sqlite3"
    (tmp_path / "shared").mkdir()
    shared = Migrated(tmp_path / "shared")
    shared.copy_to(first)
    made = (tmp_path / "shared/migrated/console.sqlite3").stat().st_mtime_ns
    shared.copy_to(second)
    assert (tmp_path / "shared/migrated/console.sqlite3").stat().st_mtime_ns == made
    with closing(sqlite3.connect(second)) as database:
        applied = set(database.execute("SELECT app, name FROM django_migrations"))
    assert (set(MigrationLoader(None).graph.nodes) - applied, second.stat().st_mode & 0o777) == (set(), 0o600)
    assert first.read_bytes() == second.read_bytes()


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "console.sqlite3"
    kept.write_text("kept")
    Migrated(tmp_path).copy_to(kept)
    assert (kept.read_text(), [path.name for path in tmp_path.iterdir()]) == ("kept", ["console.sqlite3"])
