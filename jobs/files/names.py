"""What a kept file is called. A name comes out of a row, which a restored backup may have filled with anything."""

import re
from datetime import datetime
from typing import NamedTuple

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*(?:/\.?[a-z0-9][a-z0-9.-]*)+")


class Stored(NamedTuple):
    name: str
    size: int
    modified: datetime


def check_name(name: str) -> str:
    """Raises FileNotFoundError for what cannot be the name of a file that the console kept, such as one with `..`."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise FileNotFoundError(name)
    return name
