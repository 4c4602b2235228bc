"""Sends the pairs to a server, compares the answers, and takes away again whatever was made."""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from jobs.localvertex.conformance.pairs import Pair, Step, fill
from jobs.localvertex.conformance.shapes import Problem, find_problems

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
PAID = "costs money at Google: add --paid"
GONE = (404, 405)
LONGEST_WAIT = 5400.0
SLOWEST_POLL = 15.0


@dataclass(frozen=True)
class Result:
    """`differs`: what was found to differ and was known to, by the path in the answer."""

    pair: Pair
    outcome: str
    reasons: tuple[str, ...] = ()
    differs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    code: int
    body: Any
    text: str


class Replay:
    """`values` fill the requests; what a project of Google's may lack is asked of a `local` server only. Nothing is
    sent twice, except reads that wait for something."""

    def __init__(
        self, http: httpx.Client, values: Mapping[str, str], *, paid: bool = False, local: bool = False
    ) -> None:
        self._http = http
        self._values = dict(values)
        self._paid = paid
        self._cleanup: list[Step] = []
        self.left_behind: list[str] = []
        self._is_local = local

    def run(self, pairs: Iterable[Pair]) -> Iterator[Result]:
        """Cleans up when it ends, however that is."""
        try:
            for pair in pairs:
                yield self._try(pair)
        finally:
            self._clean()

    def _try(self, pair: Pair) -> Result:
        if pair.paid and not self._paid:
            return Result(pair, SKIPPED, (PAID,))
        if pair.needs and not self._is_local:
            return Result(pair, SKIPPED, (f"needs {pair.needs}",))
        try:
            request, answer = fill(_plain(pair.request), self._values), fill(pair.answer, self._values)
        except KeyError as missing:
            return Result(pair, SKIPPED, (f"needs {missing.args[0]}, which was not given or not made",))
        self._cleanup += pair.cleanup
        try:
            got = self._ask(Step(**request), fill(pair.until, self._values))
        except httpx.HTTPError as error:
            return Result(pair, FAILED, (f"{type(error).__name__}: {error}",))
        problems = [*self._find_problems(pair, answer, got)]
        self._save(pair.request, got)
        return _judge(pair, problems)

    def _ask(self, step: Step, until: Any) -> Answer:
        deadline, pause = time.monotonic() + LONGEST_WAIT, 0.05
        while True:
            got = self._send(step)
            version = _version(step)
            if until is None or got.code != 200 or not any(find_problems(until, got.body, version)):
                return got
            if time.monotonic() > deadline or _has_failed(got.body):
                return got
            time.sleep(pause)
            pause = min(pause * 1.5, SLOWEST_POLL)

    def _send(self, step: Step) -> Answer:
        headers = {"Content-Type": "application/json"}
        content = step.raw or (json.dumps(step.body) if step.body is not None else None)
        reply = self._http.request(step.method, step.path, content=content, headers=headers)
        return Answer(reply.status_code, _json(reply.text), reply.text)

    def _find_problems(self, pair: Pair, answer: Any, got: Answer) -> Iterable[Problem]:
        if got.code != pair.code:
            yield Problem("code", f"is {got.code}, not {pair.code}: {got.text[:300]}")
        elif pair.streamed:
            yield from _of_stream(answer, got.text)
        else:
            yield from find_problems(answer, got.body, _version(pair.request))

    def _save(self, step: Step, got: Answer) -> None:
        for name, place in step.saves.items() if got.code == 200 else ():
            path, _, pattern = place.partition("|")
            value = _dig(got.body, path.split("."))
            found = re.fullmatch(pattern or "(.+)", value) if isinstance(value, str) else None
            if found:
                self._values[name] = found[1]
                self._values[f"{name}_id"] = found[1].rpartition("/")[2]

    def _clean(self) -> None:
        """In reverse. What is gone already is as it should be; what cannot be taken away is told."""
        for step in reversed(self._cleanup):
            try:
                asked = Step(**fill(_plain(step), self._values))
            except KeyError:
                continue  # it was never made
            try:
                got = self._finish(self._send(asked))
                self._save(step, got)
            except httpx.HTTPError as error:
                self.left_behind.append(f"{asked.method} {asked.path}: {error}")
                continue
            if got.code not in (200, 400, *GONE):
                self.left_behind.append(f"{asked.method} {asked.path}: {got.code} {got.text[:200]}")

    def _finish(self, got: Answer) -> Answer:
        name = got.body.get("name", "") if isinstance(got.body, dict) else ""
        if got.code == 200 and "/operations/" in name and not got.body.get("done"):
            return self._ask(Step("GET", f"/v1beta1/{name}"), {"done": True})
        return got


def _judge(pair: Pair, problems: list[Problem]) -> Result:
    differs = {one.path: pair.known[one.path] for one in problems if one.path in pair.known}
    reasons = tuple(str(one) for one in problems if one.path not in pair.known)
    return Result(pair, FAILED if reasons else PASSED, reasons, differs)


def _of_stream(shape: Any, text: str) -> Iterable[Problem]:
    """Server-sent events, each with JSON, and the last with [DONE]."""
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    if not events:
        yield Problem("", f"has no events: {text[:200]!r}")
    elif events[-1] != "[DONE]":
        yield Problem("", f"does not end with [DONE] but with {events[-1][:200]!r}")
    else:
        yield from find_problems([shape], [_json(one) for one in events[:-1]])


def _plain(step: Step) -> dict[str, Any]:
    return {"method": step.method, "path": step.path, "body": step.body, "raw": step.raw}  # saves are not filled


def _version(step: Step) -> str:
    return "v1" if step.path.startswith("/v1/") else "v1beta1"


def _has_failed(body: Any) -> bool:
    return isinstance(body, dict) and (body.get("state") == "JOB_STATE_FAILED" or "error" in body)


def _dig(body: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(body, list) and key.isdecimal():
            body = body[int(key)] if int(key) < len(body) else None
        else:
            body = body.get(key) if isinstance(body, dict) else None
    return body


def _json(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


def is_local(http: httpx.Client) -> bool:
    """The local server says so at an address that Google's has not. Raises httpx.HTTPError when nothing answers."""
    found = _json(http.get("/healthz").text)
    return isinstance(found, dict) and "base_models" in found
