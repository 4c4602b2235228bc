import pytest
from google.auth.credentials import AnonymousCredentials
from google.oauth2.credentials import Credentials as UserCredentials

from jobs.vertex.machine import Gpu
from jobs.vertex.sdk import Gateway
from jobs.vertex.sdk.connection import _describe, _time
from jobs.vertex.values import Credentials
from tests.support.misbehaving_server import answer, bad_server


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


CARD = {"name": "NVIDIA L4", "total_bytes": 24, "free_bytes": 20}


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"devices": {"gpus": [CARD, CARD | {"name": "N" * 200}]}}, [Gpu("NVIDIA L4", 24, 20), Gpu("N" * 100, 24, 20)]),
        ({"devices": {"gpus": [CARD] * 100}}, [Gpu("NVIDIA L4", 24, 20)] * 64),
        ({"devices": {"gpus": []}}, []),
        ({"devices": {"gpus": [{"name": "x"}]}}, []),
        ({"devices": {"gpus": [CARD | {"free_bytes": "some"}]}}, []),
        ({"status": "ok"}, []),
        ([], []),
    ],
)
def test_gpus_of_the_local_server(settings, told, found):
    with bad_server(answer(200, told)) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        assert Gateway().connection.list_gpus() == found
    assert server.requests[0].path == "/healthz"


def test_google_is_not_asked_for_gpus(settings):
    settings.VERTEX_API_ENDPOINT = ""
    assert Gateway().connection.list_gpus() == []
