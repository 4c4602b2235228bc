import json
from pathlib import Path

import pytest

from console.presenters.catalogue.own_words import SUMMARIES, translated

CATALOGUE = Path("jobs/localvertex/models/catalogue.json")


def test_each_description_of_the_local_catalogue_can_be_translated():
    models = json.loads(CATALOGUE.read_text(encoding="utf-8"))["models"]
    assert {model["summary"] for model in models} == SUMMARIES


@pytest.mark.parametrize("text", ["", "Somebody else's words."])
def test_other_words_stay_as_they_are(text):
    assert translated(text) == text
