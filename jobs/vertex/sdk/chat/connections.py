"""A connection for one chat: to Google Cloud through the proxy and with the certificate authorities of the environment,
as every other call goes there; to a server on this machine directly.

`http.client` reads neither by itself; HTTPS_PROXY, NO_PROXY and REQUESTS_CA_BUNDLE are what Google's clients read.
"""

import base64
import os
import ssl
from dataclasses import dataclass, field
from functools import lru_cache
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
from django.conf import settings

from jobs.log_lines import escape
from jobs.text.deferred import gettext as _
from jobs.vertex.errors import Unavailable

CONNECT_SECONDS = 10.0
PROXY_PORT = 80
LONGEST_REASON = 300
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Proxy:
    """`headers` are what signs in there, and are shown nowhere."""

    host: str
    port: int
    headers: dict[str, str] = field(repr=False)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def open_connection(base: str) -> HTTPConnection:
    """Not connected yet."""
    parts = urlsplit(base)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return HTTPConnection(host, parts.port, timeout=CONNECT_SECONDS)
    if settings.VERTEX_API_ENDPOINT:
        return HTTPSConnection(host, parts.port, timeout=CONNECT_SECONDS, context=make_context(""))
    proxy = find_proxy(base)
    bundle = next((path for name in BUNDLES if (path := os.environ.get(name, ""))), "")
    if proxy is None:
        return HTTPSConnection(host, parts.port, timeout=CONNECT_SECONDS, context=make_context(bundle))
    connection = HTTPSConnection(proxy.host, proxy.port, timeout=CONNECT_SECONDS, context=make_context(bundle))
    connection.set_tunnel(host, parts.port, proxy.headers)
    return connection


def explain(error: OSError, base: str) -> Unavailable:
    """Why there is no connection, and what to do where the network itself is in the way."""
    host = urlsplit(base).hostname or ""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = _(
            "The certificate of %(host)s isn't trusted: %(reason)s. If your network has its own certificate authority,"
            " set REQUESTS_CA_BUNDLE to a file with its certificate."
        )
        return Unavailable(text % {"host": host, "reason": error.verify_message}, "UNAVAILABLE")
    proxy = None if settings.VERTEX_API_ENDPOINT else find_proxy(base)
    if proxy is None:
        return Unavailable(_("The endpoint cannot be reached."), "UNAVAILABLE")
    text = _("The endpoint cannot be reached through the proxy %(proxy)s in HTTPS_PROXY: %(reason)s")
    return Unavailable(text % {"proxy": proxy.address, "reason": escape(str(error)[:LONGEST_REASON])}, "UNAVAILABLE")


def find_proxy(base: str) -> Proxy | None:
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415  # of Google's clients, not without them

    found = select_proxy(base, get_environ_proxies(base))
    if not found:
        return None
    try:
        parts = urlsplit(found if "://" in found else f"http://{found}")
        port = parts.port or PROXY_PORT
    except ValueError as error:
        text = _("Chats can't use the proxy in HTTPS_PROXY: its address must be like http://proxy.example:3128.")
        raise Unavailable(text, "UNAVAILABLE") from error
    if parts.scheme != "http" or not parts.hostname:
        text = _("Chats can't use the proxy in HTTPS_PROXY: its address must begin with http://, not %s://.")
        raise Unavailable(text % parts.scheme, "UNAVAILABLE")
    return Proxy(parts.hostname, port, _sign_in(parts))


def _sign_in(parts: SplitResult) -> dict[str, str]:
    if not parts.username:
        return {}
    both = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(both.encode()).decode()}"}


@lru_cache(maxsize=4)
def make_context(bundle: str) -> ssl.SSLContext:
    """Trusts the certificate authorities of certifi, or those in the file or folder `bundle` in their place."""
    if not bundle:
        return httpx.create_ssl_context(trust_env=False)
    try:
        if os.path.isdir(bundle):
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        text = _("The certificates in %(path)s (REQUESTS_CA_BUNDLE) cannot be read: %(reason)s")
        raise Unavailable(text % {"path": bundle, "reason": error.strerror or str(error)}, "UNAVAILABLE") from error
