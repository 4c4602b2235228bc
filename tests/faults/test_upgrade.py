"""Old messages reach a new worker, an old program a new database, and a migration is killed in the middle."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from uuid import uuid4

import pytest
from celery import current_app
from django.core.signing import Signer
from django.db import connection
from kombu.utils import json

from jobs import tasks
from jobs.services.chat import conversations
from jobs.services.chat.streaming import row as chat_row
from jobs.services.health import schema
from tests.faults.test_broker import broker, end_well, new_job, worker  # noqa: F401  # fixtures
from tests.jobs.services.chat.test_conversations import serve
from tests.support import factories
from tests.support.localservers import ROOT
from tests.support.running import environment

pytestmark = [pytest.mark.fault("F29"), pytest.mark.timeout(300)]
# As of an early version: most of the tables are there, and people's rows in them.
MIDDLE = "0021"
SQUASHED = "0001_squashed_0020_endpoint_warnings"
PEOPLE = [("ann",), ("ben",)]


def run(data_dir, *command):
    given = environment({"CONSOLE_DATA_DIR": str(data_dir)})
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=given, capture_output=True, text=True, timeout=200, check=False
    )


def manage(data_dir, *command):
    ended = run(data_dir, "manage.py", *command)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def ask(data_dir, sql):
    with closing(sqlite3.connect(data_dir / "console.sqlite3")) as database:
        rows = database.execute(sql).fetchall()
        database.commit()
        return rows


def schema_of(data_dir):
    return sorted(ask(data_dir, "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))


def migrations_of(data_dir):
    return sorted(ask(data_dir, "SELECT app, name FROM django_migrations"))


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A database of an early version in which two people have an account."""
    data_dir = tmp_path_factory.mktemp("old")
    manage(data_dir, "migrate", "jobs", MIDDLE, "--verbosity", "0")
    for number, (name,) in enumerate(PEOPLE, start=1):
        ask(
            data_dir,
            "INSERT INTO auth_user (id, password, is_superuser, username, last_name, email, is_staff, is_active, "
            f"date_joined, first_name) VALUES ({number}, '!', 0, '{name}', '', '', 0, 1, '2026-01-01 00:00:00', '')",
        )
    return data_dir


@pytest.fixture(scope="module")
def upgraded(old, tmp_path_factory):
    return upgrade(copy(old, tmp_path_factory.mktemp("upgraded")))


def copy(old, data_dir):
    """Of the database, with what is in its log."""
    with (
        closing(sqlite3.connect(old / "console.sqlite3")) as before,
        closing(sqlite3.connect(data_dir / "console.sqlite3")) as after,
    ):
        before.backup(after)
    return data_dir


def upgrade(data_dir):
    manage(data_dir, "migrate", "--verbosity", "0")
    return data_dir


@pytest.mark.slow
@pytest.mark.parametrize("statement", [1, 2, 10, 25, 45, 60])
def test_a_migration_that_was_killed_goes_on(old, upgraded, tmp_path, statement):
    """Each migration is one transaction: the next start does the rest, and comes to the same tables."""
    data_dir = copy(old, tmp_path)
    killed = run(data_dir, "-m", "tests.faults.migration_that_dies", str(statement))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    done = migrations_of(data_dir)
    assert migrations_of(old) <= done
    assert len(done) < len(migrations_of(upgraded))
    upgrade(data_dir)
    assert schema_of(data_dir) == schema_of(upgraded)
    assert migrations_of(data_dir) == migrations_of(upgraded)
    assert ask(data_dir, "SELECT username FROM auth_user ORDER BY id") == PEOPLE
    assert ask(data_dir, "PRAGMA integrity_check") == [("ok",)]
    assert ask(data_dir, "PRAGMA foreign_key_check") == []


@pytest.mark.slow
def test_the_tables_of_an_upgrade_are_those_of_a_new_console(upgraded, tmp_path):
    """Columns may stand in another order; what each is, and each index, is the same."""
    upgrade(tmp_path)
    assert columns_of(tmp_path) == columns_of(upgraded)
    assert manage(upgraded, "migrate", "--check") == ""


