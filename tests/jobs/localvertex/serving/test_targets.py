"""Models by their own names: `endpoints/openapi`, and `publishers/…/models/…` below a location."""

import sys
import threading
from pathlib import Path

import httpx
import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import Catalogue
from jobs.localvertex.models.weights import Weights
from jobs.localvertex.serving.pool import Serving
from jobs.localvertex.serving.targets import Targets
from jobs.localvertex.store import Store
from tests.jobs.localvertex.servers import PARENT, TINY, TINY_FOLDER, TINY_NAME

MESSAGES = [{"role": "user", "content": "hi"}]
GATED = "publishers/google/models/gemma3@gemma-3-27b-it"


def post(server, path, **body):
    return httpx.post(f"{server.url}/v1/{path}", json=body, trust_env=False, timeout=20)


@pytest.mark.parametrize("model", [TINY, TINY_NAME, "local/tiny-gemma3", "local/tiny-gemma3-maas"])
@pytest.mark.parametrize("region", ["us-central1", "global"])
def test_a_model_answers_without_being_deployed(server, model, region):
    path = f"projects/p1/locations/{region}/endpoints/openapi/chat/completions"
    answer = post(server, path, model=model, messages=MESSAGES)
    assert (answer.status_code, answer.json()["model"]) == (200, TINY)
    assert answer.json()["choices"][0]["message"]["content"] == "Hello there"


def test_it_completes_and_predicts_too(server):
    assert post(server, f"{PARENT}/endpoints/openapi/completions", model=TINY, prompt="Once").json()["choices"]
    instances = [{"prompt": "Once", "raw_response": True}]
    assert post(server, f"{PARENT}/{TINY_NAME}:predict", instances=instances).json() == {"predictions": [" and so on"]}


def test_it_has_one_model_server(server):
    for _ in range(2):
        post(server, f"{PARENT}/endpoints/openapi/chat/completions", model=TINY, messages=MESSAGES)
    states = httpx.get(f"{server.url}/healthz", trust_env=False).json()["serving"]["models"]
    assert [one["state"] for one in states if one["name"].startswith(TINY_NAME)] == ["answering"]


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        (
            "meta/llama-9",
            404,
            "Publisher Model `projects/p1/locations/us-central1/publishers/meta/models/",
        ),
        ("", 400, "The model field is required: PUBLISHER/MODEL"),
        (7, 400, "The model field is required: PUBLISHER/MODEL"),
        (GATED, 400, "Project p1 is not allowed to use Publisher Model"),
    ],
)
def test_refused(server, model, code, message):
    refused = post(server, f"{PARENT}/endpoints/openapi/chat/completions", model=model, messages=MESSAGES)
    assert refused.status_code == code
    assert refused.json()["error"]["message"].startswith(message)


def test_a_model_whose_weights_are_not_here_says_how_to_get_them(server):
    httpx.post(
        f"{server.url}/v1beta1/projects/p2/modelGardenEula:accept", json={"publisherModel": GATED}, trust_env=False
    )
    path = "projects/p2/locations/us-central1/endpoints/openapi/chat/completions"
    refused = post(server, path, model=GATED, messages=MESSAGES)
    assert "has no weights on this machine. Download" in refused.json()["error"]["message"]


class Withdrawn(BaseModels):
    """Where a model is removed as soon as a request has found that its weights are still to be made ready."""

    def get(self, model_id: str, how: str = "") -> Weights:
        self.found = super().get(model_id, how)
        self._weights = {}
        return self.found


def test_weights_that_were_withdrawn_meanwhile_are_not_made_ready(tmp_path):
    (folder := tmp_path / "hf").mkdir()
    (folder / "config.json").write_text("{}")
    weights = Withdrawn(tmp_path, [], {"me/x@1": folder}, [sys.executable, "-c", ""], 2**40)
    with pytest.raises(ApiError, match="me/x@1 is being made ready on this machine"):
        weights.require_servable("me/x@1")
    for thread in [one for one in threading.enumerate() if one.name == "prepare"]:
        thread.join(20)
    assert (weights.found.state, (tmp_path / "base-models").exists()) == ("waiting", False)


class TakenAway(BaseModels):
    """Where a model is removed as soon as a request has found its weights."""

    def __init__(self, data: Path, serving: Serving) -> None:
        super().__init__(data, [], {TINY: TINY_FOLDER}, [], 2**40)
        self._serving = serving

    def require_servable(self, model_id: str, how: str = "") -> Weights:
        found = super().require_servable(model_id, how)
        self.withdraw(model_id)
        self._serving.stop(f"{TINY_NAME}/deployedModels/local")
        return found


def test_a_model_that_was_removed_meanwhile_is_not_served(tmp_path):
    """A request that had found its weights would else offer them again, until a restart."""
    store, catalogue = Store(tmp_path / "vertex.sqlite3"), Catalogue([])
    catalogue.add(TINY, {})
    serving = Serving(tmp_path / "endpoints", [], budget=2**40)
    targets = Targets(store, catalogue, TakenAway(tmp_path, serving), serving)
    with pytest.raises(ApiError, match=f"{TINY} has no weights on this machine"):
        targets.of_model(f"{PARENT}/{TINY_NAME}")
    assert serving.states() == []
    store.close()
