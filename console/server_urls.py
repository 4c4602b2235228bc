"""Addresses of servers with a password in them, also one that somebody pasted in as it is."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from django.core.exceptions import ImproperlyConfigured

_STRICT = r"[^/?#@\[\]]*"
_LENIENT = r"[^/?#@:]*:.*"
_REST = (
    r"(?P<host>\[[0-9a-fA-F:.]+\]|[^/?#@:\[\]]*)(?::(?P<port>\d{1,5}))?"
    r"(?:/(?P<name>[^/?#@]*))?(?:\?(?P<query>[^=#@/?]+=[^#]*))?"
)
_WHOLE = r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<login>%s)@)?" + _REST
_AFTER_LOGIN = re.compile(_REST)


@dataclass(frozen=True)
class ServerUrl:
    """`user` and `password` are decoded; `name` is the path without its slash. `port` None when it is not given."""

    scheme: str
    user: str
    password: str
    host: str
    port: int | None
    name: str
    query: str

    def __str__(self) -> str:
        """In the one spelling that every library reads."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@" if self.user or self.password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        name = f"/{self.name}" if self.name else ""
        return f"{self.scheme}://{login}{host}{port}{name}" + (f"?{self.query}" if self.query else "")


def parse(variable: str, url: str, schemes: set[str], example: str) -> ServerUrl:
    """Takes a password with /, #, ? or @ in it where only one reading is possible. Raises ImproperlyConfigured, whose
    sentence names the variable and never shows the password."""
    found = _only_reading(url)
    if found is None or found["scheme"] not in schemes or int(found["port"] or 0) > 65535:
        raise ImproperlyConfigured(
            f"{variable} must look like {example}. In a user or a password, percent-encode all but letters, digits and "
            "-._~, for example %2F for /, %23 for #, %40 for @ and %25 for %; openssl rand -hex 32 makes a password "
            "that needs none of it."
        )
    user, _colon, password = (found["login"] or "").partition(":")
    port = int(found["port"]) if found["port"] else None
    host = found["host"].strip("[]").lower()
    return ServerUrl(
        found["scheme"], unquote(user), unquote(password), host, port, found["name"] or "", found["query"] or ""
    )


def _only_reading(url: str) -> re.Match[str] | None:
    """As the standard has it, when there is a login before the first of its signs. Otherwise any @ may end a login, and
    one that can does."""
    strict = re.fullmatch(_WHOLE % _STRICT, url)
    if strict and strict["login"] is not None:
        return strict
    rests = [url[at.end() :] for at in re.finditer("@", url)]
    ends = sum(_AFTER_LOGIN.fullmatch(rest) is not None for rest in rests)
    lenient = re.fullmatch(_WHOLE % _LENIENT, url) if ends == 1 else None
    return lenient if ends else strict
