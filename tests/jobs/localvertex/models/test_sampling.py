import json

import pytest
from gguf import GGUFWriter

from jobs.localvertex.models.sampling import read_sampling, without_penalties
from jobs.localvertex.models.weights import Weights


def configure(folder, content):
    (folder / "generation_config.json").write_text(json.dumps(content))


def gguf_file(path, **told):
    writer = GGUFWriter(str(path), "llama")
    for name, value in told.items():
        getattr(writer, f"add_sampling_{name}")(value)
    writer.add_token_list(["a", "b"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def test_the_hugging_face_files_say(tmp_path):
    configure(tmp_path, {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "max_length": 4096, "do_sample": True})
    assert read_sampling(None, tmp_path / "none", tmp_path) == {"temperature": 0.6, "top_p": 0.95, "top_k": 20}


def test_the_gguf_file_says(tmp_path):
    path = gguf_file(tmp_path / "model.gguf", temp=0.6, top_p=0.95, top_k=20)
    assert read_sampling(None, path, tmp_path) == {"temperature": 0.6, "top_p": 0.95, "top_k": 20}


def test_penalties_are_read_too(tmp_path):
    configure(tmp_path, {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1})
    found = read_sampling(None, tmp_path / "none", tmp_path)
    assert found == {"top_k": 20, "min_p": 0.1, "repetition_penalty": 1.1}
    path = gguf_file(tmp_path / "model.gguf", min_p=0.25, penalty_repeat=1.5)
    assert read_sampling(None, path, tmp_path / "none") == {"min_p": 0.25, "repetition_penalty": 1.5}


def test_a_tuned_model_has_none():
    told = {"temperature": 0.2, "frequency_penalty": 0.3, "presence_penalty": 1, "repetition_penalty": 1.1}
    assert without_penalties({**told, "dry_multiplier": 0.8, "min_p": 0.1}) == {"temperature": 0.2, "min_p": 0.1}


def test_neither_says(tmp_path):
    path = gguf_file(tmp_path / "model.gguf")
    assert read_sampling(None, path, tmp_path) == {}
    configure(tmp_path, {"bos_token_id": 1})
    assert read_sampling(None, path, tmp_path) == {}


def test_the_card_comes_first_then_the_files(tmp_path):
    path = gguf_file(tmp_path / "model.gguf", temp=0.3)
    configure(tmp_path, {"temperature": 0.6})
    card = {"sampling": {"temperature": 0.2}}
    assert Weights("x/y@z", tmp_path, path, card=card).sampling == {"temperature": 0.2}
    assert Weights("x/y@z", tmp_path, path, sampled={"top_k": 9}).sampling == {"top_k": 9}
    assert Weights("x/y@z", tmp_path, path).sampling == {"temperature": 0.6}
    (tmp_path / "generation_config.json").unlink()
    assert Weights("x/y@z", tmp_path, path).sampling == {"temperature": 0.3}


@pytest.mark.parametrize(
    "content",
    [
        {"temperature": 9, "top_p": 0, "top_k": 0.5},
        {"temperature": "0.2", "top_p": None, "top_k": True},
        {"repetition_penalty": 0, "frequency_penalty": 3, "dry_multiplier": -1, "min_p": 2},
        {"temperature": 0.6, "do_sample": False},
        [],
    ],
)
def test_what_is_no_setting_is_left_out(tmp_path, content):
    configure(tmp_path, content)
    assert read_sampling("0.2", tmp_path / "none", tmp_path) == {}


@pytest.mark.parametrize("content", [b"", b"GGUF", b"nothing", b"GGUF\x15\0\0\0\0\0\0\0general.sampling.temp\x06"])
@pytest.mark.parametrize("settings", [b"\xff", b"[" * 100_000])
def test_files_that_are_none(tmp_path, content, settings):
    (tmp_path / "model.gguf").write_bytes(content)
    (tmp_path / "generation_config.json").write_bytes(settings)
    assert read_sampling(None, tmp_path / "model.gguf", tmp_path) == {}
