import pytest

from jobs.vertex.errors import NotAuthorised, Unavailable
from jobs.vertex.sdk.cloud import rest
from tests.support.misbehaving_server import answer, error


def test_a_query_and_an_answer(api):
    api.behave = answer(200, {"a": 1})
    assert rest.ask("GET", "monitoring", "v3/x", query=[("filter", 'a="b"'), ("pageSize", "2")]) == {"a": 1}
    assert [one.path for one in api.requests] == ["/v3/x?filter=a%3D%22b%22&pageSize=2"]


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff\xfe"])
def test_what_is_no_json_is_no_answer(api, body):
    api.behave = answer(200, body)
    with pytest.raises(Unavailable):
        rest.ask("GET", "logging", "v2/x")


@pytest.mark.parametrize("body", [[], 7, "text", None])
def test_json_that_is_no_object_is_an_empty_one(api, body):
    api.behave = answer(200, body)
    assert rest.ask("GET", "logging", "v2/x") == {}


def test_an_answer_is_read_so_far_and_no_further(api):
    api.behave = answer(200, {"a": "x" * 2000})
    with pytest.raises(Unavailable, match="more than 1000 bytes"):
        rest.ask("GET", "logging", "v2/x", most=1000)


def test_an_answer_that_never_ends_is_given_up(api, settings):
    settings.VERTEX_READ_SECONDS = 0.5

    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not api.stopping.wait(0.05):
            connection.sendall(b" ")

    api.behave = drip
    with pytest.raises(Unavailable):
        rest.ask("GET", "logging", "v2/x")


@pytest.mark.parametrize(
    ("message", "command"),
    [
        (
            "Permission 'logging.logEntries.list' denied on resource (or it may not exist).",
            "gcloud projects add-iam-policy-binding garden --member=user:YOUR_ACCOUNT --role=roles/logging.viewer",
        ),
        (
            "Permission monitoring.timeSeries.list denied (or the resource may not exist).",
            "gcloud projects add-iam-policy-binding garden --member=user:YOUR_ACCOUNT --role=roles/monitoring.viewer",
        ),
        (
            "Cloud Logging API has not been used in project garden before or it is disabled. Enable it by visiting "
            "https://console.developers.google.com/apis/api/logging.googleapis.com/overview?project=garden then retry.",
            "gcloud services enable logging.googleapis.com --project=garden",
        ),
    ],
)
def test_what_is_missing_has_its_command(api, message, command):
    api.behave = error(403, "PERMISSION_DENIED", message)
    with pytest.raises(NotAuthorised) as refused:
        rest.ask("POST", "logging", "v2/entries:list", {})
    assert f"Run: {command} (" in str(refused.value)
