"""Each field of each call's request, sent alone: stored and returned, acted upon or refused; none is dropped."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from google.cloud import aiplatform_v1

from jobs.localvertex.conformance.unused import WITHOUT_EFFECT
from tests.jobs.localvertex.alone.messages import paths, request_of, spell, value_of, with_field
from tests.jobs.localvertex.alone.probes import CALLS, DROPPED, ELSEWHERE, WITHOUT_MESSAGE, Outcome, Prober, transcode
from tests.jobs.localvertex.alone.seeds import World
from tests.jobs.localvertex.servers import ROOT

AT_ONCE = 3
PROBED = sorted(set(CALLS) - set(WITHOUT_MESSAGE))


def dropped(outcomes: list[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one.became == DROPPED]


@pytest.mark.parametrize("method", ["create_endpoint", "create_custom_job"])
def test_no_field_of_a_create_is_dropped(server, method):
    server.upload("fields/train.jsonl", '{"prompt": "steps", "completion": "yes"}\n')
    with World(server) as world:
        found = list(Prober(world).outcomes(method, depth=2))
    assert dropped(found) == []
    assert {one.became for one in found} >= {"stored and returned", "refused", "set by the server only"}


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_no_field_of_any_call_is_dropped(own_server):
    with World(own_server.start()) as world, ThreadPoolExecutor(AT_ONCE) as pool:
        world.prepare()
        prober = Prober(world)
        lists = [method for method in PROBED if method.startswith("list_")]  # while nobody makes anything
        parts = [list(prober.outcomes(method)) for method in lists]
        parts += pool.map(lambda method: list(prober.outcomes(method)), sorted({*PROBED} - {*lists}))
    found = [one for part in parts for one in part]
    assert {one.method for one in found} == set(PROBED)
    assert dropped(found) == []


@pytest.mark.parametrize("method", ["upload_model", "create_tuning_job", "count_tokens"])
def test_what_only_v1_has_is_refused_by_its_name(server, method):
    server.upload("fields/train.jsonl", '{"prompt": "steps", "completion": "yes"}\n')
    both = {spell(path) for path in paths(request_of(method))}
    only = [path for path in paths(request_of(method, aiplatform_v1)) if spell(path) not in both]
    assert only
    with World(server) as world:
        for path in only:
            body = with_field(without_beta(world.seed(method)), path, value_of(path[-1], path[:-1]))
            url, _, content = transcode(CALLS[method], body)
            answer = world.http.post(f"{server.url}/v1/{url}", json=content)
            text = answer.json()["error"]["message"]
            named = any(found.name in text or found.json_name in text for found in path)
            assert (answer.status_code, named, "Cannot find" in text) == (400, True, False), (spell(path), text)


def without_beta(body: dict[str, Any]) -> dict[str, Any]:
    """Tuning jobs of v1 have no folder for what they leave."""
    job = {key: one for key, one in body.get("tuningJob", {}).items() if key != "outputUri"}
    return body | ({"tuningJob": job} if job else {})


def test_what_has_no_effect_is_there():
    fields = {(method, spell(path)) for method in PROBED for path in paths(request_of(method), 3)}
    assert {*WITHOUT_EFFECT, *ELSEWHERE} - fields == set()


def test_what_is_seen_elsewhere_is_tried_there():
    missing = [
        (field, where)
        for (_, field), where in ELSEWHERE.items()
        if field.rpartition(".")[2] not in Path(ROOT / where).read_text(encoding="utf-8")
    ]
    assert missing == []
