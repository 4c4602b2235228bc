"""Sends each field of a call's request message alone, and tells what became of it."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jobs.localvertex.app import MODULES
from jobs.localvertex.conformance.unused import why_unused
from jobs.localvertex.grpc_api.methods import body_of
from jobs.localvertex.resources.call import Route
from tests.jobs.localvertex.alone.messages import (
    MAX_DEPTH,
    Path,
    flat,
    has_message,
    is_ignored,
    paths,
    request_of,
    spell,
    value_of,
    with_field,
)
from tests.jobs.localvertex.alone.seeds import Body, World

RETURNED, ACTED, REFUSED = "stored and returned", "acted upon", "refused"
IGNORED, EMPTY, UNUSED, DROPPED = "set by the server only", "an empty message", "without effect, and why", "dropped"
# Whose effect needs more than one request to be seen, and the tests that see it.
ELSEWHERE = {
    ("count_tokens", "instances"): "tests/jobs/localvertex/resources/models/test_tokens.py",
    ("deploy", "model_config.accept_eula"): "tests/contract/clients/test_published.py",
    ("update_artifact", "allow_missing"): "tests/jobs/localvertex/resources/test_metadata.py",
    ("update_context", "allow_missing"): "tests/jobs/localvertex/resources/test_metadata.py",
    ("update_execution", "allow_missing"): "tests/jobs/localvertex/resources/test_metadata.py",
}
# What a refusal calls a field that its author knows by another name.
IN_OTHER_WORDS = {"function_response": ("role is 'tool'",)}
# Where the effect of calls with empty answers is seen.
FOLLOWED: dict[str, Callable[[Body], str]] = {
    "add_execution_events": lambda body: f"{body['execution']}:queryExecutionInputsAndOutputs",
    "add_context_artifacts_and_executions": lambda body: f"{body['context']}:queryContextLineageSubgraph",
    "undeploy_model": lambda body: str(body["endpoint"]),
    "write_tensorboard_run_data": lambda body: f"{body['tensorboardRun']}/timeSeries/s:read",
    "write_tensorboard_experiment_data": lambda body: f"{body['tensorboardExperiment']}/runs/r/timeSeries/s:read",
    "mutate_deployed_model": lambda body: str(body["endpoint"]),
}
CALLS = {route.method: route for module in reversed(MODULES) for route in reversed(module.ROUTES)}
WITHOUT_MESSAGE = ("get_operation", "list_operations", "delete_operation", "cancel_operation", "wait_operation")
# A value that nothing can be made of: it is refused where the field is read.
GARBAGE: dict[str, Any] = {
    "page_token": "sent-alone",
    "filter": "((",
    "order_by": "sent-alone desc",
    "read_mask": "sentAlone",
    "page_size": -1,
    "update_mask": "sentAlone",
}
MUTATE = "mutate_deployed_model"
UNIMPLEMENTED = 501
_VARIES = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{32}|\bn\d+x\b|\d{3,}|\d+\.\d{3,}")
_NAME = re.compile(r"^projects/[^/]+/locations/[^/]+/(?:endpoints|models|tuningJobs|customJobs)/[^/:]+$")


@dataclass(frozen=True)
class Outcome:
    method: str
    field: str
    became: str
    answer: str = ""


@dataclass(frozen=True)
class Answer:
    """`shown` is everything that shows what became of a request."""

    code: int
    shown: list[Any]

    @property
    def normal(self) -> str:
        """Without what differs from one time to the next."""
        text = json.dumps([self.code, _without_moods(self.shown)], sort_keys=True, ensure_ascii=False)
        return _VARIES.sub("#", text)

    @property
    def text(self) -> str:
        return json.dumps(self.shown, ensure_ascii=False)[:2000]

    def holds(self, chain: list[str], value: Any) -> bool:
        return any(_fits(found, value) for found in _find(self.shown, chain))


class Prober:
    def __init__(self, world: World) -> None:
        self.world = world

    def outcomes(self, method: str, depth: int = MAX_DEPTH) -> Iterator[Outcome]:
        route = CALLS[method]
        plain, again = (self.ask(route, self.world.seed(method)) for _ in range(2))
        assert plain.normal == again.normal, f"{method}: the answer changes by itself: {plain.normal} {again.normal}"
        for path in paths(request_of(method), depth):
            became, answer = self.probe(route, path, plain)
            yield Outcome(method, spell(path), became, answer)

    def probe(self, route: Route, path: Path, plain: Answer) -> tuple[str, str]:
        field = spell(path)
        if f"{{{field}=" in route.path or (route.method, field) in ELSEWHERE:
            return ACTED, ""
        became, answer = self.judge(route, path, value_of(path[-1], path[:-1]), plain)
        if became == DROPPED and path[-1].name in GARBAGE:
            again, _ = self.judge(route, path, GARBAGE[path[-1].name], plain)
            became = ACTED if again in (REFUSED, ACTED) else became
        if became == DROPPED and is_ignored(path, route.method):
            became = IGNORED
        if became == DROPPED and why_unused(route.method, field):
            became = UNUSED
        return became, answer

    def judge(self, route: Route, path: Path, value: Any, plain: Answer) -> tuple[str, str]:
        seed = self.world.seed(route.method)
        if has_message(seed, path):
            return ACTED, ""
        body = with_field(seed, path, value)
        if (route.verb == "PATCH" or route.method == MUTATE) and len(path) > 1:
            body["updateMask"] = path[1].json_name
        answer = self.ask(route, body)
        if answer.code >= 400:
            return _refusal(path, value, plain, answer)
        chain = [found.json_name for found in (path[1:] or path)[-2:]]
        if answer.holds(chain, value) and not plain.holds(chain, value):
            return RETURNED, ""
        if answer.normal != plain.normal:
            return ACTED, ""
        return (EMPTY if value in ({}, [{}]) else DROPPED), answer.text

    def ask(self, route: Route, body: Body) -> Answer:
        url, query, content = transcode(route, body)
        reply = self.world.http.request(route.verb, url, params=query, json=content)
        assert reply.status_code < 500 or reply.status_code == UNIMPLEMENTED, (route.method, body, reply.text)
        answer = reply.json()
        if reply.status_code >= 400:
            return Answer(reply.status_code, [answer])
        if "/operations/" in answer.get("name", ""):
            answer = self.world.finish(answer["name"])
        shown = [answer, *self.linked(answer)]
        if look := FOLLOWED.get(route.method):
            shown.append(self.world.http.get(look(body)).json())
        self.clean(route.method, shown)
        return Answer(reply.status_code, shown)

    def linked(self, answer: Any) -> list[Any]:
        """The resources that an operation's response names."""
        response = answer.get("response", {})
        named = [one for one in _texts(response) if _NAME.match(one)]
        replies = [self.world.http.get(one) for one in dict.fromkeys(named)]
        if "deployedModel" in response:
            replies.append(self.world.http.get(answer["name"].partition("/operations/")[0]))
        return [reply.json() for reply in replies if reply.status_code == 200]

    def clean(self, method: str, shown: list[Any]) -> None:
        """What works for nobody any more makes room."""
        if method in ("deploy", "deploy_model"):
            for endpoint in shown[1:]:
                for deployed in endpoint.get("deployedModels", []):
                    if "id" in deployed:
                        self.world.post(f"{endpoint['name']}:undeployModel", {"deployedModelId": deployed["id"]})
        if method in ("create_tuning_job", "create_custom_job", "create_training_pipeline"):
            self.world.post(f"{shown[0]['name']}:cancel")


