"""Whether this program knows the database that it was given."""

from collections.abc import Iterable
from functools import cache

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.migration import Migration
from django.db.migrations.recorder import MigrationRecorder

from jobs.text.deferred import gettext as _

APP = "jobs"
OLDEST = "28 November 2026"
WAY_ALONG = "docs/operations.md says under “Upgrade” how to bring it along."


def unknown_among(applied: Iterable[tuple[str, str]]) -> list[str]:
    """The names of those of this program that it has neither as a file nor in a squash."""
    migrations = MigrationLoader(None).disk_migrations
    known = set(migrations).union(*(_names_replaced_by(migration) for migration in migrations.values()))
    return sorted(name for app, name in applied if app == APP and (app, name) not in known)


def is_too_old(applied: Iterable[tuple[str, str]]) -> bool:
    """True when the files of the migrations that it lacks are gone: a squash has replaced them."""
    done = set(applied)
    squashes = (
        (key, _names_replaced_by(migration)) for key, migration in MigrationLoader(None).disk_migrations.items()
    )
    return any(key not in done and replaced & done and replaced - done for key, replaced in squashes)


def _names_replaced_by(migration: Migration) -> set[tuple[str, str]]:
    return {(app, name) for app, name in migration.replaces}


def why_not_use() -> str:
    """A sentence for whoever starts the program; nothing when the database fits, or cannot be asked now. Reads the
    files of all migrations, which costs a tenth of a second."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return ""
    if is_too_old(applied):
        return f"The database was made by a version of Garden Console from before {OLDEST}. {WAY_ALONG}"
    unknown = unknown_among(applied)
    if not unknown:
        return ""
    return (
        f"The database was made by a newer version of Garden Console: version {settings.VERSION} does not know "
        f"{unknown[-1]}. Install the newer version again, or restore a backup that was made with version "
        f"{settings.VERSION}."
    )


def lacks() -> str:
    """A sentence when what this version changes in the tables has not been done yet. What a newer one did is none: a
    process of the old version works on until it is replaced."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseError:
        return _("Unknown: the database does not answer.")
    if (APP, _newest()) in applied:
        return ""
    return _("The database doesn't have the tables for this version yet. Run: manage.py migrate")


@cache
def _newest() -> str:
    ((_app, name),) = MigrationLoader(None).graph.leaf_nodes(APP)
    return str(name)
