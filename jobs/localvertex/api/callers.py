"""Who may ask servers that have no sign-in: programs of the person who runs them, and no web page.

A page can make its visitor's browser ask any port of the visitor's machine. The browser says so, in headers that no
script can leave out or change: `Origin`, `Sec-…`, and in `Host` the name that the page knows this server by.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
WILDCARDS = frozenset({"0.0.0.0", "[::]", ""})  # noqa: S104  # compared, not bound
# `Sec-Fetch-Mode` without the others comes from fetch() of Node.js.
BROWSERS_ALONE = re.compile(r"origin|referer|sec-(?!fetch-mode$).+|access-control-request-.+")
NO_PAGES = "This server does not answer web pages."


@dataclass(frozen=True)
class Hosts:
    """The names that this server may be asked by: loopback's at its own port, any other at any port, and so any name
    that ends as one of `domains`, which are nobody's to lead a browser astray by."""

    port: int
    others: frozenset[str] = frozenset()
    domains: tuple[str, ...] = ()

    def why_not(self, host: str) -> str:
        name, _, port = host.lower().rpartition(":")
        if not port.isdecimal():
            name, port = host.lower(), "80"
        if name in self.others or (self.domains and name.endswith(self.domains)):
            return ""
        if (name in LOOPBACK or name.endswith(".localhost")) and int(port) == self.port:
            return ""
        return f"This server is not known as {host[:100]!r}. If it is to be, start it with --allow-host."


def hosts(bound: str, port: int, allowed: Iterable[str], domains: tuple[str, ...] = ()) -> Hosts:
    """`bound` is the address that the server listens on, `allowed` what --allow-host named."""
    own = f"[{bound}]" if ":" in bound else bound
    return Hosts(port, frozenset(name.lower() for name in {own, *allowed} - LOOPBACK - WILDCARDS), domains)


def why_not_answer(target: str, headers: Iterable[tuple[str, str]], known: Hosts) -> str:
    """A sentence for whoever asked, empty when it may be answered. `target` is as it stands in the request line."""
    named = [(name.lower(), value) for name, value in headers]
    if any(BROWSERS_ALONE.fullmatch(name) for name, _value in named):
        return NO_PAGES
    asked = [value for name, value in named if name == "host"]
    if len(asked) != 1 or not target.startswith("/"):
        return "This server takes requests with a path and one Host header only."
    return known.why_not(asked[0])
