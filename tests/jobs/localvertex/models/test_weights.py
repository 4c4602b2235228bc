import json
import os
import shutil
import subprocess
import sys

import httpx
import pytest
from google.api_core.exceptions import BadRequest

from jobs.localvertex.engine.families.table import MODEL_TYPES, TITLES
from jobs.localvertex.models.weights import discover, from_folder
from tests.jobs.localvertex.api.test_images import (
    FOLDER,
    SEES,
    VISION,
    VISION_NAME,
    answer,
    saved,
    shown,
    stars,
)
from tests.jobs.localvertex.servers import ROOT


def model(folder, *names):
    folder.mkdir(parents=True)
    for name in names or ("config.json", "model.gguf"):
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def own(tmp_path):
    """One of every kind, as LOCALVERTEX_MODELS names them."""
    model(tmp_path / "many" / "My Gemma_2", "config.json", "model.gguf", "mmproj.gguf")
    model(tmp_path / "many" / "whole", "config.json", "model.safetensors")
    (tmp_path / "many" / "notes").mkdir()
    return [tmp_path / "many", model(tmp_path / "files", "Tiny.Q8.gguf") / "Tiny.Q8.gguf"]


def test_ids_by_the_names_of_folders_and_files(own):
    assert list(discover(own)) == ["local/my-gemma_2@my-gemma_2", "local/whole@whole", "local/tiny.q8@tiny.q8"]


def test_what_is_no_model(tmp_path):
    with pytest.raises(ValueError, match="neither a GGUF file nor a folder with a model"):
        discover([tmp_path / "none"])
    twice = [model(tmp_path / "a" / "same"), model(tmp_path / "b" / "same")]
    with pytest.raises(ValueError, match="would both be local/same@same"):
        discover(twice)
    with pytest.raises(ValueError, match="it is no base model"):
        from_folder("local/x@x", model(tmp_path / "empty", "README.md"), tmp_path / "made")


def test_what_each_can_do(own, tmp_path):
    weights = [from_folder(name, place, tmp_path / "made") for name, place in discover(own).items()]
    assert [(one.can_serve, one.can_train, one.mmproj is not None) for one in weights] == [
        (True, True, True),
        (True, True, False),
        (True, False, False),
    ]
    assert [one.state for one in weights] == ["ready", "waiting", "failed"]


def test_other_families_are_served_and_not_tuned(tmp_path):
    folder = model(tmp_path / "falcon")
    (folder / "config.json").write_text('{"model_type": "falcon"}')
    weights = from_folder("local/falcon@falcon", folder, tmp_path / "made")
    assert (weights.can_serve, weights.can_train) == (True, False)
    assert weights.message == f"{folder} holds a falcon model, and only {TITLES} can be tuned."
    (folder / "model.gguf").unlink()
    with pytest.raises(ValueError, match=f"holds a falcon model. Without a model.gguf, only {TITLES} can be used"):
        from_folder("local/falcon@falcon", folder, tmp_path / "made")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_families_are_tuned_and_served_from_hugging_face_files(tmp_path, model_type):
    folder = model(tmp_path / "family", "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    weights = from_folder("local/family@family", folder, tmp_path / "made")
    assert (weights.trainable, weights.servable, weights.state) == (True, False, "waiting")


def test_own_models_are_listed_deployed_and_tuned(own_server, own, monkeypatch):
    monkeypatch.setenv("LOCALVERTEX_MODELS", os.pathsep.join(map(str, own)))
    server = own_server.start()
    listed = {
        f"{one.name}@{one.version_id}": one for one in server.garden.list_publisher_models(parent="publishers/local")
    }
    tunable = [name for name, one in listed.items() if one.supported_actions.open_fine_tuning_pipelines]
    prefix = "publishers/local/models"
    assert sorted(tunable) == [f"{prefix}/my-gemma_2@my-gemma_2", f"{prefix}/tiny@tiny-gemma3", f"{prefix}/whole@whole"]
    server.deployed("q8", publisher_model_name=f"{prefix}/tiny.q8@tiny.q8")
    server.deployed("whole", publisher_model_name=f"{prefix}/whole@whole")
    assert (server.data / "base-models/local--whole@whole/model.gguf").read_bytes() == b"converted"
    server.until(server.create(server.job(base_model="local/my-gemma_2@my-gemma_2")).name, "SUCCEEDED")
    with pytest.raises(BadRequest, match="is not supported for tuning: .* lacks a config.json"):
        server.create(server.job(base_model="local/tiny.q8@tiny.q8"))


def test_wrong_path_is_said_at_the_start(tmp_path):
    command = [sys.executable, "-m", "jobs.localvertex", "--data-dir", str(tmp_path / "data")]
    environment = os.environ | {"LOCALVERTEX_MODELS": str(tmp_path / "none")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "LOCALVERTEX_MODELS: " in done.stderr) == (1, True)


def test_base_model_that_is_none(tmp_path):
    folder = model(tmp_path / "nothing", "README.md")
    command = [sys.executable, "-m", "jobs.localvertex", "--data-dir", str(tmp_path / "data")]
    command += ["--base-model", f"me/mine@one={folder}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr.strip()) == (
        1,
        f"--base-model: {folder} holds neither model.gguf nor config.json: it is no base model.",
    )


def test_pictures_are_known_of_before_the_conversion(tmp_path):
    folder = model(tmp_path / "sees", "model.safetensors")
    (folder / "config.json").write_text('{"vision_config": {}}')
    assert from_folder("me/sees@one", folder, tmp_path / "made").images
    (folder / "model.gguf").write_text("text only")
    assert not from_folder("me/sees@one", folder, tmp_path / "made").images


@pytest.mark.slow
def test_hugging_face_files_alone_see_pictures(own_server, tmp_path):
    """By the real engine and llama.cpp. What nobody waits for is left as it is."""
    folder = tmp_path / "hf-only"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns("*.gguf"))
    own_server.options, own_server.extra = (), ["--base-model", f"{VISION}={folder}"]
    server = own_server.start()
    facts = server.garden.get_publisher_model(name=VISION_NAME).supported_actions.view_rest_api.documentations
    assert [fact.content for fact in facts if fact.title == "Modalities"] == ["text,image"]
    server.deployed(SEES, publisher_model_name=VISION_NAME)
    made = server.data / f"base-models/{VISION.replace('/', '--')}"
    assert [path.name for path in sorted(made.glob("*.gguf"))] == ["mmproj.gguf", "model.gguf"]
    assert [path.name for path in folder.glob("*.gguf")] == []
    answered = answer(server, shown(saved(stars()), "Describe the picture."))
    assert answered == "A red star and a blue circle on a white background."
    states = {
        one["id"]: one["state"] for one in httpx.get(f"{server.url}/healthz", trust_env=False).json()["base_models"]
    }
    assert (states[VISION], states.get("google/gemma3@gemma-3-270m", "waiting")) == ("ready", "waiting")
