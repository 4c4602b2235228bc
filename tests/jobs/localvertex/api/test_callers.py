import pytest

from jobs.localvertex.api import callers

KNOWN = callers.hosts("127.0.0.1", 8085, ["Vertex", "us-central1-aiplatform.googleapis.com"])


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8085", "localhost:8085", "LOCALHOST:8085", "[::1]:8085", "1.us-7.prediction.localhost:8085",
        "vertex:8085", "vertex", "us-central1-aiplatform.googleapis.com",
    ],
)  # fmt: skip
def test_known_by(host):
    assert callers.why_not_answer("/v1/x", [("Host", host), ("Accept", "*/*")], KNOWN) == ""


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "host",
    ["evil.example:8085", "127.0.0.1", "127.0.0.1:80", "localhost:80",
     "localhost.evil.example:8085", "0.0.0.0:8085", "", "[::1",
     "127.0.0.1:8085:8085", "localhost@evil.example:8085", "notlocalhost:8085", "2130706433:8085"],
)  # fmt: skip
def test_not_known_by(host):
    assert callers.why_not_answer("/v1/x", [("host", host)], KNOWN).startswith("This server is not known as")


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    "header",
    [
        "Origin",
        "origin",
        "Referer",
        "Sec-Fetch-Site",
        "Sec-Fetch-Dest",
        "Sec-WebSocket-Key",
        "Sec-CH-UA",
        "Access-Control-Request-Method",
    ],
)
def test_pages_are_refused(header):
    assert callers.why_not_answer("/", [("Host", "127.0.0.1:8085"), (header, "")], KNOWN) == callers.NO_PAGES


@pytest.mark.threat("T4")
@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        ("http://127.0.0.1:8085/", ["127.0.0.1:8085"]),
        ("*", ["127.0.0.1:8085"]),
        ("/", []),
        ("/", ["localhost:8085"] * 2),
    ],
)
def test_one_host_and_one_path(target, hosts):
    assert "one Host header" in callers.why_not_answer(target, [("Host", host) for host in hosts], KNOWN)


def test_an_address_that_is_listened_on_is_known():
    assert callers.hosts("192.168.7.7", 80, []).why_not("192.168.7.7") == ""
    assert callers.hosts("0.0.0.0", 80, []).why_not("0.0.0.0") != ""
