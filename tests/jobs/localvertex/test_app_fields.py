"""Each field of each call's request, sent alone: stored and returned, acted upon or refused; none is dropped."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.localvertex.unused import WITHOUT_EFFECT
from tests.jobs.localvertex.alone.messages import paths, request_of, spell
from tests.jobs.localvertex.alone.probes import CALLS, DROPPED, ELSEWHERE, WITHOUT_MESSAGE, Outcome, Prober
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
        found = [one for part in pool.map(lambda method: list(prober.outcomes(method)), PROBED) for one in part]
    assert {one.method for one in found} == set(PROBED)
    assert dropped(found) == []


def test_what_has_no_effect_is_there():
    fields = {(method, spell(path)) for method in PROBED for path in paths(request_of(method), 2)}
    assert {*WITHOUT_EFFECT, *ELSEWHERE} - fields == set()


def test_what_is_seen_elsewhere_is_tried_there():
    missing = [
        (field, where)
        for (_, field), where in ELSEWHERE.items()
        if field.rpartition(".")[2] not in Path(ROOT / where).read_text(encoding="utf-8")
    ]
    assert missing == []
