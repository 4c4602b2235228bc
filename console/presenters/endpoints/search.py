"""The words that a list of endpoints is searched for."""

import re
from collections.abc import Mapping
from typing import Any

LONGEST_QUERY = 200


def words_of(query: Mapping[str, Any]) -> str:
    return re.sub(r"[\x00-\x1f]", " ", query.get("q", "")).strip()[:LONGEST_QUERY]
