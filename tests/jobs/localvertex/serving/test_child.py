"""What llama.cpp takes where a request does not say."""

import httpx
import pytest

from jobs.localvertex.serving.llama import ADDRESS, SERVING_COMMAND, Plan, launch
from tests.jobs.localvertex.engine.conftest import TINY
from tests.jobs.localvertex.servers import wait_for

NAMES = ("temperature", "top_p", "top_k")


@pytest.mark.slow
def test_a_model_s_own_settings_are_the_defaults(tmp_path):
    plan = Plan("e/deployedModels/1", str(TINY / "model.gguf"), sampling={"temperature": 0.25, "top_k": 7})
    child = launch(plan, tmp_path / "served", SERVING_COMMAND)
    try:
        wait_for(lambda: child.ready, lambda: "\n".join(child.last_lines()), 60)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(child.socket)), timeout=60) as client:
            found = client.get(f"{ADDRESS}/props", headers={"Authorization": f"Bearer {child.api_key}"}).json()
    finally:
        child.kill()
    told = found["default_generation_settings"]["params"]
    assert [round(told[name], 3) for name in NAMES] == [0.25, 0.95, 7]
