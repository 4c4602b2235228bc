"""Where a webhook may lead: to the public internet only, unless the installation says otherwise.

A name is looked up once and what was checked is what is connected to; so it makes no difference if the name stands for
another address a moment later.
"""

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx
from django.conf import settings

from jobs.text.deferred import gettext as _

Resolver = Callable[[str, int], list[str]]
# Assigned to hosts; the rest of IPv6 is not in use, or means an address of another kind.
UNICAST = ip_network("2000::/3")
TUNNELS = (ip_network("2001::/32"), ip_network("2002::/16"))
NAT64 = ip_network("64:ff9b::/96")
OLD_RELAYS = ip_network("192.88.99.0/24")


class BadAddress(ValueError):
    """The text is the remedy."""


class NotPublic(Exception):
    """The text is the address."""


def parse_url(text: str) -> httpx.URL:
    """By the parser that also sends, so that both understand the same host. Nothing is looked up."""
    try:
        url = httpx.URL(text.strip())
        port = 443 if url.port is None else url.port
    except (httpx.InvalidURL, ValueError):
        raise BadAddress(_("Enter a valid address, such as https://example.com/hook.")) from None
    if url.scheme not in ("https", "http") or not url.host or not 0 < port < 65536:
        raise BadAddress(_("Enter a valid address, such as https://example.com/hook."))
    if url.scheme == "http" and not settings.WEBHOOK_PRIVATE:
        raise BadAddress(_("The address must begin with https://."))
    if url.userinfo:
        raise BadAddress(_("Remove the username and password. Requests are signed instead."))
    if url.fragment:
        raise BadAddress(_("Remove the part after the #. It isn't sent."))
    literal = _literal(url.host)
    if literal is not None and not is_allowed(literal):
        raise BadAddress(_("%s isn't a public internet address.") % url.host)
    return url


def resolve_host(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_kind, address in found))


def addresses(url: httpx.URL, resolve: Resolver = resolve_host) -> list[str]:
    """Those that may be connected to. One that may not refuses them all: such a name is not to be trusted."""
    if _literal(url.host) is not None:
        found = [url.host]
    else:
        found = resolve(url.raw_host.decode("ascii"), url.port or {"https": 443}.get(url.scheme, 80))
    for text in found:
        if not is_allowed(ip_address(text)):
            raise NotPublic(text)
    return found


def is_allowed(address: IPv4Address | IPv6Address) -> bool:
    return settings.WEBHOOK_PRIVATE or is_public(address)


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Of an address within an address, the inner one decides."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return is_public(address.ipv4_mapped)
        if address in NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        tunnelled = any(address in tunnel for tunnel in TUNNELS)
        return address in UNICAST and address.is_global and not tunnelled
    return address.is_global and not address.is_multicast and not address.is_reserved and address not in OLD_RELAYS


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
