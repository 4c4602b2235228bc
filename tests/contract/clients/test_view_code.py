"""What the console offers to paste, pasted: Google's and OpenAI's clients do with it what it says."""

from typing import Any

import pytest

from console.presenters.catalogue.model_code import Code
from console.presenters.catalogue.model_families import Variant
from jobs.models import Endpoint, PublisherModel
from tests.jobs.localvertex.servers import PARENT, TINY

pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
    pytest.mark.usefixtures("vertexai_sdk"),
]


@pytest.fixture
def variant(server, settings):
    settings.VERTEX_API_ENDPOINT = server.url
    _projects, settings.VERTEX_PROJECT, _locations, settings.VERTEX_LOCATION = PARENT.split("/")
    publisher, _slash, rest = TINY.partition("/")
    family, _at, version = rest.partition("@")
    model = PublisherModel(name=TINY, publisher=publisher, family=family, version=version, data={"licence": "Any"})
    return Variant(model, "")


def test_the_sdk_deploys(variant, server):
    names: dict[str, Any] = {}
    exec(Code(variant, None, "python").deploy_python, names)  # noqa: S102  # as the person would
    assert names["endpoint"].resource_name.startswith(f"{PARENT}/endpoints/")
    assert len(names["endpoint"].list_models()) == 1
    names["endpoint"].delete(force=True)


def test_the_openai_client_asks(variant, server, capsys):
    pytest.importorskip("openai")
    server.deployed("pasted")
    endpoint = Endpoint(resource_name=f"{PARENT}/endpoints/pasted")
    exec(Code(variant, endpoint, "openai").ask_openai, {})  # noqa: S102  # as the person would
    assert capsys.readouterr().out == "Hello there\n"
