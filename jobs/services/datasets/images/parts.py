"""Which part of a turn is an image, in OpenAI's words and in Gemini's, and what else of a row names an object."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from jobs.text.deferred import gettext as _
from jobs.text.printable import printable

# Field, problem and remedy.
Fault = tuple[str, str, str]
# The fields of OpenAI's and of Gemini's messages that name an image or a file.
REFERRING = ("image_url", "fileData", "file_data")
INLINE = ("inlineData", "inline_data")
# However JSON may write gs:/, so that only such lines are looked through.
HINT = re.compile(r"(?:[gG]|\\u00[46]7)(?:[sS]|\\u00[57]3)(?::|\\u003[aA])(?:\\?/|\\u002[fF])")
TYPES = ("image/png", "image/jpeg", "image/webp")
DATA_URI = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,(.*)", re.DOTALL)
BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
ADDRESSES, KINDS = ("fileUri", "file_uri"), ("mimeType", "mime_type")


@dataclass(frozen=True)
class RowImage:
    """`path` is that of its part. `address` as the row has it, a gs:// path or a name; of an image inside of the row
    only what tells it from others. `source` is the object of the row that has it."""

    path: str
    address: str
    source: dict[str, Any] = field(compare=False, repr=False)

    @property
    def is_inline(self) -> bool:
        return self.address.startswith("data:")


def is_image(part: Any) -> bool:
    """Whether it means to be one, right or wrong."""
    if not isinstance(part, dict):
        return False
    return any(name in part for name in (*REFERRING, *INLINE)) or "image" in str(part.get("type"))


def read_part(part: dict[str, Any], path: str) -> RowImage | Fault:
    """One that `is_image`: as Google documents it for tuning, and nothing beside it that a server could take for
    another one."""
    names = set(part) - {"type"} if part.get("type") in ("image_url", None) else set(part)
    name = next(iter(names), "")
    source = part.get(name)
    if len(names) != 1 or name not in (*REFERRING, *INLINE) or not isinstance(source, dict):
        remedy = _(
            'Write {"type": "image_url", "image_url": {"url": "…"}} or {"fileData": {…}}, and nothing else in it.'
        )
        return path, _("This is not an image part."), remedy
    here = f"{path}.{name}"
    if name == "image_url":
        return _read_url(source, path, here)
    return _read_data(source, path, here, is_inline=name in INLINE)


def _read_url(source: dict[str, Any], path: str, here: str) -> RowImage | Fault:
    if unknown := set(source) - {"url", "detail"}:
        return _unknown_field(here, unknown)
    address = source.get("url")
    if not isinstance(address, str) or not address.strip():
        return _no_address(f"{here}.url")
    if not address.startswith("data:"):
        return RowImage(path, address, source)
    found = DATA_URI.fullmatch(address)
    if found is None:
        return f"{here}.url", _("The image is not in Base64."), _("Write data:image/png;base64, and then the image.")
    return _read_inline(found[1], found[2], source, path, f"{here}.url")


def _read_data(source: dict[str, Any], path: str, here: str, *, is_inline: bool) -> RowImage | Fault:
    places = ("data",) if is_inline else ADDRESSES
    if unknown := set(source) - {*places, *KINDS, "displayName", "display_name"}:
        return _unknown_field(here, unknown)
    kinds = [str(source[name]) for name in KINDS if name in source]
    found = [source[name] for name in places if name in source]
    if len(found) != 1 or not isinstance(found[0], str) or not found[0].strip():
        return _no_address(f"{here}.{places[0]}")
    if len(kinds) != 1 or kinds[0] not in TYPES:
        return _wrong_type(f"{here}.mimeType")
    if is_inline:
        return _read_inline(kinds[0], found[0], source, path, f"{here}.data")
    return RowImage(path, found[0], source)


def _read_inline(kind: str, data: str, source: dict[str, Any], path: str, here: str) -> RowImage | Fault:
    """By its first bytes only; the server that trains decodes it before the first step."""
    if kind not in TYPES:
        return _wrong_type(here)
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return here, _("The image is not in Base64."), _("Write data:image/png;base64, and then the image.")
    if not content.startswith(BEGINNINGS):
        return _wrong_type(here)
    return RowImage(path, f"data:{hashlib.blake2b(content, digest_size=16).hexdigest()}", source)


def _wrong_type(here: str) -> Fault:
    return here, _("This is not a PNG, JPEG, or WebP image."), _("Save the image as PNG or JPEG, and name its type.")


def _no_address(here: str) -> Fault:
    remedy = _("Write the name of a file in the same zip file, or a gs:// path.")
    return here, _("The image has no address."), remedy


def _unknown_field(here: str, names: set[str]) -> Fault:
    return f"{here}.{printable(min(names)[:40])}", _("An image doesn't have this field."), _("Remove it.")


def references(value: Any) -> Iterator[tuple[str, str, Any]]:
    """Where something of a row names an object in Cloud Storage as an image or a file, which, and the object of the row
    that does: also where no turn is, since a server may look there."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, list):
            waiting += [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            for name, item in value.items():
                here = printable(f"{path}.{name}"[-100:].lstrip("."))
                if name in REFERRING and (uri := _bucket_address(item)):
                    yield here, uri, item
                else:
                    waiting.append((here, item))


def _bucket_address(item: Any) -> str:
    places = [item] if isinstance(item, str) else list(item.values()) if isinstance(item, dict) else []
    return next((place for place in places if isinstance(place, str) and place.strip().lower().startswith("gs:/")), "")
