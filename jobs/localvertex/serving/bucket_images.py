"""Pictures that a chat or a training row names by `gs://`. Only Cloud Storage is read: other addresses never are."""

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.images import ImageError, file_name_of, is_stored, open_image, place_of
from jobs.localvertex.api.wire import Json
from jobs.localvertex.serving.prompts import checks
from jobs.localvertex.storage.buckets import Buckets, Location, file_location

MAX_BYTES = 20_000_000
AT_ONCE = 8


def upstream_body(buckets: Buckets, body: object, *, images: bool) -> Json:
    """`checks.upstream_body`, with what the buckets hold written into the request first."""
    if images:
        _inline(buckets, body)
    return checks.upstream_body(body, images=images)


def _inline(buckets: Buckets, body: object) -> None:
    found = list(_list_bucket_images(body))
    if len(found) > checks.MAX_IMAGES:
        raise invalid(f"At most {checks.MAX_IMAGES} images are allowed in a conversation.", "messages")
    for where, part in found:
        place = file_location(part["image_url"]["url"], where)
        part["image_url"] |= {"url": _data_uri(_read(buckets, place, where), where)}


def _list_bucket_images(body: object) -> Iterator[tuple[str, Json]]:
    """Whatever else is wrong with the messages is said by `checks`."""
    messages = body.get("messages") if isinstance(body, dict) else None
    for number, message in enumerate(messages if isinstance(messages, list) else []):
        content = message.get("content") if isinstance(message, dict) else None
        for index, part in enumerate(content if isinstance(content, list) else []):
            if isinstance(part, dict) and part.get("type") == "image_url" and is_stored(place_of(part)):
                yield f"messages[{number}].content[{index}].image_url.url", part


def _read(buckets: Buckets, place: Location, where: str) -> bytes:
    try:
        return buckets.read(place, at_most=MAX_BYTES)
    except ApiError as error:
        raise error if error.status == "UNAVAILABLE" else invalid(f"{where} cannot be read: {error}", where) from None


def _data_uri(content: bytes, where: str) -> str:
    try:
        kind = str(open_image(content).format).lower()
    except ImageError as error:
        raise invalid(f"{where} {error}.", where) from None
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def fetch(buckets: Buckets, rows: Path, folder: Path, what: str, check: Callable[[], None]) -> None:
    """The pictures of a dataset into `folder`, where the engine looks for them; those that are there are not read
    again. Raises INVALID_ARGUMENT with the line. `what` names the dataset there."""
    places = {uri: line for uri, line in _references(rows) if not (folder / file_name_of(uri)).exists()}

    def save(reference: tuple[str, int]) -> None:
        uri, line = reference
        where = f"Line {line} of the {what}: an image"
        target = folder / file_name_of(uri)
        partial = target.with_suffix(".partial")
        partial.write_bytes(_read(buckets, file_location(uri, where), where))
        partial.replace(target)

    folder.mkdir(exist_ok=True)
    waiting = list(places.items())
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="images") as pool:
        for first in range(0, len(waiting), AT_ONCE):
            check()
            list(pool.map(save, waiting[first : first + AT_ONCE]))


def _references(rows: Path) -> Iterator[tuple[str, int]]:
    """Last line first, so that of several lines with one picture the first is kept. A line that is no JSON is the
    engine's to refuse."""
    lines = rows.read_text(encoding="utf-8", errors="replace").split("\n")
    for number in range(len(lines), 0, -1):
        if "gs://" in lines[number - 1]:
            try:
                row = json.loads(lines[number - 1])
            except ValueError:
                continue
            yield from ((uri, number) for uri in _places_in(row))


def _places_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _places_in(item)
    elif isinstance(value, dict):
        place = place_of(value)
        if is_stored(place):
            yield str(place)
        yield from _places_in(list(value.values()))
