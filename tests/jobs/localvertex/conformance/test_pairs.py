import re
from collections.abc import Iterator
from typing import Any

import pytest

from jobs.localvertex.app import MODULES
from jobs.localvertex.conformance.pairs import DOCUMENTED, FILES, FOLDER, INFERRED, fill, known_differences, read_pairs
from jobs.localvertex.conformance.shapes import find_problems
from jobs.localvertex.inference import METHODS as INFERENCE_METHODS

PAIRS = read_pairs()
SOURCES = (
    "https://docs.cloud.google.com/",
    "https://google.aip.dev/",
    "https://github.com/GoogleCloudPlatform/",
    "https://github.com/googleapis/",
)
# What is billed by the hour or the token as soon as Google takes it.
BILLED = ("deploy", "deploy_model", "create_tuning_job", "create_custom_job", "create_training_pipeline", "predict",
          "raw_predict", "stream_raw_predict", "server_streaming_predict", "chat completions")  # fmt: skip
MAKING = ("create_", "upload_", "copy_", "deploy")


def texts(shape: Any) -> Iterator[str]:
    if isinstance(shape, str):
        yield shape
    elif isinstance(shape, list | dict):
        for one in shape.values() if isinstance(shape, dict) else shape:
            yield from texts(one)


def test_every_file_is_read():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(FILES)


def test_ids_are_each_there_once():
    assert len({pair.id for pair in PAIRS}) == len(PAIRS) >= 160


def test_every_call_of_the_server_has_a_pair():
    calls = {route.method for module in MODULES for route in module.ROUTES} | set(INFERENCE_METHODS.values())
    named = {pair.call.replace("chat completions", "chat_completions") for pair in PAIRS}
    assert calls - named == set()
    assert named - calls == set()


def test_every_pair_has_its_source_and_says_what_is_inferred():
    assert [pair.id for pair in PAIRS if not pair.source.startswith(SOURCES)] == []
    assert [pair.id for pair in PAIRS if pair.basis != (INFERRED if pair.note else DOCUMENTED)] == []


def test_what_google_bills_is_marked():
    taken = [pair for pair in PAIRS if pair.call in BILLED and pair.code == 200]
    assert [pair.id for pair in taken if not (pair.paid or pair.needs)] == []


def test_what_is_made_is_taken_away():
    made = [pair for pair in PAIRS if pair.call.startswith(MAKING) and pair.code == 200 and "code" not in pair.known]
    forgotten = {pair.id for pair in made if not pair.cleanup}
    below = {"create-experiment", "create-run", "create-series"}
    assert forgotten == {"upload-version", *below}, "a version goes with its model, and what is below a board with it"


def test_shapes_are_of_kinds_that_there_are():
    found = {re.sub(r"\$\{\w+\}", "x", text) for pair in PAIRS for text in texts(pair.answer)} - {"@absent"}
    assert len(found) > 50
    for text in found:
        list(find_problems(text, "x"))


def test_values_are_filled_in_everywhere():
    assert fill({"a${x}": ["${x}", {"b": "${x}/c"}], "d": 1}, {"x": "1"}) == {"a1": ["1", {"b": "1/c"}], "d": 1}
    with pytest.raises(KeyError, match="missing"):
        fill(["${missing}"], {"x": "1"})


def test_differences_are_told_once_a_call():
    found = known_differences(PAIRS)
    assert found["create_endpoint"][0] == "The operation is done when it answers."
    assert all(len(texts) == len(set(texts)) for texts in found.values())
