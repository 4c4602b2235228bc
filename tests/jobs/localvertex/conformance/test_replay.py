"""The pairs against the local server, and the replay's own manners against a server of three lines."""

import json

import httpx
import pytest

from jobs.localvertex.conformance.__main__ import arguments, values_of
from jobs.localvertex.conformance.pairs import Pair, Step, read_pairs
from jobs.localvertex.conformance.replay import FAILED, PAID, PASSED, SKIPPED, Replay
from tests.jobs.localvertex.servers import TINY

PARENT = "projects/conformance/locations/us-central1"


def replayed(server, *options: str):
    """Results by id, and the replay."""
    server.upload("conformance/train.jsonl", '{"prompt": "steps", "completion": "yes"}\n' * 4)
    server.upload("conformance/hf/config.json", "{}")
    server.upload("conformance/hf/model.safetensors", "weights")
    given = ["--endpoint", server.url, "--model", TINY, "--bucket", "garden-local", *options]
    given += ["--dataset", "gs://garden-local/conformance/train.jsonl", "--weights", "gs://garden-local/conformance/hf"]
    found = arguments(given)
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
        replay = Replay(http, values_of(found), paid=found.paid, local=True)
        return {one.pair.id: one for one in replay.run(read_pairs())}, replay


def left(server) -> list[str]:
    with httpx.Client(base_url=f"{server.url}/v1beta1/{PARENT}/", trust_env=False) as http:
        kinds = ("endpoints", "models", "customJobs", "trainingPipelines")
        return [one["name"] for kind in kinds for one in http.get(kind).json().get(kind, [])]


def test_what_costs_nothing_is_as_documented(server):
    results, replay = replayed(server)
    assert {key: one.reasons for key, one in results.items() if one.outcome == FAILED} == {}
    skipped = {key for key, one in results.items() if one.outcome == SKIPPED}
    assert skipped == {key for key, one in results.items() if one.pair.paid}
    assert (replay.left_behind, left(server)) == ([], [])


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_everything_is_as_documented_or_known_to_differ(server):
    results, replay = replayed(server, "--paid")
    assert {key: one.reasons for key, one in results.items() if one.outcome != PASSED} == {}
    stale = [key for key, one in results.items() if one.differs != one.pair.known]
    assert stale == [], "they do not differ any more"
    assert (replay.left_behind, left(server)) == ([], [])


class Recorder:
    """Answers 200 with a name, and remembers what it was asked."""

    def __init__(self, **answers: httpx.Response | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path}")
        answer = self.answers.get(request.method, httpx.Response(200, json={"name": f"{PARENT}/things/7"}))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, *pairs: Pair, **options: bool):
        with httpx.Client(base_url="http://test", transport=httpx.MockTransport(self)) as http:
            replay = Replay(http, {"run": "c1"}, **options)
            return list(replay.run(pairs)), replay


def making(**changes) -> Pair:
    request = Step("POST", "/v1/things", {"a": "${run}"}, saves={"thing": "name"})
    given = {"answer": {"name": "@string"}, "cleanup": (Step("DELETE", "/v1/${thing}"),), **changes}
    return Pair("make", "create_thing", "https://docs.cloud.google.com/x", request, **given)


def test_what_costs_money_is_not_sent_unless_asked_for():
    server = Recorder()
    (result,), _ = server.run(making(paid=True))
    assert (result.outcome, result.reasons, server.asked) == (SKIPPED, (PAID,), [])
    (result,), _ = server.run(making(paid=True), paid=True)
    assert (result.outcome, server.asked[0]) == (PASSED, "POST /v1/things")


def test_what_a_project_may_lack_is_asked_of_a_local_server_only():
    server = Recorder()
    (result,), _ = server.run(making(needs="a network"))
    assert (result.outcome, result.reasons, server.asked) == (SKIPPED, ("needs a network",), [])
    (result,), _ = server.run(making(needs="a network"), local=True)
    assert result.outcome == PASSED


def test_what_was_made_is_taken_away_though_it_is_not_as_documented():
    server = Recorder()
    (result,), replay = server.run(making(answer={"name": "@absent"}))
    assert (result.outcome, server.asked[-1]) == (FAILED, f"DELETE /v1/{PARENT}/things/7")
    assert replay.left_behind == []


def test_what_was_made_is_taken_away_when_somebody_interrupts():
    server = Recorder()
    with httpx.Client(base_url="http://test", transport=httpx.MockTransport(server)) as http:
        results = Replay(http, {"run": "c1"}).run([making(), making()])
        next(results)
        del results
    assert server.asked == ["POST /v1/things", f"DELETE /v1/{PARENT}/things/7"]


def test_what_could_not_be_taken_away_is_told():
    _, replay = Recorder(DELETE=httpx.Response(503, text="later")).run(making())
    assert replay.left_behind == [f"DELETE /v1/{PARENT}/things/7: 503 later"]


def test_nothing_is_sent_twice_when_no_answer_comes():
    server = Recorder(POST=httpx.ReadTimeout("slow"))
    (result,), _ = server.run(making())
    assert (result.outcome, result.reasons, server.asked) == (FAILED, ("ReadTimeout: slow",), ["POST /v1/things"])


def test_a_value_that_was_not_made_skips_what_needs_it():
    later = Pair("get", "get_thing", "https://docs.cloud.google.com/x", Step("GET", "/v1/${thing}"), {})
    first, second = Recorder(POST=httpx.Response(403, json={})).run(making(), later)[0]
    assert (first.outcome, second.outcome) == (FAILED, SKIPPED)
    assert second.reasons == ("needs thing, which was not given or not made",)


def test_a_known_difference_passes_and_is_told():
    pair = making(answer={"done": "@absent", "name": "@string"}, known={"done": "It is done."})
    (result,), _ = Recorder(POST=httpx.Response(200, json={"name": "n", "done": True})).run(pair)
    assert (result.outcome, result.differs) == (PASSED, {"done": "It is done."})


def test_streams_end_with_done():
    pair = making(streamed=True, answer={"a": "@number"}, cleanup=())
    event = json.dumps({"a": 1})
    for text, outcome in ((f"data: {event}\n\ndata: [DONE]\n\n", PASSED), (f"data: {event}\n\n", FAILED), ("", FAILED)):
        (result,), _ = Recorder(POST=httpx.Response(200, text=text)).run(pair)
        assert result.outcome == outcome
