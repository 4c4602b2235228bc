import json
import tomllib

from jobs.localvertex.engine.families.table import ARCHITECTURES
from jobs.localvertex.models.catalogue import FILE
from jobs.services.catalogue.facts import FACTS, engine_family, is_known_to_engine

WITHOUT_A_PUBLISHER = {"qwen2", "smollm3", "phi3"}  # they come by imports only
UNKNOWN = {"qwen/qwen3-5", "qwen/qwen3-6", "meta/llama4", "zai-org/glm-4.7-flash"}


def test_the_families_that_are_taken_away_are_those_that_the_engine_knows():
    told = tomllib.loads(FACTS.read_text(encoding="utf-8"))
    engines = {family: one["engine"] for family, one in told["families"].items() if "engine" in one}
    assert set(engines.values()) == set(ARCHITECTURES) - WITHOUT_A_PUBLISHER
    catalogued = {one["id"] for one in json.loads(FILE.read_text(encoding="utf-8"))["models"]}
    unknown = {name.partition("@")[0] for name in {*told["models"], *catalogued} if not is_known_to_engine(name)}
    assert unknown == UNKNOWN


def test_models_of_somebodys_own_are_known_without_a_family():
    assert [is_known_to_engine(name) for name in ("hf-a/b@001", "local/mine@mine", "me/mine@one")] == [
        True, True, False,
    ]  # fmt: skip
    assert [engine_family(name) for name in ("google/gemma4@gemma-4-e2b-it", "hf-a/b@001")] == ["gemma4", ""]
