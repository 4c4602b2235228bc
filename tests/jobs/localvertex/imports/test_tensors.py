"""Headers of safetensors files that lie, and weights of another model than config.json says."""

import json
import math
import struct
from pathlib import Path

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.engine.families.table import FAMILIES, GEMMA_3, LLAMA, QWEN_3
from jobs.localvertex.imports.tensors import check_shapes, check_weights, read_shapes

TEXT = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4,
    "num_key_value_heads": 2, "num_hidden_layers": 2, "vocab_size": 100,
}  # fmt: skip
SHAPES = {
    "self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64),
    "self_attn.o_proj": (64, 64), "mlp.gate_proj": (96, 64), "mlp.up_proj": (96, 64), "mlp.down_proj": (64, 96),
    "input_layernorm": (64,), "post_attention_layernorm": (64,),
}  # fmt: skip


def llama(prefix: str = "model") -> dict[str, tuple[int, ...]]:
    layers = {f"{prefix}.layers.{n}.{name}.weight": shape for n in range(2) for name, shape in SHAPES.items()}
    return {**layers, f"{prefix}.embed_tokens.weight": (100, 64)}


def refusal(shapes, config=TEXT, family=LLAMA) -> str:
    with pytest.raises(ApiError) as found:
        check_shapes(shapes, config, family)
    return found.value.message


@pytest.mark.parametrize("prefix", ["model", "language_model.model", "model.language_model"])
def test_what_the_configuration_says_passes(prefix):
    vision = {"vision_tower.encoder.layers.0.self_attn.q_proj.weight": (7, 7)}
    config = TEXT if prefix == "model" else {"model_type": "llama", "text_config": TEXT}
    assert check_shapes(llama(prefix) | vision, config, LLAMA) is None


def test_what_the_configuration_leaves_to_the_family_is_not_judged():
    config = {name: value for name, value in TEXT.items() if name not in ("num_attention_heads", "vocab_size")}
    assert check_shapes(llama(), config, LLAMA) is None
    assert check_shapes(llama(), {"model_type": "llama"}, LLAMA) is None


def test_a_llama_that_claims_to_be_another_is_found_out():
    assert "layer 0 has no self_attn.q_norm" in refusal(llama(), TEXT, QWEN_3)
    assert "layer 0 has no self_attn.q_norm" in refusal(llama(), TEXT, GEMMA_3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"model.layers.1.mlp.up_proj.weight": (95, 64)}, "mlp.up_proj of layer 1 is 95 x 64, and by"),
        ({"model.layers.2.mlp.up_proj.weight": (96, 64)}, "it has 3 layers, and its config.json says 2"),
        ({"model.embed_tokens.weight": (99, 64)}, "model.embed_tokens.weight is 99 x 64"),
        ({"model.layers.0.input_layernorm.weight": (64, 1)}, "input_layernorm of layer 0 is 64 x 1"),
    ],
)  # fmt: skip
def test_each_difference_is_named(change, sentence):
    assert sentence in refusal(llama() | change)


def test_a_model_without_a_vocabulary_is_none():
    assert "it has no embed_tokens" in refusal({name: s for name, s in llama().items() if "embed" not in name})


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.title)
def test_weights_of_nothing_are_those_of_no_family(family):
    assert "0 layers" in refusal({}, TEXT, family)


def write(path: Path, header: object, weights: bytes = b"", length: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + weights)
    return path


def tensor(shape=(2, 2), begin=0, end=None, dtype="F32"):
    size = math.prod(shape) * 4
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, begin + size if end is None else end]}


def test_a_header_is_read(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "b": tensor(begin=16), "a": tensor()}
    assert read_shapes(write(tmp_path / "m.safetensors", header, b"x" * 32)) == {"a": (2, 2), "b": (2, 2)}


@pytest.mark.parametrize(
    ("header", "weights", "length"),
    [
        ({"a": tensor()}, b"", None),
        ({"a": tensor()}, b"x" * 17, None),
        ({"a": tensor(end=4)}, b"x" * 4, None),
        ({"a": tensor(begin=4)}, b"x" * 20, None),
        ({"a": tensor(), "b": tensor(begin=8)}, b"x" * 24, None),
        ({"a": tensor((-1, 4))}, b"", None),
        ({"a": tensor((True, 4))}, b"x" * 16, None),
        ({"a": tensor(dtype="F99")}, b"x" * 16, None),
        ({"a": {"dtype": "F32"}}, b"", None),
        ({"a": 3}, b"", None),
        ([], b"", None),
        (b"\xff\xfe", b"", None),
        (b"[" * 100_000, b"", None),
        ({}, b"", 2**63),
        ({}, b"", 2**40),
        ({}, b"", 0),
    ],
)
def test_a_header_that_lies_is_a_sentence(tmp_path, header, weights, length):
    with pytest.raises(ApiError) as found:
        read_shapes(write(tmp_path / "m.safetensors", header, weights, length))
    assert found.value.message.startswith("m.safetensors ")
    assert found.value.message.endswith("The repository is damaged. Look for another one of the model.")


def test_quantized_weights_say_what_to_import(tmp_path):
    path = write(tmp_path / "m.safetensors", {"a.weight": tensor((4, 4), dtype="U8", end=16)}, b"x" * 16)
    with pytest.raises(ApiError, match="quantized weights cannot be converted. Import the original"):
        read_shapes(path)


def test_files_that_overlap_or_lack_something_are_refused(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"{name}.safetensors", {"same.weight": tensor()}, b"x" * 16)
    with pytest.raises(ApiError, match="has same.weight, which another file has, too"):
        check_weights(tmp_path, TEXT, LLAMA)
    (tmp_path / "b.safetensors").unlink()
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"other.weight": "b.safetensors"}}))
    with pytest.raises(ApiError, match="names other.weight, which is in none of the files"):
        check_weights(tmp_path, TEXT, LLAMA)
    index.write_text("[]")
    with pytest.raises(ApiError, match="cannot be read"):
        check_weights(tmp_path, TEXT, LLAMA)
