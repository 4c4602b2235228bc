"""The sample requests of an endpoint's page do what they show."""

import ast
import subprocess
import sys

import pytest

from console.presenters.endpoints.samples import samples
from jobs.models import Endpoint
from tests.jobs.localvertex.servers import PARENT

NAME = f"{PARENT}/endpoints/samples"
OF_GOOGLE = {
    "resource_name": NAME, "location": "us-central1",
    "dedicated_dns": "samples.us-central1-1.prediction.vertexai.goog",
}  # fmt: skip
GOOGLE = Endpoint(**OF_GOOGLE)


@pytest.fixture(scope="module")
def address(server):
    server.deployed("samples", publisher_model_name="publishers/local/models/seeing@seeing")
    return server.url


@pytest.fixture
def local(address, settings):
    settings.VERTEX_API_ENDPOINT = address
    return samples(Endpoint(resource_name=NAME, location="us-central1", dedicated_dns="127.0.0.1:1"))


def output(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_curl(local):
    assert '"content":"Hello there"' in output(["bash", "-c", local[0].text.replace("curl ", "curl -sS ", 1)]).replace(
        '": "', '":"'
    )


def test_the_openai_client(local):
    pytest.importorskip("openai")
    assert output([sys.executable, "-c", local[1].text]) == "Hello there\n"


def test_google_s_client(local):
    assert "Output:" in output([sys.executable, "-c", local[2].text])


def test_for_google_they_name_the_dedicated_address_and_print_no_secret(settings):
    settings.VERTEX_API_ENDPOINT = ""
    curl, openai, sdk = (sample.text for sample in samples(GOOGLE))
    assert f"https://{GOOGLE.dedicated_dns}/v1beta1/{NAME}/chat/completions" in curl
    assert ("$(gcloud auth print-access-token)" in curl, "credentials.token" in openai) == (True, True)
    assert "use_dedicated_endpoint=True" in sdk
    assert [ast.parse(text) is not None for text in (openai, sdk)] == [True, True]


def test_for_google_without_an_address_of_its_own_the_region_s(settings):
    settings.VERTEX_API_ENDPOINT = ""
    shared = Endpoint(**OF_GOOGLE | {"dedicated_dns": ""})
    curl, _openai, sdk = (sample.text for sample in samples(shared))
    assert ("https://us-central1-aiplatform.googleapis.com/v1beta1/" in curl, "use_dedicated" in sdk) == (True, False)


def test_they_are_coloured_and_escaped(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1/<b>"
    assert [("<span" in sample.html, "<b>" in sample.html) for sample in samples(GOOGLE)] == [(True, False)] * 3
