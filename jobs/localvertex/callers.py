"""Who may ask servers that have no sign-in: programs of the person who runs them, and no web page.

A page can make its visitor's browser ask any port of the visitor's machine. The browser says so, in headers that no
script can leave out or change: `Origin`, `Sec-…`, and in `Host` the name that the page knows this server by.
"""

import ipaddress
import os
import re
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
WILDCARDS = frozenset({"0.0.0.0", "[::]", ""})  # noqa: S104  # compared, not bound
BROWSERS_ALONE = re.compile(r"origin|referer|sec-.+|access-control-request-.+")
NO_PAGES = "This server does not answer web pages."
OTHER_USER = "This server answers programs of the user who started it only."
ROOT = 0
CONNECTIONS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
Address = tuple[str, int]


@dataclass(frozen=True)
class Hosts:
    """The names that this server may be asked by: loopback's at its own port, any other at any port."""

    port: int
    others: frozenset[str] = frozenset()

    def why_not(self, host: str) -> str:
        name, _, port = host.lower().rpartition(":")
        if not port.isdecimal():
            name, port = host.lower(), "80"
        if name in self.others or ((name in LOOPBACK or name.endswith(".localhost")) and int(port) == self.port):
            return ""
        return f"This server is not known as {host[:100]!r}. If it is to be, start it with --allow-host."


def hosts(bound: str, port: int, allowed: Iterable[str]) -> Hosts:
    """`bound` is the address that the server listens on, `allowed` what --allow-host named."""
    own = f"[{bound}]" if ":" in bound else bound
    return Hosts(port, frozenset(name.lower() for name in {own, *allowed} - LOOPBACK - WILDCARDS))


def why_not_answer(target: str, headers: Iterable[tuple[str, str]], known: Hosts) -> str:
    """A sentence for whoever asked, empty when it may be answered. `target` is as it stands in the request line."""
    named = [(name.lower(), value) for name, value in headers]
    if any(BROWSERS_ALONE.fullmatch(name) for name, _value in named):
        return NO_PAGES
    asked = [value for name, value in named if name == "host"]
    if len(asked) != 1 or not target.startswith("/"):
        return "This server takes requests with a path and one Host header only."
    return known.why_not(asked[0])


def why_not_connect(peer: Address, own: Address) -> str:
    """Loopback is open to every user of the machine. Where the system doesn't tell whose a connection is, anybody
    who is on this machine may connect."""
    if not ipaddress.ip_address(own[0].partition("%")[0]).is_loopback:
        return ""
    for _attempt in range(3):  # The list is not read at one moment: a line may be missed.
        owners = dict(_owners(peer, own))
        if owners.get(peer) in {os.getuid(), ROOT}:
            return ""
    return OTHER_USER if own in owners else ""


def _owners(peer: Address, own: Address) -> Iterator[tuple[Address, int]]:
    """Whose each end of the connection is. An end that its process has closed is nobody's, and listed as root's."""
    ends = {text: end for end in (peer, own) for text in _as_listed(end)}
    for path in CONNECTIONS:
        try:
            lines = path.read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            here, there = ends.get(fields[1]), ends.get(fields[2])
            if here and there and here != there and fields[9] != "0":
                yield here, int(fields[7])


def _as_listed(address: Address) -> list[str]:
    """An address of IPv4 is listed as it is or within IPv6, as the program's socket is."""
    ip = ipaddress.ip_address(address[0].partition("%")[0])
    plain = getattr(ip, "ipv4_mapped", None) or ip
    forms = [plain.packed, ipaddress.ip_address(f"::ffff:{plain}").packed] if plain.version == 4 else [plain.packed]
    return [_hexadecimal(packed) + f":{address[1]:04X}" for packed in forms]


def _hexadecimal(packed: bytes) -> str:
    return "".join(f"{word:08X}" for word in struct.unpack(f"={len(packed) // 4}I", packed))


def ends(connection: socket.socket) -> tuple[Address, Address]:
    """The other end's and this one's."""
    return connection.getpeername()[:2], connection.getsockname()[:2]
