import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from jobs.localvertex.engine.export.decoder import form_of
from jobs.localvertex.engine.export.gguf import check_convertible, convert, read_config
from jobs.localvertex.engine.export.projector import pool_side, tower_name
from jobs.localvertex.engine.export.tensor_file import TYPES, TensorFile, Weights, text_name
from jobs.localvertex.engine.job import JobError
from jobs.localvertex.engine.vision import Vision
from tests.jobs.localvertex.engine.conftest import ROOT, TINY, TINY_VISION, TUNE, Workdir
from tests.jobs.localvertex.engine.llama import llama

pytestmark = pytest.mark.slow

KINDS = ("full_attention", "sliding_attention")
QUESTIONS = json.loads((TUNE / "heldout.json").read_text())["questions"]


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}


def setting(path: Path, key: str) -> Any:
    return gguf.GGUFReader(path).fields[key].contents()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "copy", ignore=shutil.ignore_patterns("*.gguf")))


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_fixture_is_made_again(tmp_path: Path) -> None:
    (made,) = convert(TINY, tmp_path)
    ours, shipped = tensors(made), tensors(TINY / "model.gguf")
    assert [name for name in shipped if not np.array_equal(ours[name], shipped[name])] == []
    assert setting(made, "tokenizer.ggml.tokens") == setting(TINY / "model.gguf", "tokenizer.ggml.tokens")
    with llama(made) as model:
        assert [model.ask(one["prompt"]) for one in QUESTIONS] == [one["plain"] for one in QUESTIONS]


def test_q4_k_m_is_smaller_and_still_answers(tmp_path: Path) -> None:
    (made,) = convert(TINY, tmp_path, "q4_k_m")
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(made).tensors}
    assert setting(made, "general.file_type") == gguf.LlamaFileType.MOSTLY_Q4_K_M
    assert (kinds["token_embd.weight"], kinds["blk.0.attn_q.weight"], kinds["output_norm.weight"]) == (
        "Q8_0", "Q5_0", "F32",
    )  # fmt: skip
    assert made.stat().st_size < convert(TINY, tmp_path / "q8", "q8_0")[0].stat().st_size
    with llama(made) as model:
        answers = [model.ask(one["prompt"]) for one in QUESTIONS]
    assert sum(answer == one["plain"] for answer, one in zip(answers, QUESTIONS, strict=True)) >= len(QUESTIONS) // 2


def test_both_files_of_the_vision_fixture_are_made_again(tmp_path: Path) -> None:
    made = convert(TINY_VISION, tmp_path, "q8_0", "Tiny Gemma 3 vision")
    assert [path.name for path in made] == ["model.gguf", "mmproj.gguf"]
    assert [path.read_bytes() == (TINY_VISION / path.name).read_bytes() for path in made] == [True, True]


@pytest.mark.slow
def test_merged_model_answers_like_the_adapter(trained: Workdir, tmp_path: Path) -> None:
    (merged,) = convert(trained.path / "final", tmp_path)
    with llama(TINY / "model.gguf", trained.path / "final" / "adapter" / "adapter.gguf") as adapted:
        expected = [adapted.ask(one["prompt"]) for one in QUESTIONS]
    with llama(merged) as model:
        assert [model.ask(one["prompt"]) for one in QUESTIONS] == expected


def test_shape_of_a_4b_folder(copy: Path, tmp_path: Path) -> None:
    """Shards, names of 2025, rows of the vocabulary that no token has, scaled rope."""
    weights = load_file(copy / "model.safetensors")
    padded = torch.cat([weights["model.embed_tokens.weight"], torch.ones(64, 128, dtype=torch.bfloat16)])
    renamed = {f"language_model.{name}": value for name, value in weights.items()}
    (copy / "model.safetensors").unlink()
    save_file({"language_model.model.embed_tokens.weight": padded}, copy / "model-00001-of-00002.safetensors")
    del renamed["language_model.model.embed_tokens.weight"]
    save_file(renamed, copy / "model-00002-of-00002.safetensors")
    config = json.loads((copy / "config.json").read_text())
    config["rope_parameters"]["full_attention"] |= {"rope_type": "linear", "factor": 8.0}
    edit(copy, vocab_size=1600, rope_parameters=config["rope_parameters"])
    (made,) = convert(copy, tmp_path / "out")
    assert (setting(made, "gemma3.rope.scaling.type"), setting(made, "gemma3.rope.scaling.factor")) == ("linear", 8.0)
    shipped = tensors(TINY / "model.gguf")
    assert [name for name, data in tensors(made).items() if not np.array_equal(data, shipped[name])] == []
    with llama(made) as model:
        assert model.ask(QUESTIONS[0]["prompt"]) == QUESTIONS[0]["plain"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"layer_types": ["full_attention"] * 4}, "differs from Gemma 3 in the order of its attention layers"),
        ({"query_pre_attn_scalar": 64}, "differs from Gemma 3 in its attention scale"),
        ({"hidden_activation": "relu"}, "differs from Gemma 3 in its activation"),
        ({"model_type": "falcon"}, "is a falcon model; only Gemma 3 and 4, Llama"),
        ({"rope_parameters": "none"}, "copy is not a Hugging Face model folder"),
    ],
)
def test_what_llama_cpp_would_serve_wrongly_is_refused(
    copy: Path, tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    edit(copy, **change)
    with pytest.raises(JobError, match=problem):
        convert(copy, tmp_path / "out")
    assert [path.name for path in tmp_path.glob("out/*")] == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"hidden_activation": "relu"}, "differs from Gemma 3 in its activation"),
        (
            {"rope_parameters": {kind: {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0} for kind in KINDS}},
            "Rope scaling of the kind yarn cannot be converted for a Gemma 3 model",
        ),
    ],
)
def test_it_is_refused_before_it_is_tuned(copy: Path, change: dict[str, Any], problem: str) -> None:
    edit(copy, **change)
    with pytest.raises(JobError, match=problem):
        check_convertible(copy, whole=False)


