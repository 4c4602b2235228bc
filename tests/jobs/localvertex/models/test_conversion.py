import json
import shlex
import sys

import pytest
from google.api_core.exceptions import BadRequest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models.conversion import Converter
from tests.jobs.localvertex.servers import BUCKET, FAKE_ENGINE, ROOT, TINY_FOLDER, wait_for


def custom(server, folder, endpoint):
    return server.deploy(endpoint, custom_model={"gcs_uri": f"gs://{BUCKET}/{folder}"})


def test_whole_model_is_converted_and_served(server):
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        server.upload(f"whole/{name}", "{}")
    operation = custom(server, "whole", "whole")
    assert wait_for(lambda: server.finished(operation), server.log).error.message == ""
    (made,) = (server.data / "endpoints/whole").glob("*/model.gguf")
    assert made.read_bytes() == b"converted"
    assert server.chat("whole").status_code == 200


def test_folder_that_cannot_be_converted(server):
    for name in ("config.json", "pytorch_model.bin"):
        server.upload(f"broken/{name}", "{}")
    operation = custom(server, "broken", "broken")
    error = wait_for(lambda: server.finished(operation), server.log).error
    assert (error.code, error.message) == (
        9,
        "The model could not be converted to GGUF: There is no model.safetensors.",
    )


def test_engine_without_conversion_says_so(own_server):
    failing = shlex.join([sys.executable, "-c", "raise SystemExit(2)"])
    own_server.options = ("--engine-command", failing, *own_server.options[2:])
    server = own_server.start()
    for name in ("config.json", "model.safetensors"):
        server.upload(f"unconvertible/{name}", "{}")
    with pytest.raises(BadRequest, match="cannot convert a whole model to GGUF yet"):
        custom(server, "unconvertible", "unconvertible")


def test_cancelled_while_converting(tmp_path):
    sleeper = Converter([sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(ApiError, match="was cancelled"):
        sleeper.run(tmp_path, tmp_path / "model.gguf", lambda: True, "f16")
    assert not (tmp_path / "model.gguf").exists()


def test_asks_the_engine():
    assert Converter(shlex.split(FAKE_ENGINE)).available()


@pytest.mark.slow
def test_whole_model_by_the_real_engine_and_llama_cpp(own_server):
    own_server.options = ()
    server = own_server.start()
    for path in TINY_FOLDER.iterdir():
        if path.suffix != ".gguf":
            server.upload(f"tiny/{path.name}", path.read_bytes())
    operation = custom(server, "tiny", "real")
    assert wait_for(lambda: server.finished(operation), server.log, 90).error.message == ""
    question = json.loads((ROOT / "tests/fixtures/tiny-tune/heldout.json").read_text())["questions"][0]
    reply = server.chat("real", question["prompt"], temperature=0, max_tokens=32).json()
    assert reply["choices"][0]["message"]["content"] == question["plain"]
