"""Chats on Google Cloud from a network with a proxy and an authority of its own, and what each thing at fault says."""

from contextlib import contextmanager

import pytest

from jobs.vertex.errors import Unavailable
from jobs.vertex.sdk import clients, credentials
from jobs.vertex.sdk.chat.answers import Chat
from jobs.vertex.sdk.chat.connections import Proxy, explain, find_proxy, make_context
from jobs.vertex.values import ChatChunk
from tests.jobs.vertex.sdk.chat.test_answers import STOP, frames, request, stream, text
from tests.support.googlehost import TOKEN, google_host
from tests.support.misbehaving_server import answer, bad_server

HOST = "7.us-central1-42.prediction.vertexai.goog"
GOOGLE = "https://us-central1-aiplatform.googleapis.com"
VARIABLES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "REQUESTS_CA_BUNDLE",
             "CURL_CA_BUNDLE")  # fmt: skip


@pytest.fixture(autouse=True)
def _on_google(settings, monkeypatch):
    settings.VERTEX_API_ENDPOINT = ""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for cached in (credentials.load, clients._client, make_context):
        cached.cache_clear()
    yield
    for cached in (credentials.load, clients._client, make_context):
        cached.cache_clear()


@contextmanager
def google(tmp_path, monkeypatch, **changes):
    body = frames(text("Hello"), STOP)
    with bad_server(stream(body)) as server, google_host(tmp_path / "google", server.address) as host:
        for name, value in (host.environment | changes).items():
            monkeypatch.setenv(name, value)
        yield host


def ask():
    with Chat(first=5.0, idle=5.0, total=10.0).stream(request(dedicated_dns=HOST)) as chunks:
        return list(chunks)


def test_a_dedicated_host_is_asked_by_the_proxy_with_the_token(tmp_path, monkeypatch):
    with google(tmp_path, monkeypatch) as host:
        assert ask() == [ChatChunk("Hello"), ChatChunk(finish_reason="stop")]
    (asked,) = [head for head in host.heads if head.startswith("POST ")]
    assert f"authorization: bearer {TOKEN}" in asked.lower()
    assert (host.hosts, f"\r\nHost: {HOST}\r\n" in asked) == ([HOST], True)


def test_an_authority_that_nobody_trusts_is_named_with_the_setting(tmp_path, monkeypatch):
    with google(tmp_path, monkeypatch) as host:
        del host
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.delenv("CURL_CA_BUNDLE")
        with pytest.raises(Unavailable, match=f"The certificate of {HOST} isn't trusted: .* set REQUESTS_CA_BUNDLE"):
            ask()


def test_a_bundle_that_is_not_there_is_named(tmp_path, monkeypatch):
    missing = r"none\.pem \(REQUESTS_CA_BUNDLE\) cannot be read: No such file"
    bundle = str(tmp_path / "none.pem")
    with google(tmp_path, monkeypatch, REQUESTS_CA_BUNDLE=bundle), pytest.raises(Unavailable, match=missing):
        ask()


def test_a_proxy_that_refuses_is_named(tmp_path, monkeypatch):
    refuses = r"through the proxy 127\.0\.0\.1:\d+ in HTTPS_PROXY: Tunnel connection failed: 407"
    with google(tmp_path, monkeypatch), bad_server(answer(407, {})) as proxy:
        signed_in = proxy.address.replace("//", "//ann:secret@")
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, signed_in)
        with pytest.raises(Unavailable, match=refuses) as caught:
            ask()
    assert "secret" not in f"{caught.value} {find_proxy(GOOGLE)!r}"
    assert proxy.requests[0].headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"HTTPS_PROXY": "http://proxy.example:3128"}, Proxy("proxy.example", 3128, {})),
        ({"https_proxy": "proxy.example"}, Proxy("proxy.example", 80, {})),
        ({"HTTPS_PROXY": "http://ann:s%40y@proxy.example:1"},
         Proxy("proxy.example", 1, {"Proxy-Authorization": "Basic YW5uOnNAeQ=="})),
        ({"HTTPS_PROXY": "http://proxy.example:1", "NO_PROXY": ".googleapis.com"}, None),
        ({"HTTPS_PROXY": "http://proxy.example:1", "no_proxy": "other.example"}, Proxy("proxy.example", 1, {})),
    ],
)  # fmt: skip
def test_which_proxy_the_environment_names(monkeypatch, variables, expected):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_proxy(GOOGLE) == expected


@pytest.mark.parametrize("scheme", ["https", "socks5"])
def test_a_proxy_of_another_kind_is_refused_with_the_reason(monkeypatch, scheme):
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://ann:secret@proxy.example:1")
    with pytest.raises(Unavailable, match=f"must begin with http://, not {scheme}://") as caught:
        find_proxy(GOOGLE)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["http://ann:secret@proxy.example:99999", "http://ann:secret@[proxy", "x:port"])
def test_a_proxy_without_a_readable_address_is_refused_with_an_example(monkeypatch, address):
    monkeypatch.setenv("HTTPS_PROXY", address)
    with pytest.raises(Unavailable, match=r"must be like http://proxy\.example:3128\.") as caught:
        find_proxy(GOOGLE)
    assert "secret" not in str(caught.value)


def test_what_a_proxy_says_is_one_printable_line(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:1")
    said = str(explain(OSError("Tunnel connection failed: 407 no\x00\x1b[31m"), GOOGLE))
    assert said.endswith(r"407 no\x00\x1b[31m")