def test_a_tokenizer_of_another_kind_is_refused_before_the_model_is_tuned(copy: Path) -> None:
    path = copy / "tokenizer.json"
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"model": stored["model"] | {"type": "Unigram"}}))
    check_convertible(copy, whole=False)
    with pytest.raises(JobError, match="The tokenizer of copy is Unigram, not the BPE of Gemma 3"):
        check_convertible(copy, whole=True)


@pytest.mark.parametrize("missing", ["model.safetensors", "tokenizer.json", "config.json"])
def test_incomplete_folder_is_refused(copy: Path, tmp_path: Path, missing: str) -> None:
    (copy / missing).unlink()
    with pytest.raises(JobError, match=re.escape("copy ")):
        convert(copy, tmp_path / "out")


def test_command_writes_to_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.localvertex.engine", "convert", str(TINY), str(tmp_path / "made.gguf")]
    done = subprocess.run([*command, "--type", "q8_0"], cwd=ROOT, capture_output=True, text=True, check=True)
    size = (tmp_path / "made.gguf").stat().st_size
    assert json.loads(done.stdout) == {"event": "converted", "files": {"made.gguf": size}}
    assert setting(tmp_path / "made.gguf", "general.file_type") == gguf.LlamaFileType.MOSTLY_Q8_0


def test_command_refuses_in_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "jobs.localvertex.engine", "convert", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not a Hugging Face model folder" in done.stderr


@pytest.mark.parametrize(
    ("stored", "name"),
    [
        ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("model.language_model.norm.weight", "model.norm.weight"),
        ("language_model.model.norm.weight", "model.norm.weight"),
        ("language_model.lm_head.weight", "lm_head.weight"),
        ("model.vision_tower.encoder.layers.0.mlp.fc1.bias", None),
        ("multi_modal_projector.mm_soft_emb_norm.weight", None),
    ],
)
def test_names_of_the_language_model(stored: str, name: str | None) -> None:
    assert text_name(stored) == name


def test_names_of_the_tower_old_and_new() -> None:
    assert tower_name("model.vision_tower.encoder.x") == "vision_tower.vision_model.encoder.x"
    assert tower_name("vision_tower.vision_model.encoder.x") == "vision_tower.vision_model.encoder.x"


def test_configuration_as_google_publishes_it(tmp_path: Path) -> None:
    """gemma-3-4b-it leaves most settings to the defaults, and has rope scaling in its form of 2025."""
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34}
    rope = {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}
    vision = {"hidden_size": 1152, "image_size": 896, "patch_size": 14, "model_type": "siglip_vision_model"}
    config = {"model_type": "gemma3", "mm_tokens_per_image": 256, "image_token_index": 262144}
    stored = config | {"text_config": text | rope, "vision_config": vision}
    (tmp_path / "config.json").write_text(json.dumps(stored))
    read = read_config(tmp_path)
    form, file = form_of(read), TensorFile(Weights(TINY), tmp_path / "model.gguf", "gemma3", TYPES["f16"])
    form.check()
    form.write_settings(file)
    settings = {key.removeprefix("gemma3."): field.value for key, field in file.writer.kv_data[0].items()}
    assert settings | {"rope.scaling.type": "linear", "rope.scaling.factor": 8.0} == settings
    assert settings | {"rope.freq_base": 1e6, "rope.freq_base_swa": 1e4, "attention.key_length": 256} == settings
    assert settings | {"context_length": 131072, "attention.sliding_window": 1024, "block_count": 34} == settings
    assert pool_side(read) == 4
    assert Vision.read(tmp_path) == Vision(896, 256, 262144, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
