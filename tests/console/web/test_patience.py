import sqlite3
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from jobs.models import SignedInSession
from tests.support import factories

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.fault("F20")]
PATIENCE = 1.5


def busy_timeout():
    with connection.cursor() as cursor:
        return cursor.execute("PRAGMA busy_timeout").fetchone()[0]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL locks rows")
def test_a_request_waits_once_for_a_database_that_is_busy(client, owner):
    """The session, the view and the audit log all want to write."""
    client.force_login(owner)
    chat = factories.conversation(owner=owner, endpoint=None)
    SignedInSession.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    usual = busy_timeout()
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection.connection.execute(f"PRAGMA busy_timeout = {1000 * PATIENCE:.0f}")
    began = time.monotonic()
    answer = client.post(f"/studio/chat/{chat.pk}/delete/")
    took = time.monotonic() - began
    other.close()
    assert (answer.status_code, PATIENCE <= took < 2 * PATIENCE, busy_timeout()) == (503, True, usual)
    assert client.post(f"/studio/chat/{chat.pk}/delete/").status_code == 303
