"""Whether this program knows the database that it was given."""

from collections.abc import Iterable
from functools import cache
from typing import cast

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from jobs.text.deferred import gettext as _

APP = "jobs"


def unknown_migrations() -> list[str]:
    """What a newer version did to the tables. Reads the list of migrations, which costs a tenth of a second."""
    return unknown_among(MigrationLoader(connection).applied_migrations)


def unknown_among(applied: Iterable[tuple[str, str]]) -> list[str]:
    """The names of those of this program that it has neither as a file nor in a squash."""
    loader = MigrationLoader(None)
    known = set(loader.disk_migrations)
    for migration in loader.disk_migrations.values():
        known |= {cast(tuple[str, str], tuple(replaced)) for replaced in migration.replaces}
    return sorted(name for app, name in applied if app == APP and (app, name) not in known)


def why_not_use() -> str:
    """A sentence for whoever starts the program; nothing when the database fits, or cannot be asked now."""
    try:
        unknown = unknown_migrations()
    except DatabaseError:
        return ""
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
