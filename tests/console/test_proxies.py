"""Who asks, where a proxy may stand between: what is believed of whom."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from console import asgi
from console.environment import env_networks
from console.proxies import TrustedProxies

ROOT = Path(__file__).parents[2]
PROXY, STRANGER = "172.18.0.1", "203.0.113.5"
CLAIMED = [
    (b"host", b"console.example.com"), (b"x-forwarded-for", b"192.0.2.9"), (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"evil.example"), (b"forwarded", b"for=192.0.2.9"), (b"x-real-ip", b"192.0.2.9"),
    (b"x_forwarded_proto", b"https"),
]  # fmt: skip


def seen(client: str, trusted: list[str], headers: Any = CLAIMED) -> dict[str, Any]:
    """What the application is told."""
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    scope = {"type": "http", "scheme": "http", "client": (client, 5000), "headers": list(headers)}
    asyncio.run(TrustedProxies(app, trusted)(scope, None, None))
    return found


def names(found: dict[str, Any]) -> set[bytes]:
    return {name for name, _ in found["headers"]}


@pytest.mark.threat("T18", "T21")
@pytest.mark.parametrize("client", [STRANGER, "127.0.0.1", "10.0.0.5", "::1", "192.168.1.1"])
@pytest.mark.parametrize("trusted", [[], [PROXY]])
def test_nobody_else_is_believed_not_even_a_neighbour(client, trusted):
    found = seen(client, trusted)
    assert (found["client"][0], found["scheme"], names(found)) == (client, "http", {b"host"})


@pytest.mark.parametrize("trusted", [[PROXY], ["172.16.0.0/12"], ["10.0.0.1", PROXY]])
def test_a_proxy_that_is_named_is_believed(trusted):
    found = seen(PROXY, trusted)
    assert (found["client"][0], found["scheme"], b"x-forwarded-proto" in names(found)) == ("192.0.2.9", "https", True)


def test_what_a_client_told_the_proxy_of_itself_is_not_believed():
    """The proxy adds the address that asked it, as the last one."""
    headers = [(b"x-forwarded-for", b"198.51.100.7, 192.0.2.9")]
    assert seen(PROXY, [PROXY], headers)["client"][0] == "192.0.2.9"


def test_a_connection_without_an_address_is_nobodys():
    found: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        found.update(scope)

    scope = {"type": "http", "scheme": "http", "client": None, "headers": list(CLAIMED)}
    asyncio.run(TrustedProxies(app, [PROXY])(scope, None, None))
    assert names(found) == {b"host"}


def test_every_request_of_the_console_passes_here():
    assert isinstance(asgi.application, TrustedProxies)


def test_the_server_itself_believes_nobody():
    """uvicorn would believe 127.0.0.1, where every program of the machine is."""
    from console import serve
    from console.management import processes

    web = processes.web({}, ROOT, "127.0.0.1", 8000)
    image = (ROOT / "Dockerfile").read_text().partition("CMD")[2]
    assert ("console.serve" in web.command, '"console.serve"' in image) == (True, True)
    assert ("--no-proxy-headers" in serve.OPTIONS, "--forwarded-allow-ips" in image) == (True, False)


@pytest.mark.parametrize(
    ("text", "found"),
    [("", []), ("127.0.0.1", ["127.0.0.1"]), (" 10.0.0.0/8 , ::1,", ["10.0.0.0/8", "::1"])],
)
def test_networks_are_read(monkeypatch, text, found):
    monkeypatch.setenv("CONSOLE_TRUSTED_PROXIES", text)
    assert env_networks("CONSOLE_TRUSTED_PROXIES") == found


@pytest.mark.parametrize("text", ["*", "proxy", "10.0.0.1/8", "10.0.0", "127.0.0.1 10.0.0.1"])
def test_what_is_no_network_stops_the_start(monkeypatch, text):
    monkeypatch.setenv("CONSOLE_TRUSTED_PROXIES", text)
    with pytest.raises(ImproperlyConfigured, match="CONSOLE_TRUSTED_PROXIES has"):
        env_networks("CONSOLE_TRUSTED_PROXIES")
