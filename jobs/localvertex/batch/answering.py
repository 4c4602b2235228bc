"""One row after the other, several at a time, to the model that the batch is for."""

import asyncio
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.types import Message

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.wire import Json
from jobs.localvertex.batch.rows import CHAT, CONTENTS, Row
from jobs.localvertex.serving.apis.completions import Completions
from jobs.localvertex.serving.apis.generate import Generate
from jobs.localvertex.serving.chat import Chat
from jobs.localvertex.serving.llama import SLOTS
from jobs.localvertex.serving.pool import Serving
from jobs.localvertex.serving.predict import CHAT_FORM, FORMAT_KEY, Predict
from jobs.localvertex.serving.streaming import ClientLeft
from jobs.localvertex.serving.targets import Target
from jobs.localvertex.storage.buckets import Buckets

LOOK_SECONDS = 0.1
TRIES = 3
PASSING = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")
Choose: TypeAlias = Callable[[], Target]
Note: TypeAlias = Callable[[Row, Any, ApiError | None], None]
SCOPE = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}


class Answering:
    """`choose` gives the model for a row: an endpoint shares them out. `note` is told each row's end, in any order."""

    def __init__(self, serving: Serving, buckets: Buckets, choose: Choose, parameters: Json, note: Note) -> None:
        chat = Chat(serving, buckets)
        self._chat, self._predict = chat, Predict(chat)
        self._completions, self._generate = Completions(chat), Generate(chat)
        self._choose = choose
        self._parameters = parameters
        self._note = note

    def run(self, rows: Iterable[Row], leaving: Callable[[], bool]) -> None:
        """Until all rows have an end, or `leaving` says so: then those that were begun have none."""
        try:
            asyncio.run(self._run(iter(rows), leaving))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _run(self, rows: Iterator[Row], leaving: Callable[[], bool]) -> None:
        left = asyncio.Event()
        watch = asyncio.create_task(_watch(left, leaving))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(SLOTS):
                    group.create_task(self._work(rows, left, leaving))
        finally:
            watch.cancel()

    async def _work(self, rows: Iterator[Row], left: asyncio.Event, leaving: Callable[[], bool]) -> None:
        """What fails while everything is being stopped has not failed."""
        for row in rows:
            if left.is_set():
                return
            try:
                answer, error = await self._end_of(row, left)
            except ClientLeft:
                return
            if error is not None and leaving():
                return
            await asyncio.to_thread(self._note, row, answer, error)

    async def _end_of(self, row: Row, left: asyncio.Event) -> tuple[Any, ApiError | None]:
        if row.problem:
            return None, row.problem
        error = None
        for _ in range(TRIES):
            try:
                return await self._answer(row, _request(left)), None
            except ApiError as refusal:
                error = refusal
                if refusal.status not in PASSING:
                    break
        return None, error

    async def _answer(self, row: Row, request: Request) -> Any:
        target = await asyncio.to_thread(self._choose)
        if row.shape == CONTENTS:
            return await self._generate.answer(request, target, row.asked)
        if row.shape == CHAT:
            asked = {key: value for key, value in row.asked.items() if key != "stream"}
            api = self._completions if "prompt" in asked else self._chat
            return json.loads(bytes((await api.complete(request, target, asked)).body))
        return await self._predict_one(request, target, row.asked)

    async def _predict_one(self, request: Request, target: Target, instance: Json) -> Any:
        if "messages" in instance:
            instance = {FORMAT_KEY: CHAT_FORM, **instance}
        body = {"instances": [instance], "parameters": self._parameters}
        found = json.loads(bytes((await self._predict.raw(request, target, body)).body))["predictions"]
        return found[0] if isinstance(found, list) else found


async def _watch(left: asyncio.Event, leaving: Callable[[], bool]) -> None:
    while not leaving():
        await asyncio.sleep(LOOK_SECONDS)
    left.set()


def _request(left: asyncio.Event) -> Request:
    """As from a client that leaves when the batch does, which stops the model."""

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    return Request(SCOPE, receive)
