import json

import pytest

from jobs.localvertex import catalogue
from jobs.localvertex.errors import ApiError


def test_every_fact_has_a_source_and_a_date():
    data = json.loads(catalogue.FILE.read_text())
    for entry in data["models"]:
        assert entry["as_of"]
        assert entry["sources"]
        assert set(entry["sources"]) <= set(data["sources"])


def test_short_and_long_names_are_one():
    known = catalogue.load()
    long = known.get("publishers/google/models/gemma3@gemma-3-270m")
    assert known.get("google/gemma3@gemma-3-270m") == long
    assert long.resource_name == "publishers/google/models/gemma3@gemma-3-270m"


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
