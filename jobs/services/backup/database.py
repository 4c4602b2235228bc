"""The console's database as members of a backup: SQLite as one file, PostgreSQL as one file a table.

Of PostgreSQL each table goes through COPY in one transaction that sees one moment, so no program of PostgreSQL's has to
be installed beside the console. A backup goes back into the kind of database that it came from.
"""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from django.apps import apps
from django.core.management.color import no_style
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from jobs.services.health import schema

from .archive import CHUNK, Reader, Writer
from .files import copy_of_database, parts_of
from .manifest import BackupUnusable, Manifest

SQLITE_MEMBER: Final = "database/console.sqlite3"
TABLES: Final = "database/tables"
# The database lets nobody delete from it, and migrations write nothing into it.
UNCHANGEABLE: Final = "jobs_auditentry"


def list_applied_migrations() -> list[tuple[str, str]]:
    return sorted(MigrationRecorder(connection).applied_migrations())


def refuse_other_versions(migrations: Iterable[tuple[str, str]], version: str) -> None:
    """Raises BackupUnusable when a newer program shaped its tables, or one that is too old to be brought along."""
    if schema.is_too_old(migrations):
        raise BackupUnusable(f"The backup was made before {schema.OLDEST}. {schema.WAY_ALONG}")
    if unknown := schema.unknown_among(migrations):
        raise BackupUnusable(
            f"This backup is from version {version}, and this version is older: it does not know {', '.join(unknown)}. "
            f"Install version {version} or newer, then restore."
        )


def dump(writer: Writer, data_dir: Path) -> None:
    if connection.vendor == "sqlite":
        with copy_of_database(Path(str(connection.settings_dict["NAME"])), data_dir) as copy:
            writer.add(SQLITE_MEMBER, parts_of(copy))
    else:
        dump_tables(writer)


def dump_tables(writer: Writer) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for table in sorted(connection.introspection.table_names(cursor)):
            columns = columns_of(cursor, table)
            writer.manifest.tables[table] = columns
            with tempfile.TemporaryFile() as rows:
                with raw_cursor().copy(f"COPY {quote(table)} ({quote_all(columns)}) TO STDOUT") as copy:
                    for part in copy:
                        rows.write(part)
                rows.seek(0)
                writer.add(f"{TABLES}/{table}.copy", iter(partial(rows.read, CHUNK), b""))


def columns_of(cursor: Any, table: str) -> list[str]:
    """Without those that the database works out by itself, which it lets nobody write."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() "
        "AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
        [table],
    )
    return [name for (name,) in cursor.fetchall()]


def raw_cursor() -> Any:
    return cast("Any", connection.connection).cursor()


def quote(name: str) -> str:
    return connection.ops.quote_name(name)


def quote_all(names: list[str]) -> str:
    return ", ".join(quote(name) for name in names)


def require_members(manifest: Manifest) -> None:
    """Raises BackupUnusable when there is no whole database in it."""
    tables = [f"{TABLES}/{table}.copy" for table in manifest.tables]
    needed = [SQLITE_MEMBER] if manifest.database == "sqlite" else tables
    if not needed or set(needed) - set(manifest.members):
        raise BackupUnusable("The backup is damaged: its database is incomplete. Use another backup.")


@contextmanager
def leading_to(path: Path) -> Iterator[None]:
    """What is asked of the console's SQLite database is asked of this file meanwhile."""
    name = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = path
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = name


def has_rows() -> bool:
    """Whether there may be accounts in the database already: one that cannot be read may hold some."""
    if connection.vendor == "sqlite" and not Path(str(connection.settings_dict["NAME"])).exists():
        return False  # To ask would create it.
    try:
        with connection.cursor() as cursor:
            if "auth_user" not in connection.introspection.table_names(cursor):
                return False
            cursor.execute("SELECT EXISTS (SELECT 1 FROM auth_user)")
            return bool(cursor.fetchone()[0])
    except DatabaseError:
        return True


@contextmanager
def replace_database(reader: Reader) -> Iterator[None]:
    """All or nothing, with what is done inside: tables as they were when the backup was made, with the rows of then."""
    with transaction.atomic():
        drop_tables()
        executor = MigrationExecutor(connection)
        executor.migrate(last_of_each_app(executor.loader.graph, set(reader.manifest.migrations)))
        with connection.cursor() as cursor:
            require_known(set(reader.manifest.tables), set(connection.introspection.table_names(cursor)))
            for table, columns in reader.manifest.tables.items():
                require_known(set(columns), set(columns_of(cursor, table)))
            for table in reader.manifest.tables:
                if table != UNCHANGEABLE:
                    cursor.execute(f"DELETE FROM {quote(table)}")  # noqa: S608  # quoted, and one of ours
            # Migrations ask for keys to be looked at row by row, until the transaction ends; rows that name each other
            # come in any order.
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            for table, columns in reader.manifest.tables.items():
                named = f"{quote(table)} ({quote_all(columns)})"
                with connection.wrap_database_errors, raw_cursor().copy(f"COPY {named} FROM STDIN") as copy:
                    for part in reader.parts(f"{TABLES}/{table}.copy"):
                        copy.write(part)
        connection.check_constraints()
        reset_sequences()
        yield


def last_of_each_app(graph: Any, applied: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """What is to be migrated to: all others come before one of these."""

    def has_successor(key: tuple[str, str]) -> bool:
        return any(child.key in applied and child.key[0] == key[0] for child in graph.node_map[key].children)

    return [key for key in graph.nodes if key in applied and not has_successor(key)]


def require_known(named: set[str], known: set[str]) -> None:
    if named - known:
        raise BackupUnusable(f"The backup has unknown data ({min(named - known)!r}). Do not use it.")


def drop_tables() -> None:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE {quote(table)} CASCADE")


def reset_sequences() -> None:
    """Of the tables that this program knows and that are there: a backup of an older one has fewer."""
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
        models = [model for model in apps.get_models(include_auto_created=True) if model._meta.db_table in present]
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('django_migrations', 'id'), coalesce(max(id), 1)) "
            "FROM django_migrations"
        )