def _refusal(path: Path, value: Any, plain: Answer, answer: Answer) -> tuple[str, str]:
    """One that quotes the value was about what it names: it was looked for. Some calls are refused as a whole."""
    if any(one in answer.text for one in _texts(value)):
        return ACTED if answer.code in (404, 409) else REFUSED, answer.text
    names = [one for found in path for one in (found.name, found.json_name, *IN_OTHER_WORDS.get(found.name, ()))]
    named = any(one in answer.text for one in names)
    as_a_whole = plain.code == answer.code and plain.normal == answer.normal
    return (REFUSED if named or as_a_whole else DROPPED), answer.text


def transcode(route: Route, body: Body) -> tuple[str, dict[str, list[str]], Any]:
    """By Google's rules: what the path names, the body, and the rest as the query."""
    rest = json.loads(json.dumps(body))
    url = ""
    for literal, name in re.findall(r"([^{]+)|\{([\w.]+)=[^}]+\}", route.path):
        url += literal or _take(rest, name.split("."))
    field = body_of(route)
    if field == "*":
        return url, {}, rest
    content = rest.pop(_camel(field), None) if field else None
    query: dict[str, list[str]] = {}
    for key, value in flat(rest):
        query.setdefault(key, []).append(value)
    return url, query, content


def _take(body: Any, names: list[str]) -> str:
    *outer, last = map(_camel, names)
    for name in outer:
        body = body[name]
    return str(body.pop(last))


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _without_moods(content: Any) -> Any:
    """Neither etags, nor how far a job is, nor whether a model server sleeps at this moment."""
    if isinstance(content, dict):
        kept = {key: one for key, one in content.items() if key != "etag" and not _is_state(key, one)}
        return {key: _without_moods(one) for key, one in kept.items()}
    return [_without_moods(one) for one in content] if isinstance(content, list) else content


def _is_state(key: str, value: Any) -> bool:
    if key in ("startTime", "endTime") or (key == "status" and isinstance(value, dict)):
        return True
    return key == "state" and str(value).startswith(("JOB_STATE_", "PIPELINE_STATE_"))


def _find(content: Any, chain: list[str]) -> Iterator[Any]:
    """Whatever lies at the end of the chain, wherever it begins."""
    if isinstance(content, list):
        for one in content:
            yield from _find(one, chain)
    elif isinstance(content, dict):
        here = [content]
        for key in chain:
            nexts = [one.get(key) for one in here if isinstance(one, dict) and key in one]
            here = [inner for one in nexts for inner in (one if isinstance(one, list) else [one])]
        yield from here
        for one in content.values():
            yield from _find(one, chain)


def _fits(found: Any, sent: Any) -> bool:
    """What was sent is there; there may be more beside it. Numbers of 64 bits come back as text."""
    if isinstance(sent, list):
        return bool(sent) and _fits(found, sent[0])
    if isinstance(sent, dict):
        return isinstance(found, dict) and all(key in found and _fits(found[key], one) for key, one in sent.items())
    return found == sent or (not isinstance(sent, bool) and str(found) == str(sent))


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, dict | list):
        for one in content.values() if isinstance(content, dict) else content:
            yield from _texts(one)
