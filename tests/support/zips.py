"""Zip files with rows and images, good ones."""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support import factories


def pack(members: Mapping[str, bytes | str] | Sequence[tuple[str | zipfile.ZipInfo, bytes | str]]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items() if isinstance(members, Mapping) else members:
            archive.writestr(name, data)
    return content.getvalue()


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def make_row(image: str, question: str = "What is it?", answer: str = "A square.") -> dict[str, Any]:
    """In OpenAI's words."""
    shown = {"type": "image_url", "image_url": {"url": image}}
    return {
        "messages": [
            {"role": "user", "content": [shown, {"type": "text", "text": question}]},
            {"role": "assistant", "content": answer},
        ]
    }


def make_contents_row(image: str, kind: str = "image/png", question: str = "What is it?") -> dict[str, Any]:
    """In Gemini's."""
    return {
        "contents": [
            {"role": "user", "parts": [{"fileData": {"mimeType": kind, "fileUri": image}}, {"text": question}]},
            {"role": "model", "parts": [{"text": "A square."}]},
        ]
    }


def pack_images(*names: str) -> bytes:
    """A row for each image; each is of another colour."""
    colours = ("red", "green", "blue", "yellow", "purple")
    images = {name: factories.png(colours[number % 5], (40, 30 + number)) for number, name in enumerate(names)}
    return pack({"rows.jsonl": lines(*map(make_row, names)), **images})
