"""The audit log cannot be altered unseen, and misses nothing that changes something."""

import threading
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections, transaction

from jobs.models import AuditEntry, TuningJob
from jobs.origin import Origin, comes_from
from jobs.services import audit
from jobs.services.accounts import accounts
from jobs.services.endpoints import endpoints, lifetime
from jobs.services.tuning import jobs
from tests.support import factories

pytestmark = [pytest.mark.threat("T23"), pytest.mark.django_db]
THREADS, EACH = 8, 50


def entries(count: int) -> None:
    for number in range(count):
        audit.record("test.entry", facts={"number": number})


def refused(statement: str) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    except DatabaseError as error:
        return "append-only" in str(error)
    return False


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE jobs_auditentry SET actor = 'somebody'",
        "UPDATE jobs_auditentry SET hash = hash WHERE number = 2",
        "DELETE FROM jobs_auditentry WHERE number = 2",
        "DELETE FROM jobs_auditentry",
    ],
)
def test_the_database_refuses_to_change_an_entry(append_only, statement):
    entries(3)
    before = list(AuditEntry.objects.order_by("number").values())
    assert (refused(statement), list(AuditEntry.objects.order_by("number").values())) == (True, before)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="REPLACE is SQLite's own")
@pytest.mark.parametrize("column", ["number", "id"])
def test_an_entry_cannot_be_replaced(append_only, column):
    entries(3)
    columns = [field.column for field in AuditEntry._meta.fields]
    values = ", ".join(name if name == column or name != "number" else "99" for name in columns)
    values = values if column == "id" else values.replace("id,", "'0' AS id,", 1)
    row = f"SELECT {values} FROM jobs_auditentry WHERE number = 2"
    assert refused(f"INSERT OR REPLACE INTO jobs_auditentry ({', '.join(columns)}) {row}")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no TRUNCATE")
def test_the_log_cannot_be_emptied(append_only):
    entries(3)
    assert refused("TRUNCATE jobs_auditentry")


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE jobs_auditentry SET actor = 'somebody' WHERE number = 3", audit.Break(3, "changed")),
        ("UPDATE jobs_auditentry SET facts = '{}' WHERE number = 1", audit.Break(1, "changed")),
        (
            "UPDATE jobs_auditentry SET created_at = '2020-01-01 00:00:00+00:00' WHERE number = 4",
            audit.Break(4, "changed"),
        ),
        ("DELETE FROM jobs_auditentry WHERE number = 3", audit.Break(3, "missing")),
        ("DELETE FROM jobs_auditentry WHERE number = 1", audit.Break(1, "missing")),
    ],
)
def test_what_was_done_behind_the_triggers_is_found(statement, broken):
    entries(5)
    assert audit.verify() is None
    with connection.cursor() as cursor:
        cursor.execute(statement)
    assert audit.verify() == broken


def test_an_entry_with_a_hash_of_its_own_is_found():
    """Whoever writes to the database has no key to seal an entry with."""
    entries(2)
    forged = AuditEntry(action="test.entry", outcome="ok", number=3)
    forged.hash = audit.seal(forged, AuditEntry.objects.get(number=2).hash, "a guess")
    forged.save(force_insert=True)
    assert audit.verify() == audit.Break(3, "changed")


def test_entries_that_were_cut_off_are_missed_by_who_noted_the_last_one():
    entries(5)
    noted = audit.head()
    AuditEntry.objects.filter(number__gt=3)._raw_delete("default")
    assert (audit.verify(), audit.verify(noted)) == (None, audit.Break(4, "missing"))


def test_an_earlier_key_still_counts(settings):
    entries(2)
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another one"
    entries(2)
    assert (audit.verify(), audit.verify(secrets=[old])) == (audit.Break(1, "changed"), None)


