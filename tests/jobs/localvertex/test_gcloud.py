"""What each `gcloud ai` command sends, replayed. `gcloud.json` says how the requests came about.

Nobody can install gcloud here. Its library for HTTP (apitools) made the requests, with clients generated from Google's
discovery documents as gcloud's are, from the messages that gcloud's published source builds; `source` is the file of
the command. `reads` is what that source reads of the answer, `save` what later requests need of it.
"""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.jobs.localvertex.servers import TINY, wait_for

CASES = json.loads((Path(__file__).parent / "gcloud.json").read_text(encoding="utf-8"))
TRACKS = ("gcloud", "alpha", "beta", "ai")
GROUPS = {
    "custom-jobs": 5, "endpoints": 14, "hp-tuning-jobs": 5, "model-garden": 4, "models": 7, "operations": 1,
    "persistent-resources": 5, "tensorboard-experiments": 5, "tensorboard-runs": 5, "tensorboard-time-series": 6,
    "tensorboards": 5, "tuning-jobs": 4,
}  # fmt: skip
HEADERS = {"accept": "application/json", "accept-encoding": "gzip, deflate", "content-type": "application/json"}


def command_of(case):
    words = [word for word in case["command"].split() if word not in TRACKS]
    return tuple(words[: 3 if words[0] == "model-garden" else 2])


def read(reply, path):
    """None for what is not there. A path that ends with a slash means the last part of a name."""
    if path.endswith("/"):
        return read(reply, path[:-1]).rpartition("/")[2]
    for key in path.split("."):
        if isinstance(reply, list):
            reply = reply[int(key)] if len(reply) > int(key) else None
        elif isinstance(reply, dict):
            reply = reply.get(key)
    return reply


class Replay:
    """Sends the requests in their order, and notes how each answer differs from what was seen."""

    def __init__(self, server, **known):
        self.server, self.known, self.wrong = server, known, []

    def put(self, text):
        return re.sub(r"\{(\w+)\}", lambda found: self.known.get(found[1], found[0]), text)

    def send(self, wanted):
        body = self.put(json.dumps(wanted["body"])) if "body" in wanted else None
        url = f"{self.server.url}{self.put(wanted['path'])}?{wanted['query']}".rstrip("?")
        return httpx.request(wanted["method"], url, content=body, headers=HEADERS, timeout=30, trust_env=False)

    def answer(self, wanted):
        if "until" not in wanted:
            return self.send(wanted)

        def ended():
            reply = self.send(wanted)
            return reply if reply.status_code != 200 or read(reply.json(), wanted["until"]) else None

        return wait_for(ended, self.server.log)

    def check(self, case):
        for wanted in case["requests"]:
            reply = self.answer(wanted)
            if reply.status_code != wanted["status"]:
                self.wrong.append((case["command"], reply.status_code, reply.text[:300]))
                return
            if "says" in wanted and reply.json()["error"]["message"] != self.put(wanted["says"]):
                self.wrong.append((case["command"], reply.json()["error"]["message"]))
            found = reply.json() if reply.headers["content-type"].startswith("application/json") else {}
            missing = [path for path in wanted.get("reads", []) if not read(found, path)]
            if missing or ("error" in found and wanted["status"] == 200):
                self.wrong.append((case["command"], missing, reply.text[:300]))
            self.known |= {name: read(found, path) for name, path in wanted.get("save", {}).items()}


def test_every_command_of_the_covered_groups():
    found: dict[str, set[tuple[str, ...]]] = {}
    for case in CASES:
        group, *command = command_of(case)
        found.setdefault(group, set()).add(tuple(command))
        assert case["source"].startswith(f"lib/surface/ai/{group.replace('-', '_')}/"), case["command"]
    assert {group: len(commands) for group, commands in found.items()} == GROUPS


def test_requests_have_the_form_of_gcloud():
    for case in CASES:
        for request in case["requests"]:
            beta = re.match(r"gcloud (alpha|beta) ", case["command"])
            of_requests = command_of(case)[1] in ("raw-predict", "stream-raw-predict")  # sent without apitools
            assert ("alt=json" in request["query"].split("&")) != of_requests, case["command"]
            assert request["path"].startswith(("/v1/", "/v1beta1/", "/v2/", "/v3/")), case["command"]
            if beta and "googleapis.com" not in request["path"] and "/v2/" not in request["path"]:
                assert request["path"].startswith("/v1beta1/"), case["command"]


def test_empty_lists_and_refusals(server):
    replay = Replay(server)
    for case in CASES:
        if command_of(case)[0] in ("hp-tuning-jobs", "persistent-resources"):
            replay.check(case)
    assert replay.wrong == []


@pytest.mark.slow
def test_every_request_is_answered_as_gcloud_needs_it(own_server):
    server = own_server.start()
    rows = {wish: json.dumps({"prompt": wish, "completion": "yes"}) + "\n" for wish in ("steps", "hold")}
    server.upload("gcloud/train.jsonl", rows["steps"])
    server.upload("gcloud/hold.jsonl", rows["hold"])
    done = server.until(server.create(server.job()).name, "SUCCEEDED")
    assert done.base_model == TINY
    replay = Replay(server, final=str(server.models.get_model(name=done.tuned_model.model).artifact_uri))
    for case in CASES:
        replay.check(case)
    assert replay.wrong == []
