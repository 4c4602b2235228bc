import json
from datetime import date

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models import catalogue
from jobs.localvertex.models.packaged import SEES


def facts(entry) -> set[str]:
    """What the file claims about a model."""
    told = {name: entry.get(name) for name in ("parameters", "context_tokens", "modalities", "licence", "tuning")}
    told["usd_per_million_tokens"] = (entry["tuning"] or {}).get("usd_per_million_tokens")
    told["machines"] = entry["machines"] or None
    told["usd_per_hour"] = [machine["usd_per_hour"] for machine in entry["machines"]] or None
    told["listed"] = None if entry["tuning"] else True
    return {name for name, value in told.items() if value is not None}


def test_every_fact_has_a_source_and_a_date():
    data = json.loads(catalogue.FILE.read_text())
    assert {entry["id"]: set(entry["sources"]) for entry in data["models"]} == {
        entry["id"]: facts(entry) for entry in data["models"]
    }
    used = {source for entry in data["models"] for source in entry["sources"].values()}
    assert used == set(data["sources"])
    assert all(source["place"] and date.fromisoformat(source["as_of"]) for source in data["sources"].values())


def test_each_says_where_its_weights_are():
    for model in catalogue.load().all():
        if model.id == SEES:  # comes along
            continue
        assert model.weights.startswith("https://huggingface.co/")
        assert (f"ownload {model.weights}" in model.how_to_get) == (model.family in catalogue.TUNED_HERE)
        assert f"--base-model {model.id}=FOLDER" in model.how_to_get


def test_models_that_vertex_ai_tunes_are_listed():
    families = {model.family for model in catalogue.load().all()}
    assert {"gemma3", "gemma4", "medgemma", "qwen3", "llama3_1", "llama3-2", "llama3-3", "gpt-oss"} <= families
    gemma = {m.version: m.tuning.modes for m in catalogue.load().all() if m.family == "gemma3"}
    both = ("PEFT_ADAPTER", "FULL")
    assert gemma == {
        "gemma-3-270m": both, "gemma-3-1b-it": ("FULL",), "gemma-3-4b-it": ("FULL",), "gemma-3-12b-it": ("FULL",),
        "gemma-3-27b-it": both,
    }  # fmt: skip


def test_short_and_long_names_are_one():
    known = catalogue.load()
    long = known.get("publishers/google/models/gemma3@gemma-3-270m")
    assert known.get("google/gemma3@gemma-3-270m") == long
    assert long.resource_name == "publishers/google/models/gemma3@gemma-3-270m"


def test_names_at_hugging_face():
    known = catalogue.load()
    found = known.find_at_hugging_face("huggingfacetb/smollm2-135m-instruct")
    assert found == known.get("huggingfacetb/smollm2@smollm2-135m-instruct")
    assert known.find_at_hugging_face("HuggingFaceTB/SmolLM2-135M-Instruct") == found
    assert known.find_at_hugging_face("") is None


@pytest.mark.parametrize("name", ["gemma", "google/gemma3", "a b/c@d", ""])
def test_bad_form_of_name(name):
    with pytest.raises(ApiError, match="Invalid open source publisher model resource name"):
        catalogue.model_id(name)


def test_unknown_model():
    with pytest.raises(ApiError, match="does not exist") as caught:
        catalogue.load().get("google/gemma3@gemma-99")
    assert caught.value.http_code == 404


def test_a_card_describes_an_own_model():
    known = catalogue.load()
    known.add("me/mine@one", {"display_name": "Mine", "modalities": ["text", "image"], "tuning": {"modes": ["FULL"]}})
    assert known.get("me/mine@one").modalities == ("text", "image")
    assert known.get("me/mine@one").tuning.modes == ("FULL",)
    known.add("me/bare@two", {})
    assert known.get("me/bare@two").display_name == "two"
    assert known.get("me/bare@two").tuning.modes == ("PEFT_ADAPTER", "FULL")
    assert known.get("me/bare@two").licence.name == ""
