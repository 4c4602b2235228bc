"""Stored text of installations from before there were kinds: the English of a sentence was its key in the row.

The migration 0037 rewrites it. What the registry does not know stays, and is read as it always was.
"""

import json
from typing import Any

from .kinds import Registry

KEY = "sentence"
MARK = '{"sentence":'


def upgrade(value: Any, known: Registry) -> Any:
    """With every text of the old form in it, however deep in lists and dicts, in today's. What is no such text, or one
    whose English was never known, stays the same."""
    if isinstance(value, str):
        return _upgrade_text(value, known) if value.startswith(MARK) else value
    if isinstance(value, dict):
        return {name: upgrade(part, known) for name, part in value.items()}
    return [upgrade(part, known) for part in value] if isinstance(value, list) else value


def _upgrade_text(text: str, known: Registry) -> str:
    try:
        old = json.loads(text)
        if "as_it_is" in old:
            new = {"kind": "", "as_it_is": old["as_it_is"]}
        elif kind := known.find_kind(old.pop(KEY), old.pop("plural", "")):
            new = {"kind": kind, **upgrade(old, known)}
        else:
            return text
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return text
    return json.dumps(new, ensure_ascii=False)
