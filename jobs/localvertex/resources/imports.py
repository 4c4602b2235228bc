"""Models that are imported into this server: its own calls, of which Vertex AI has none.

They write to the disk of this machine, and read files of it, so that a key is asked for, which the console has.
"""

import hmac
import re
from collections.abc import Collection
from typing import Any

from jobs.localvertex.api.errors import ApiError, invalid, precondition
from jobs.localvertex.api.wire import Json
from jobs.localvertex.imports.importer import Imports
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.resources.uses import list_uses, name_without_endpoint

KEY_VARIABLE = "LOCALVERTEX_IMPORT_KEY"
SHORTEST_KEY = 16
PREFIX = "/localvertex/imports"
LONGEST = 2000
FIELDS = ("id", "source", "revision", "file", "token")
_ONE = re.compile(rf"{PREFIX}/(?P<id>[\w-]{{1,64}})(?P<verb>:pause|:cancel)?")


def is_asked(path: str) -> bool:
    return path.startswith(PREFIX)


def check_key(given: str, key: str) -> None:
    if len(key) < SHORTEST_KEY:
        raise precondition(
            f"This server imports no models: it was started without {KEY_VARIABLE}. Set it to a secret of at least"
            f" {SHORTEST_KEY} characters, here and for the console."
        )
    if not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
        raise ApiError("PERMISSION_DENIED", f"Imports need the key that this server was started with ({KEY_VARIABLE}).")


def answer(parts: Parts, verb: str, path: str, body: object) -> Json:
    imports = parts.imports
    assert imports is not None
    if (verb, path) == ("POST", f"{PREFIX}:remove"):
        return {"freed": _remove(parts, imports, body)}
    if (verb, path) == ("POST", f"{PREFIX}:inspect"):
        asked = _fields(body)
        return imports.inspect(asked["source"], asked["revision"], asked["file"], asked["token"])
    if (verb, path) == ("POST", PREFIX):
        asked = _fields(body)
        return imports.start(asked["id"], asked["source"], asked["revision"], asked["file"], asked["token"]).tell()
    found = _ONE.fullmatch(path)
    if found and verb == "GET" and not found["verb"]:
        return imports.get(found["id"]).tell()
    if found and (verb, found["verb"]) == ("POST", ":pause"):
        return imports.pause(found["id"]).tell()
    if found and (verb, found["verb"]) == ("POST", ":cancel"):
        imports.cancel(found["id"])
        return {}
    raise ApiError("NOT_FOUND", f"{verb} {path[:200]} is not a call that this server knows.")


def _remove(parts: Parts, imports: Imports, body: object) -> int:
    """By the name of the model: what was imported may be forgotten as an import."""
    found = _object(body, ("model",))
    if not isinstance(found.get("model"), str):
        raise invalid("model is required: PUBLISHER/MODEL@VERSION of an imported model.", "model")
    model = parts.catalogue.get(found["model"], "model").id
    served = name_without_endpoint(parts, model)
    freed = imports.remove(model, lambda base: list_uses(parts, base))
    parts.serving.stop(served)
    return freed


def _fields(body: object) -> dict[str, str]:
    found = _object(body, FIELDS)
    for name, value in found.items():
        if not isinstance(value, str) or len(value) > LONGEST:
            raise invalid(f"{name} must be a text of at most {LONGEST} characters.", name)
    if not found.get("source", "").strip():
        raise invalid("source is required: a repository of Hugging Face, or a path.", "source")
    if re.search(r"[^\x21-\x7e]", found.get("token", "")):
        raise invalid("A token has letters, digits and signs without spaces.", "token")
    return {name: found.get(name, "") for name in FIELDS}


def _object(body: object, fields: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = body if isinstance(body, dict) else {}
    if unknown := sorted(set(found) - set(fields)):
        raise invalid(f"Unknown field {unknown[0][:100]!r}.", unknown[0][:100])
    return found
