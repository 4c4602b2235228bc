import json
import shutil
import struct

import pytest

from jobs.localvertex.serving.prompts.templates import OWN, chat_template, knows_tools
from tests.jobs.localvertex.servers import TINY_FOLDER, LocalVertex

GGUF = TINY_FOLDER / "model.gguf"
WORDY = OWN.read_text(encoding="utf-8").replace("<start_of_turn>model", "Be kind and be brief.<start_of_turn>model")


def folder(path, **files):
    path.mkdir()
    for name, text in files.items():
        (path / name.replace("__", ".")).write_text(text)
    return path


def test_the_first_that_there_is(tmp_path):
    of_file = tmp_path / "none.gguf"
    of_file.write_text("no GGUF file")
    assert chat_template(of_file) == chat_template(tmp_path / "nothing.gguf") == OWN.read_text(encoding="utf-8")
    assert chat_template(GGUF) == (TINY_FOLDER / "chat_template.jinja").read_text(encoding="utf-8")
    config = folder(tmp_path / "config", tokenizer_config__json=json.dumps({"chat_template": "of the tokenizer"}))
    assert chat_template(GGUF, config) == "of the tokenizer"
    (config / "chat_template.jinja").write_text("of its own file")
    assert chat_template(GGUF, config) == "of its own file"
    for number, text in enumerate(["[]", "{", '{"chat_template": [{"name": "default"}]}']):
        odd = folder(tmp_path / f"odd-{number}", tokenizer_config__json=text)
        assert chat_template(of_file, odd) == OWN.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content"), [("chat_template.jinja", b"\xff"), ("tokenizer_config.json", b"[" * 100_000)]
)
def test_files_of_a_publisher_that_cannot_be_read_are_no_template(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert chat_template(tmp_path / "nothing.gguf", tmp_path) == OWN.read_text(encoding="utf-8")


def test_a_template_of_a_file_is_no_longer_than_templates_are(tmp_path):
    """Else a key within another text of the file would have all of its weights read."""
    key = b"tokenizer.chat_template"
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, 2**60) + b"x" * 100)
    assert chat_template(path) == OWN.read_text(encoding="utf-8")


@pytest.fixture
def wordy(tmp_path, bucket_address):
    """The tiny model once more, with a template that says more before each answer. Nothing is faked."""
    shutil.copytree(TINY_FOLDER, tmp_path / "wordy")
    (tmp_path / "wordy/chat_template.jinja").write_text(WORDY)
    server = LocalVertex(tmp_path, bucket_address, options=())
    server.extra = ["--base-model", f"local/wordy@wordy={tmp_path / 'wordy'}"]
    yield server.start()
    server.stop()


def test_served_with_the_template_of_the_training(wordy):
    wordy.deployed("plain")
    wordy.deployed("wordy", publisher_model_name="publishers/local/models/wordy@wordy")
    plain, longer = (wordy.chat(name, max_tokens=1).json()["usage"]["prompt_tokens"] for name in ("plain", "wordy"))
    assert longer > plain + 3


def test_a_template_knows_tools_and_calls_or_none(tmp_path):
    """One that only names tools could not show the model what it called."""
    found = []
    for template in ("{{ tools }} {{ turn.tool_calls }}", "{{ tools }}", "{{ messages }}"):
        (tmp_path / "chat_template.jinja").write_text(template)
        found.append(knows_tools(tmp_path / "none.gguf", tmp_path))
    assert found == [True, False, False]
