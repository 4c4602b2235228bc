"""Models for which there is no memory, and what would fit instead."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from google.api_core.exceptions import BadRequest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.memory.serving import MEGABYTE
from jobs.localvertex.serving.llama import Plan
from jobs.localvertex.serving.pool import Serving
from tests.support.running import ROOT

TINY = ROOT / "tests/fixtures/tiny-gemma3/model.gguf"


@pytest.mark.slow
def test_a_shorter_context_fits_where_the_usual_one_does_not(own_server):
    plan = Plan("e", str(TINY))
    between = replace(plan, context=4096).need() // MEGABYTE + 1
    own_server.extra = ["--serving-memory-mb", str(between)]
    server = own_server.start()
    message = rf"may take {between} MB altogether\. A context of 4096 tokens fits \(--max-model-len=4096\)\. Deploy a"
    with pytest.raises(BadRequest, match=message):
        server.deploy("usual")
    container = {"image_uri": "vllm", "args": ["--max-model-len=4096"]}
    server.deployed("shorter", model_config={"model_user_id": "m-shorter", "container_spec": container})
    assert server.chat("shorter").status_code == 200


def test_what_other_programs_leave_no_memory_for(tmp_path):
    """Nothing is begun, and what is idle goes first."""
    plan = Plan("e/deployedModels/1", str(TINY))
    serving = Serving(tmp_path, budget=2**40, free_memory=lambda: plan.need() - 1)
    message = r"and \d+ MB are free on this machine\. A context of 4096 tokens fits \(--max-model-len=4096\)\. Close ot"
    with pytest.raises(ApiError, match=message) as caught:
        serving.start(plan)
    assert (caught.value.status, serving.states()) == ("RESOURCE_EXHAUSTED", [])
    serving.require_room(replace(plan, context=4096).needs(), "It")
    assert Serving(tmp_path, budget=2**40, free_memory=lambda: None).room() == 2**40


def test_while_a_driver_is_asked_for_free_memory_other_requests_go_on(tmp_path):
    """As `nvidia-smi`, which may take seconds."""
    is_slow, asked, answers = threading.Event(), threading.Event(), threading.Event()

    def ask() -> int:
        if not is_slow.is_set():
            return 2**40
        asked.set()
        answers.wait(20)
        return 0

    serving = Serving(tmp_path, budget=2**40, free_memory=ask)
    for name in ("asleep", "other"):
        serving.offer(Plan(name, str(TINY)))
    is_slow.set()
    with ThreadPoolExecutor(2) as pool:
        waking = pool.submit(serving.wake, serving.hold("asleep"))
        assert asked.wait(20)
        held = pool.submit(serving.hold, "other")
        try:
            assert held.result(5).plan.name == "other"
        finally:
            answers.set()
        assert waking.result(20) is False


def test_a_context_that_other_programs_leave_no_memory_for_is_not_suggested(tmp_path):
    needs = {8192: 40, 4096: 30, 2048: 20, 1024: 10}
    for free, suggested in ((30, "A context of 4096 tokens fits"), (25, "A context of 2048 tokens fits"), (5, "")):
        serving = Serving(tmp_path, budget=35, free_memory=partial(int, free), where="this machine and its GPUs")
        with pytest.raises(ApiError, match="altogether") as caught:
            serving.require_room(needs, "It")
        assert (suggested in str(caught.value), "A context of" in str(caught.value)) == (True, bool(suggested))
    with pytest.raises(ApiError, match="are free on this machine and its GPUs"):
        serving.require_room({8192: 9}, "It")