@pytest.mark.django_db(transaction=True)
def test_eight_threads_write_one_unbroken_chain():
    def write() -> None:
        try:
            entries(EACH)
        finally:
            connections["default"].close()

    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = list(AuditEntry.objects.order_by("number").values_list("number", flat=True))
    assert (numbers, audit.verify()) == (list(range(1, THREADS * EACH + 1)), None)


def test_the_command_says_that_the_log_is_whole(capsys):
    entries(3)
    call_command("verify_audit_log")
    number, seal = audit.head()
    assert capsys.readouterr().out == f"3 entries, none changed or missing. The last one: {number}:{seal}\n"


def test_the_command_names_the_first_bad_entry():
    entries(3)
    AuditEntry.objects.filter(number=2).update(actor="somebody")
    with pytest.raises(CommandError, match=r"^Entry 2 was changed\."):
        call_command("verify_audit_log")


def test_the_command_knows_what_was_noted():
    entries(3)
    number, seal = audit.head()
    AuditEntry.objects.filter(number=3)._raw_delete("default")
    with pytest.raises(CommandError, match=r"^Entry 3 is missing\."):
        call_command("verify_audit_log", noted=f"{number}:{seal}")


@pytest.mark.django_db(transaction=True)
def test_without_its_entry_there_is_no_change(owner):
    """Such as on a full disk: here the database refuses the entry."""
    job = factories.job(owner=owner)
    with connection.schema_editor() as editor:
        change = "ALTER TABLE jobs_auditentry RENAME TO away"
        editor.execute(change)
    try:
        with pytest.raises(DatabaseError):
            jobs.request_cancel(job)
    finally:
        with connection.schema_editor() as editor:
            editor.execute("ALTER TABLE away RENAME TO jobs_auditentry")
    assert TuningJob.objects.get().cancel_requested_at is None


def told() -> list[tuple[object, ...]]:
    rows = AuditEntry.objects.order_by("number")
    return list(rows.values_list("actor", "user_id", "action", "object_name", "outcome", "reason", "address"))


def test_what_the_console_does_by_itself_is_its_own(owner):
    endpoint = factories.ready_endpoint(
        owner=owner, lease_kind="FIXED", lease_hours=1, undeploy_at=factories.NOW, wanted="READY"
    )
    assert lifetime.end(endpoint.pk, factories.NOW + timedelta(hours=1))
    assert told() == [("system", owner.pk, "endpoint.undeploy", "My endpoint", "ok", "lease_over", "")]


def test_a_link_to_sign_in_with_is_noted_and_its_token_is_not(owner):
    token = accounts.issue_link(owner, valid=timedelta(hours=1))
    assert told() == [("system", owner.pk, "account.sign_in_link", "owner", "ok", "", "")]
    assert token not in str(list(AuditEntry.objects.values()))


def test_the_request_says_who_and_from_where(owner, team_mate):
    with comes_from(Origin(lambda: team_mate, "192.0.2.7", "abcd")):
        jobs.request_cancel(factories.job(owner=owner))
    assert told() == [("team-mate", team_mate.pk, "tuning_job.cancel", "My model", "ok", "", "192.0.2.7")]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800", "x" * 5000])
def test_every_name_can_be_written(text):
    audit.record("test.entry", audit.Subject("account", text, text))
    assert audit.verify() is None


def test_triggers_are_there_after_all_migrations(migrated):
    """SQLite makes a table anew when it is altered, and loses them."""
    expected = {
        "sqlite": {"audit_no_update", "audit_no_delete", "audit_no_replace"},
        "postgresql": {"audit_no_change", "audit_no_truncate"},
    }
    assert migrated == expected[connection.vendor]


def test_a_deployment_that_comes_by_itself_is_the_consoles(owner):
    job = factories.job(owner=owner, state="SUCCEEDED", phase="CLOSED")
    endpoints.deploy_for_job(job)
    assert told() == [("system", owner.pk, "endpoint.deploy", "My model", "ok", "", "")]
    assert AuditEntry.objects.get().facts == {"automatic": True}
