"""Questions that are asked together: few are sent, and no answer is older than its question."""

import asyncio
from collections.abc import Collection

import pytest

from console.web.batches import Batch


class Source:
    """Answers when it is told to, by what is true then."""

    def __init__(self, *true: str) -> None:
        self.true, self.asked = set(true), list[set[str]]()
        self.may_answer = asyncio.Event()

    async def find(self, questions: Collection[str]) -> set[str]:
        self.asked.append(set(questions))
        true = set(self.true)
        await self.may_answer.wait()
        return true


async def begin(batch: Batch[str], *questions: str) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.create_task(batch.ask(question)) for question in questions]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def test_many_at_once_are_one_question():
    async def run():
        source = Source("a")
        source.may_answer.set()
        answers = await asyncio.gather(*await begin(Batch(source.find), "a", "b", "a"))
        return answers, source.asked

    assert asyncio.run(run()) == ([True, False, True], [{"a", "b"}])


def test_what_is_asked_later_is_looked_up_later():
    async def run():
        source = Source()
        batch = Batch(source.find)
        early = await begin(batch, "a")
        source.true.add("a")
        late = await begin(batch, "a")
        source.may_answer.set()
        return await asyncio.gather(*early, *late), source.asked

    assert asyncio.run(run()) == ([False, True], [{"a"}, {"a"}])


def test_who_leaves_takes_no_answer_from_the_others():
    async def run():
        source = Source("a")
        first, second = await begin(Batch(source.find), "a", "a")
        first.cancel()
        source.may_answer.set()
        return await asyncio.gather(first, second, return_exceptions=True)

    cancelled, answer = asyncio.run(run())
    assert (type(cancelled), answer) == (asyncio.CancelledError, True)


def test_a_failure_is_everybodys_and_the_next_question_is_asked_anew():
    async def run():
        async def find(questions: Collection[str]) -> set[str]:
            if "bad" in questions:
                raise OSError("gone")
            return {"a"}

        batch = Batch(find)
        failed = await asyncio.gather(*await begin(batch, "a", "bad"), return_exceptions=True)
        return [str(each) for each in failed], await batch.ask("a")

    assert asyncio.run(run()) == (["gone", "gone"], True)


def test_nobody_who_waits_is_no_warning(caplog):
    async def run():
        async def find(questions: Collection[str]) -> set[str]:
            await asyncio.sleep(0)
            raise OSError("gone")

        batch = Batch(find)
        (left,) = await begin(batch, "a")
        left.cancel()
        with pytest.raises(OSError, match="gone"):
            await batch.ask("b")

    asyncio.run(run(), debug=True)
    assert caplog.records == []
