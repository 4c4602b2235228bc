"""What llama.cpp takes where a request does not say."""

import httpx
import pytest

from jobs.localvertex.serving.llama import ADDRESS, SERVING_COMMAND, Plan, launch
from tests.jobs.localvertex.engine.conftest import TINY
from tests.jobs.localvertex.servers import wait_for

SAMPLING = {
    "temperature": 0.25, "top_k": 7, "min_p": 0.1, "repetition_penalty": 1.25, "frequency_penalty": 0.5,
    "presence_penalty": 0.75, "dry_multiplier": 0.8,
}  # fmt: skip
TOLD = {
    "temperature": 0.25, "top_k": 7, "min_p": 0.1, "repeat_penalty": 1.25, "frequency_penalty": 0.5,
    "presence_penalty": 0.75, "dry_multiplier": 0.8, "top_p": 0.95, "repeat_last_n": 256, "dry_penalty_last_n": 512,
}  # fmt: skip


@pytest.mark.slow
def test_a_model_s_own_settings_are_the_defaults(tmp_path):
    plan = Plan("e/deployedModels/1", str(TINY / "model.gguf"), sampling=SAMPLING)
    child = launch(plan, tmp_path / "served", SERVING_COMMAND)
    try:
        wait_for(lambda: child.ready, lambda: "\n".join(child.last_lines()), 60)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(child.socket)), timeout=60) as client:
            found = client.get(f"{ADDRESS}/props", headers={"Authorization": f"Bearer {child.api_key}"}).json()
    finally:
        child.kill()
    told = found["default_generation_settings"]["params"]
    assert {name: round(told[name], 3) for name in TOLD} == TOLD
