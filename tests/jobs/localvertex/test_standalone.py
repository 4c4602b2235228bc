import json
import os
import subprocess
import sys
from argparse import Namespace

import httpx
import pytest

from jobs.localvertex.standalone import describe, list_variables, write_credentials
from tests.jobs.localvertex.servers import ROOT

ADDRESS = "http://127.0.0.1:9090"


@pytest.fixture
def options(tmp_path):
    return Namespace(data_dir=tmp_path, project="p", location="europe-west4", bucket="b", instant=True)


def test_the_variables_lead_here(options, tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9199")
    assert list_variables(options, ADDRESS) == {
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:9199",
        "GOOGLE_APPLICATION_CREDENTIALS": f"{tmp_path}/credentials.json",
        "GOOGLE_CLOUD_PROJECT": "p",
        "GOOGLE_CLOUD_LOCATION": "europe-west4",
        "GOOGLE_CLOUD_REGION": "europe-west4",
        "GOOGLE_VERTEX_BASE_URL": ADDRESS,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{ADDRESS}/",
    }


def test_what_is_printed_can_be_pasted(options):
    assert describe(options, ADDRESS, {"A": "1"}) == [
        f"Project p, location europe-west4, api_endpoint {ADDRESS}",
        "Instant: all weights are random and nothing is learned.",
        "export A=1",
    ]


def test_the_credentials_ask_this_server(tmp_path):
    about = json.loads(write_credentials(tmp_path, ADDRESS).read_text())
    assert about["token_url"] == f"{ADDRESS}/token"


def test_a_server_that_brings_all_of_it(tmp_path):
    """And leaves when its standard input ends, with the folder that it made for itself."""
    command = [sys.executable, "-m", "jobs.localvertex", "--instant", "--until-eof", "--bucket", "mine"]
    command += ["--port-file", str(tmp_path / "port.json")]
    environment = {key: value for key, value in os.environ.items() if key != "STORAGE_EMULATOR_HOST"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment | {"TMPDIR": str(tmp_path)}, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as server:  # fmt: skip
        address = server.stdout.readline().split()[-1]
        assert server.stdout.readline().endswith(f"bucket gs://mine, api_endpoint {address}\n")
        assert server.stdout.readline() == "Instant: all weights are random and nothing is learned.\n"
        exported = dict(server.stdout.readline().removeprefix("export ").strip().split("=", 1) for _ in range(7))
        assert json.loads((tmp_path / "port.json").read_text())["environment"] == exported
        buckets = httpx.get(f"{exported['STORAGE_EMULATOR_HOST']}/storage/v1/b", trust_env=False).json()
        assert [one["name"] for one in buckets["items"]] == ["mine"]
        assert httpx.post(f"{address}/token", data={"a": "b"}, trust_env=False).json()["access_token"] == "local"
        assert len(list(tmp_path.glob("localvertex-*"))) == 1
        server.stdin.close()
        server.wait(20)
    assert list(tmp_path.glob("localvertex-*")) == []
