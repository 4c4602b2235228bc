import pytest

from jobs.vertex.errors import NotFound, VertexError
from jobs.vertex.values import ChatRequest
from tests.fakes import PARENT


def ask(name, text="What comes after one?", dns="", **parameters):
    messages = [{"role": "user", "content": text}]
    return ChatRequest(endpoint=name, dedicated_dns=dns, messages=messages, parameters=parameters)


@pytest.fixture
def endpoint(world, served):
    return world.gateway.deployment.endpoint_name(served.endpoint_user_id)


@pytest.fixture
def dns(world, endpoint):
    return world.gateway.deployment.get_endpoint(endpoint).dedicated_dns


def test_an_answer_is_streamed(world, endpoint, dns):
    with world.gateway.chat.stream(ask(endpoint, dns=dns, max_tokens=12, temperature=0)) as stream:
        chunks = list(stream)
    assert "".join(chunk.text for chunk in chunks).strip()
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason][0] in {"stop", "length"}
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    assert [set(usage) for usage in usages] == [{"prompt_tokens", "completion_tokens"}]


def test_leaving_early_ends_the_stream_and_the_next_one_works(world, endpoint, dns):
    with world.gateway.chat.stream(ask(endpoint, dns=dns, max_tokens=200)) as stream:
        next(stream)
    with world.gateway.chat.stream(ask(endpoint, dns=dns, max_tokens=3)) as stream:
        assert list(stream)


def test_an_endpoint_that_is_not_there(world):
    with pytest.raises(NotFound), world.gateway.chat.stream(ask(f"{PARENT}/endpoints/nothing")) as stream:
        list(stream)


def test_an_endpoint_with_nothing_on_it(world):
    deployment, spec = world.gateway.deployment, world.deploy_spec()
    world.finished(deployment.deploy(spec))
    name = deployment.endpoint_name(spec.endpoint_user_id)
    world.finished(deployment.undeploy(name, deployment.get_endpoint(name).deployed_models[0].id, {}))
    with pytest.raises(VertexError), world.gateway.chat.stream(ask(name)) as stream:
        list(stream)
