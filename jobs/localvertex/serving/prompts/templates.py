"""The chat template that a model is served with: the one that it was, or would be, tuned with."""

import json
import mmap
import re
import struct
from pathlib import Path

OWN = Path(__file__).with_name("chat_template.jinja")
_KEY = b"tokenizer.chat_template"
_TEXT = 8
# Far more than what stands before the tensors: vocabularies take 10 MB.
_HEADER_BYTES = 64 * 1024 * 1024
_MAX_TEMPLATE = 16 * 1024 * 1024


def chat_template(gguf: Path, hf: Path | None = None) -> str:
    """Of the Hugging Face files, else of the GGUF file, else Gemma's, for pretrained models have none."""
    return (_of_folder(hf) if hf else "") or _of_file(gguf) or OWN.read_text(encoding="utf-8")


def knows_tools(gguf: Path, hf: Path | None = None) -> bool:
    """Whether the template says tools to the model, and what the model calls."""
    template = chat_template(gguf, hf)
    return all(re.search(rf"\b{name}\b", template) for name in ("tools", "tool_calls"))


def _of_folder(folder: Path) -> str:
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except (OSError, ValueError):
        pass
    try:
        found = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template")
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def _of_file(path: Path) -> str:
    """The keys of a GGUF file are not sorted, and reading 262,144 tokens to get past them takes too long."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            at = content.find(struct.pack("<Q", len(_KEY)) + _KEY, 0, _HEADER_BYTES)
            if content[:4] != b"GGUF" or at < 0:
                return ""
            at += 8 + len(_KEY)
            kind, length = struct.unpack_from("<IQ", content, at)
            if kind != _TEXT or length > _MAX_TEMPLATE:
                return ""
            return content[at + 12 : at + 12 + length].decode("utf-8")
    except (OSError, ValueError, struct.error):
        return ""
