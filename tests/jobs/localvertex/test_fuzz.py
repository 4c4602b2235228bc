"""Mutated requests, twenty thousand with the slow tests; `FUZZ_SEED` for others."""

import json
import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import pytest

from jobs.localvertex.app import PATHS
from jobs.localvertex.inference import METHODS as INFERENCE_METHODS, match
from jobs.localvertex.resources.call import Route
from tests.jobs.localvertex.alone.broken import Broken, broken_requests, can_be_broken
from tests.jobs.localvertex.alone.probes import CALLS, transcode
from tests.jobs.localvertex.alone.seeds import World
from tests.jobs.localvertex.fuzz import OWN, SEEDS, Request, requests
from tests.jobs.localvertex.servers import PARENT

SEED = int(os.environ.get("FUZZ_SEED", "20261124"))
MAX_GROWTH_KB = 24_000
PARTS, AT_ONCE = 8, 6
NOT_IMPLEMENTED = 501  # Google's UNIMPLEMENTED, which is said of kinds of metrics and of caches
LONGEST_SECONDS = 2


def memory(server) -> int:
    with open(f"/proc/{server.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def timed(client: httpx.Client, request: Request) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    reply = client.request(request.verb, request.path, content=request.content)
    return reply, time.monotonic() - started


def send(client: httpx.Client, request: Request) -> str:
    """What is wrong with the answer."""
    try:
        reply, seconds = timed(client, request)
        if seconds > LONGEST_SECONDS and not request.path.partition("?")[0].endswith(":wait"):
            reply, seconds = timed(client, request)
            if seconds > LONGEST_SECONDS:
                return f"twice more than {LONGEST_SECONDS} s"
    except httpx.InvalidURL:
        return ""
    except httpx.TransportError as error:
        return f"{error!r}"
    if reply.status_code >= 500 and reply.status_code != NOT_IMPLEMENTED:
        return f"{reply.status_code} {reply.text[:300]}"
    if reply.status_code != 200 and set(reply.json()["error"]) - {"details"} != {"code", "message", "status"}:
        return f"no envelope: {reply.text[:300]}"
    return ""


def make_board(server) -> str:
    """A tensorboard with one of each below it, in place of the one of the seeds."""
    made = server.boards.create_tensorboard(parent=PARENT, tensorboard={"display_name": "F"}).result(timeout=10).name
    named = {"display_name": "F"}
    experiment = server.boards.create_tensorboard_experiment(
        parent=made, tensorboard_experiment=named, tensorboard_experiment_id="f"
    ).name
    run = server.boards.create_tensorboard_run(parent=experiment, tensorboard_run=named, tensorboard_run_id="f").name
    series = {"tensorboard_time_series": {**named, "value_type": "SCALAR"}, "tensorboard_time_series_id": "f"}
    server.boards.create_tensorboard_time_series({"parent": run, **series})
    return str(made)


def put(request: Request, board: str) -> Request:
    content = request.content.replace(OWN.encode(), board.encode())
    return Request(request.verb, request.path.replace(OWN, board), content)


def test_every_call_is_mutated():
    paths = [f"/v1beta1/{path.partition('?')[0]}" for _, path, _ in SEEDS]
    asked = {p.route.method for p in PATHS for path in paths if p.pattern.match(path)}
    answered = {found.method for path in paths if (found := match(path))}
    assert {path.route.method for path in PATHS} - asked == set()
    assert {*INFERENCE_METHODS.values()} - answered == set()


@pytest.mark.parametrize("count", [300, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(1000)])])
def test_no_server_error_no_hang_and_flat_memory(own_server, count):
    server = own_server.start()
    server.upload("fuzz/train.jsonl", json.dumps({"prompt": "steps", "completion": "yes"}) + "\n")
    server.deployed("fuzz")
    board = make_board(server)
    asked, sizes, wrong = [put(request, board) for request in requests(SEED, count)], [], []
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        for first in range(0, count, count // PARTS):
            part = asked[first : first + count // PARTS]
            answers = pool.map(partial(send, client), part)
            wrong += [(request, problem) for request, problem in zip(part, answers, strict=True) if problem]
            sizes.append(memory(server))
    assert wrong == [], server.log()[-4000:]
    assert sizes[-1] - sizes[2] < MAX_GROWTH_KB, sizes
    assert httpx.get(f"{server.url}/healthz", trust_env=False).json()["status"] == "ok"
    assert "Traceback" not in server.log()


def refuse(client: httpx.Client, route: Route, broken: Broken) -> str:
    """Empty when it was, with a code of 400."""
    url, query, content = transcode(route, broken.body)
    reply = client.request(route.verb, url, params=query, json=content)
    return "" if reply.status_code == 400 else f"{route.method}: {broken.why}: {reply.status_code} {reply.text[:200]}"


def not_refused(world: World, methods: list[str], count: int) -> list[str]:
    """Of `count` requests that are wrong by the descriptors, what was not refused."""
    dice, each = random.Random(SEED), -(-count // len(methods))
    asked = [
        (CALLS[method], broken)
        for method in methods
        for broken in broken_requests(dice, CALLS[method], world.seed(method), each)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = pool.map(lambda one: refuse(world.http, *one), asked)
    return [answer for answer in answers if answer]


def test_what_the_descriptors_forbid_is_refused(server):
    server.upload("fields/train.jsonl", '{"prompt": "steps", "completion": "yes"}\n')
    methods = ["create_tuning_job", "create_endpoint", "create_custom_job", "upload_model", "deploy", "list_models"]
    with World(server) as world:
        assert not_refused(world, methods, 300) == []


@pytest.mark.slow
@pytest.mark.timeout(2000)
def test_what_the_descriptors_forbid_is_refused_by_every_call(own_server):
    """With the random mutations, twenty thousand."""
    with World(own_server.start()) as world:
        world.prepare()
        assert not_refused(world, [*filter(can_be_broken, CALLS)], 15_000) == []
    assert "Traceback" not in own_server.log()
