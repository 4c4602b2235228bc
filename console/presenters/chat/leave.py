"""Where a link in an answer leads."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from jobs.text.markdown import LONGEST_ADDRESS, SCHEMES

# A browser drops some of these from an address before it reads it, and shows others as something else.
_UNREADABLE = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\\]")


@dataclass(frozen=True)
class Destination:
    """`before`, `site` and `after` are the address in three parts; `site` is empty for an e-mail address."""

    address: str
    before: str
    site: str
    after: str


def destination(address: str) -> Destination | None:
    """None for what is no absolute address of a known kind, or would not be read as it is shown."""
    if len(address) > LONGEST_ADDRESS or _UNREADABLE.search(address):
        return None
    try:
        parts = urlsplit(address)
        site, _port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if parts.scheme == "mailto":
        return Destination(address, address, "", "") if "@" in parts.path else None
    if parts.scheme not in SCHEMES or not site or not site.isascii():
        return None
    at = address.lower().rindex(site, 0, len(parts.scheme) + 3 + len(parts.netloc))
    return Destination(address, address[:at], address[at : at + len(site)], address[at + len(site) :])
