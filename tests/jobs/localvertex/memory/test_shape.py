import json

import pytest

from jobs.localvertex.memory.shape import Shape
from tests.jobs.localvertex.engine.conftest import TINY

CONFIG = json.loads((TINY / "config.json").read_text())


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[]",
        "[" * 100_000,
        json.dumps(CONFIG | {"num_attention_heads": 0}),
        json.dumps(CONFIG | {"hidden_size": "wide"}),
        json.dumps(CONFIG | {"num_hidden_layers": 1e999}),  # Infinity, which json reads
    ],
)
def test_of_what_configures_no_decoder_nothing_is_known(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "model.safetensors").symlink_to(TINY / "model.safetensors")
    assert Shape.read(tmp_path) is None


def test_of_tensors_without_an_end_nothing_is_known(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    header = json.dumps({"a": {"shape": [1e999]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert Shape.read(tmp_path) is None