def columns_of(data_dir):
    tables = [name for (name,) in ask(data_dir, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(row[1:] for row in ask(data_dir, f'PRAGMA table_info("{name}")')) for name in tables}


REPLACED = [name for _app, name in import_module(f"jobs.migrations.{SQUASHED}").Migration.replaces]


def as_before_the_squash(data_dir, names):
    """Whoever applies the squash notes the names of all that it replaces as well."""
    for name in {SQUASHED, *REPLACED} - set(names):
        ask(data_dir, f"DELETE FROM django_migrations WHERE app = 'jobs' AND name = '{name}'")
    return data_dir


@pytest.mark.slow
def test_a_database_that_never_heard_of_the_squash_is_upgraded(old, upgraded, tmp_path):
    data_dir = upgrade(as_before_the_squash(copy(old, tmp_path), REPLACED))
    assert schema_of(data_dir) == schema_of(upgraded)
    assert manage(data_dir, "migrate", "--check") == ""


@pytest.mark.parametrize("command", [("manage.py", "migrate"), ("manage.py", "up")])
def test_a_database_whose_migrations_are_gone_is_refused_and_left_alone(old, tmp_path, command):
    data_dir = as_before_the_squash(copy(old, tmp_path), REPLACED[:9])
    before = schema_of(data_dir), migrations_of(data_dir)
    refused = run(data_dir, *command)
    assert refused.returncode == 1
    assert f"from before {schema.OLDEST}. docs/operations.md says under “Upgrade”" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert (schema_of(data_dir), migrations_of(data_dir)) == before


def test_an_old_program_refuses_a_newer_database(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) "
            "VALUES ('jobs', '9999_from_the_future', '2026-01-01 00:00:00+00:00')"
        )
    assert "does not know 9999_from_the_future. Install the newer version again" in schema.why_not_use()


@pytest.fixture
def answer(fake_gateway, transactional_db):
    endpoint = factories.ready_endpoint()
    fake_gateway.chat.script = [["Arr"]]
    serve(fake_gateway, endpoint)
    return conversations.ask(factories.conversation(endpoint=endpoint), key=uuid4(), text="Ahoy")


@pytest.mark.parametrize("kind", ["none", "a mapping", "without columns", "without rows", "a column more", "no rows"])
def test_the_message_of_an_answer_as_another_version_sends_it(answer, kind):
    signer = Signer(salt=chat_row.SALT)
    rows = json.loads(signer.unsign(chat_row.pack(answer)))
    sent = {
        "none": {},
        "a mapping": {"rows": rows},
        "without columns": {"rows": signer.sign(json.dumps({**rows, "": {"id": rows[""]["id"]}}))},
        "without rows": {"rows": signer.sign(json.dumps({"": rows[""]}))},
        "no rows": {"rows": signer.sign(json.dumps([1]))},
        "a column more": {"rows": signer.sign(json.dumps({**rows, "": rows[""] | {"of_tomorrow": 1}}))},
    }[kind]
    tasks.answer_message(message_id=str(answer.pk), **sent)
    answer.refresh_from_db()
    assert (answer.state, answer.content) == ("COMPLETE", "Arr")


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_messages_that_this_version_does_not_know_are_left_alone(broker, worker):  # noqa: F811
    """A task that no longer exists, one with arguments of before, and one without its own: the worker goes on."""
    broker.start()
    job = new_job()
    for _ in range(3):
        current_app.send_task("tuning.advance_of_before", kwargs={"job_id": str(job.pk)}, queue="jobs")
        current_app.send_task("tuning.advance", kwargs={"job": str(job.pk)}, queue="jobs")
        current_app.send_task("tuning.advance", args=[str(job.pk), "more"], queue="jobs")
        current_app.send_task("tuning.advance", kwargs={"job_id": "7"}, queue="jobs")
    end_well(worker, [job])
    later = new_job()
    end_well(worker, [job, later])
    assert worker.process.poll() is None
    assert "tuning.advance_of_before" in worker.output.read_text()


def test_a_scheduler_of_before_that_asks_for_what_is_gone(db, fake_gateway):
    """The row it names may be gone as well."""
    for task, name in (
        (tasks.advance_tuning_job, "job_id"), (tasks.advance_endpoint, "endpoint_id"),
        (tasks.advance_deployed_model, "model_id"),
    ):  # fmt: skip
        task(**{name: str(uuid4())})
    assert (fake_gateway.ledger, fake_gateway.calls) == ([], [])


def test_the_sources_have_no_migration_outside_a_transaction():
    """What is done outside of one cannot be taken back when it is cut off."""
    sources = Path(ROOT, "jobs/migrations").glob("0*.py")
    assert [path.name for path in sources if "atomic = False" in path.read_text()] == []
