import base64
import json
from typing import Any

import pytest

from jobs.services.datasets.rows import parse
from tests.support import factories

PNG = base64.b64encode(factories.png()).decode()
INLINE = f"data:image/png;base64,{PNG}"
NO_PART = "This is not an image part."
NO_ADDRESS = "The image has no address."
NO_BASE64 = "The image is not in Base64."
NO_TYPE = "This is not a PNG, JPEG, or WebP image."
NO_FIELD = "An image doesn't have this field."
ONLY_USER = "Only turns of the user can have images."


def url(address: Any, **more: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": address, **more}}


def file(address: Any, kind: str = "image/png", more: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"fileData": {"mimeType": kind, "fileUri": address, **(more or {})}}


def messages(part: Any, role: str = "user") -> dict[str, Any]:
    said: dict[str, Any] = {"user": "What?", "assistant": "A square."}
    said[role] = [part, {"type": "text", "text": said[role]}]
    return {"messages": [{"role": name, "content": content} for name, content in said.items()]}


def contents(part: Any, role: str = "user") -> dict[str, Any]:
    said: dict[str, Any] = {"user": [{"text": "What?"}], "model": [{"text": "A square."}]}
    said[role] = [part, *said[role]]
    return {"contents": [{"role": name, "parts": parts} for name, parts in said.items()]}


@pytest.mark.parametrize(
    "row",
    [
        messages(url("cat.png")),
        messages(url("gs://a-bucket/cat.png", detail="low")),
        messages(url(INLINE)),
        messages(file("cat.png")),
        contents(file("gs://a-bucket/cat.jpg", "image/jpeg")),
        contents({"file_data": {"mime_type": "image/webp", "file_uri": "cat.webp"}}),
        contents({"inlineData": {"mimeType": "image/png", "data": PNG}}),
        contents({"inline_data": {"mime_type": "image/png", "data": PNG}}),
        {"messages": [{"role": "user", "content": [url("cat.png")]}, {"role": "assistant", "content": "A cat."}]},
    ],
)
def test_forms_that_google_documents(row: dict[str, Any]) -> None:
    found, complaints = parse(json.dumps(row))
    assert ([complaint.problem for complaint in complaints], len(found.images if found else ())) == ([], 1)


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        (messages({"type": "image"}), "messages[0].content[0]", NO_PART),
        (messages({"type": "image_url", "image_url": "cat.png"}), "messages[0].content[0]", NO_PART),
        (messages(url("a.png") | {"text": "a"}), "messages[0].content[0]", NO_PART),
        (contents(file("a.png") | url("b.png")), "contents[0].parts[0]", NO_PART),
        (messages(url("")), "messages[0].content[0].image_url.url", NO_ADDRESS),
        (messages(url(7)), "messages[0].content[0].image_url.url", NO_ADDRESS),
        (contents({"fileData": {"mimeType": "image/png"}}), "contents[0].parts[0].fileData.fileUri", NO_ADDRESS),
        (contents(file("a.png", more={"file_uri": "b.png"})), "contents[0].parts[0].fileData.fileUri", NO_ADDRESS),
        (contents(file("a.gif", "image/gif")), "contents[0].parts[0].fileData.mimeType", NO_TYPE),
        (contents(file("a.mp4", "video/mp4")), "contents[0].parts[0].fileData.mimeType", NO_TYPE),
        (contents({"fileData": {"fileUri": "a.png"}}), "contents[0].parts[0].fileData.mimeType", NO_TYPE),
        (messages(url("a.png", x="gs://a-bucket/b")), "messages[0].content[0].image_url.x", NO_FIELD),
        (contents(file("a.png", more={"\x00": 1})), "contents[0].parts[0].fileData.\ufffd", NO_FIELD),
        (messages(url("data:image/png;base64,***")), "messages[0].content[0].image_url.url", NO_BASE64),
        (messages(url("data:image/png,abc")), "messages[0].content[0].image_url.url", NO_BASE64),
        (messages(url("data:text/html;base64,PGI+")), "messages[0].content[0].image_url.url", NO_TYPE),
        (messages(url("data:image/png;base64,PGI+")), "messages[0].content[0].image_url.url", NO_TYPE),
        (messages(url("a.png"), "assistant"), "messages[1].content[0]", ONLY_USER),
        (contents(file("a.png"), "model"), "contents[1].parts[0]", ONLY_USER),
        (
            contents({"text": "Hi"}) | {"systemInstruction": {"parts": [file("a.png")]}},
            "systemInstruction.parts[0]", ONLY_USER,
        ),
        (
            messages(url("gs://a-bucket/a.png")) | {"messages[0].content[0]": url("gs://a-bucket/b.png")},
            "messages[0].content[0].image_url", "This part is an image or a file.",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_field(row: dict[str, Any], field: str, problem: str) -> None:
    """In the last of them a field is called like the path of an image."""
    found, complaints = parse(json.dumps(row))
    assert (found, [(complaint.field, complaint.problem) for complaint in complaints]) == (None, [(field, problem)])


def test_images_inside_of_rows_are_told_apart_and_not_kept() -> None:
    other = base64.b64encode(factories.png("blue")).decode()
    rows = [parse(json.dumps(messages(url(f"data:image/png;base64,{data}"))))[0] for data in (PNG, other, PNG)]
    addresses = [row.images[0].address for row in rows if row]
    assert (addresses[0] == addresses[2] != addresses[1], max(map(len, addresses))) == (True, 37)
