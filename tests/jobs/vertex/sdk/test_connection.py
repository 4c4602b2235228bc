import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials as UserCredentials

from jobs.vertex.sdk.connection import _describe, _time
from jobs.vertex.values import Credentials


class Attached:
    service_account_email = "runner@project.iam.gserviceaccount.com"


Attached.__module__ = "google.auth.compute_engine.credentials"


class Unasked(Attached):
    """Before it was asked, the metadata server's account is only called so."""

    service_account_email = "default"


Unasked.__module__ = Attached.__module__


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (AnonymousCredentials(), Credentials("none")),
        (UserCredentials("ya29.secret", account="ann@example.com"), Credentials("user", "ann@example.com")),
        (Attached(), Credentials("metadata", "runner@project.iam.gserviceaccount.com")),
        (Unasked(), Credentials("metadata")),
        (object(), Credentials("other")),
    ],
)
def test_credentials_are_told_without_a_secret(found, told):
    assert _describe(found) == told


@pytest.mark.parametrize("text", ["", "yesterday", "Tue, 99 Nov 2026 12:00:00 GMT"])
def test_a_date_that_is_none_is_no_time(text):
    assert _time(text) is None


def test_the_date_of_an_answer_is_utc():
    assert _time("Tue, 24 Nov 2026 12:00:00 GMT").isoformat() == "2026-11-24T12:00:00+00:00"
