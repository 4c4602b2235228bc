import json
from pathlib import Path

import pytest

from jobs.localvertex.instant.files import make_random, write_gguf
from jobs.localvertex.instant.model import TEMPLATE, write_model
from tests.support.hub import serve_hub


@pytest.fixture
def hub(monkeypatch):
    with serve_hub() as found:
        monkeypatch.setenv("HF_ENDPOINT", found.address)
        yield found


@pytest.fixture
def tiny(tmp_path) -> dict[str, bytes]:
    """The files of a Gemma 3 of one layer."""
    folder = tmp_path / "tiny"
    write_model(folder, "hub")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def make_gguf(folder: Path, architecture: str = "gemma3", **facts: str | int) -> bytes:
    path = folder / "made.gguf"
    about: dict[str, str | int] = {"general.architecture": architecture, f"{architecture}.context_length": 4096}
    write_gguf(path, about | facts, make_random([("token_embd.weight", (8, 16))], "gguf"))
    return path.read_bytes()


def change_config(files: dict[str, bytes], **values: object) -> dict[str, bytes]:
    config = json.loads(files["config.json"]) | values
    return files | {"config.json": json.dumps(config).encode()}
