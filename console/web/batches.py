"""One question to a database for all who have it at the same moment."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Container
from typing import Generic, TypeVar

Question = TypeVar("Question")


class Batch(Generic[Question]):
    """Which of the questions are answered with yes. Those that are asked while an answer is on its way wait for the
    next one, so that no answer is older than its question. `find_all` may raise: then everybody who waits gets that."""

    def __init__(self, find_all: Callable[[Collection[Question]], Awaitable[Container[Question]]]) -> None:
        self.find_all = find_all
        self.waiting: dict[Question, asyncio.Future[bool]] = {}
        self.task: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> bool:
        loop = asyncio.get_running_loop()
        if question not in self.waiting:
            self.waiting[question] = loop.create_future()
        if self.task is None:
            self.task = loop.create_task(self.run())
        return await asyncio.shield(self.waiting[question])

    async def run(self) -> None:
        try:
            while asked := self.waiting:
                self.waiting = {}
                await self.answer(asked)
        finally:
            self.task = None

    async def answer(self, asked: dict[Question, asyncio.Future[bool]]) -> None:
        try:
            found = await self.find_all(asked)
        except Exception as error:  # whatever it is, it is theirs who asked
            for future in asked.values():
                future.set_exception(error)
                future.exception()
            return
        for question, future in asked.items():
            future.set_result(question in found)
