import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from redis.exceptions import RedisError, ResponseError

from console.web import tail
from console.web.streams import connect
from console.web.tail import Reader, Tail, order

PATIENCE = 5.0


def run(url, story, make=Tail):
    async def play():
        client = connect(url, 20)
        try:
            return await asyncio.wait_for(story(make(client, block=15)), 10)
        finally:
            await client.aclose()

    return asyncio.run(play())


def plain(entries):
    return list(entries)


def words(found, stream):
    return [fields[b"text"] for _, fields in found.get(stream, ())]


@pytest.mark.parametrize(("earlier", "later"), [(b"9-0", b"10-0"), (b"9-9", b"9-10"), (b"9-10", b"10-0")])
def test_ids_are_numbers(earlier, later):
    assert order(earlier) < order(later)


def test_pages_that_come_one_after_the_other_are_served_at_once(redis_url, broker):
    async def story(reading):
        streams = [b"live:%d" % number for number in range(3)]
        seen = []
        async with reading.reading({streams[0]: b"0-0"}, plain) as first:
            broker.xadd(streams[0], {"text": "0"})
            seen += words(await first.read(PATIENCE), streams[0])
            async with (
                reading.reading({streams[1]: b"0-0"}, plain) as second,
                reading.reading({streams[2]: b"0-0"}, plain) as third,
            ):
                for number, reader in ((1, second), (2, third), (0, first)):
                    broker.xadd(streams[number], {"text": str(number)})
                    seen += words(await reader.read(PATIENCE), streams[number])
        return seen

    assert run(redis_url, story) == [b"0", b"1", b"2", b"0"]


def test_a_page_that_comes_later_gets_the_beginning_and_the_other_nothing_twice(redis_url, broker):
    async def story(reading):
        for text in ("one", "two"):
            broker.xadd("live:a", {"text": text})
        async with reading.reading({b"live:a": b"0-0"}, plain) as first:
            seen = words(await first.read(PATIENCE), b"live:a")
            async with reading.reading({b"live:a": b"0-0"}, plain) as second:
                late = words(await second.read(PATIENCE), b"live:a")
                broker.xadd("live:a", {"text": "three"})
                return seen, late, [words(await reader.read(PATIENCE), b"live:a") for reader in (first, second)]

    assert run(redis_url, story) == ([b"one", b"two"], [b"one", b"two"], [[b"three"], [b"three"]])


class Interrupted:
    """A client with which something happens once, between an answer of Redis and what is made of it."""

    def __init__(self, client, happens):
        self.client, self.pipeline, self.happens = client, client.pipeline, happens

    async def xread(self, *args, **options):
        found = await self.client.xread(*args, **options)
        while self.happens:
            await self.happens.pop()
        return found


def test_a_page_that_comes_while_news_arrive_gets_the_beginning_first(redis_url, broker):
    happens = []

    async def story(reading):
        async def come():
            late.set_result(await pages.enter_async_context(reading.reading({b"live:a": b"0-0"}, plain)))

        for text in ("one", "two"):
            broker.xadd("live:a", {"text": text})
        async with AsyncExitStack() as pages:
            first = await pages.enter_async_context(reading.reading({b"live:a": b"0-0"}, plain))
            late: asyncio.Future[Any] = asyncio.Future()
            seen = words(await first.read(PATIENCE), b"live:a")
            happens.append(come())
            broker.xadd("live:a", {"text": "three"})
            seen += words(await first.read(PATIENCE), b"live:a")
            return seen, words(await (await late).read(PATIENCE), b"live:a")

    made = run(redis_url, story, lambda client, block: Tail(Interrupted(client, happens), block))
    assert made == ([b"one", b"two", b"three"], [b"one", b"two", b"three"])


def test_nothing_new_is_nothing(redis_url, broker):
    async def story(reading):
        async with reading.reading({b"live:a": b"0-0"}, plain) as reader:
            return await reader.read(0.01)

    assert run(redis_url, story) == {}


def test_a_lost_connection_ends_the_reading_and_the_next_one_begins_anew(redis_url, broker):
    async def story(reading):
        async with reading.reading({b"live:a": b"0-0"}, plain) as reader:
            broker.xadd("live:a", {"text": "one"})
            await reader.read(PATIENCE)
            broker.client_kill_filter(_type="normal", skipme=True)
            with pytest.raises(RedisError):
                await reader.read(PATIENCE)
        async with reading.reading({b"live:a": b"0-0"}, plain) as reader:
            return words(await reader.read(PATIENCE), b"live:a")

    assert run(redis_url, story) == [b"one"]


BEYOND = b"99999999999999999999-0"


@pytest.mark.threat("T12")
@pytest.mark.parametrize("refused", ["a position", "a key"])
def test_what_redis_refuses_of_one_page_ends_no_other(redis_url, broker, refused):
    broker.set("live:text", "no stream")
    wanted = {b"live:b": BEYOND} if refused == "a position" else {b"live:text": b"0-0", b"live:b": b"0-0"}

    async def story(reading):
        async with reading.reading({b"live:a": b"0-0"}, plain) as first:
            async with reading.reading(wanted, plain) as second:
                with pytest.raises(ResponseError):
                    await second.read(PATIENCE)
                # It has not left yet, as one that still waits for its browser.
                broker.xadd("live:a", {"text": "one"})
                seen = words(await first.read(PATIENCE), b"live:a")
            async with reading.reading({b"live:b": b"0-0"}, plain) as third:
                broker.xadd("live:b", {"text": "two"})
                return seen, words(await third.read(PATIENCE), b"live:b")

    assert run(redis_url, story) == ([b"one"], [b"two"])


@pytest.mark.threat("T12")
def test_what_cannot_be_folded_for_one_page_ends_no_other(redis_url, broker):
    def fail(entries):
        raise KeyError

    async def story(reading):
        wanted = {b"live:a": b"0-0"}
        async with reading.reading(wanted, plain) as first, reading.reading(wanted, fail) as second:
            with broker.pipeline() as pipe:
                for text in [*["one"] * tail.BATCH, "last"]:
                    pipe.xadd("live:a", {"text": text})
                pipe.execute()
            seen = words(await first.read(PATIENCE), b"live:a")
            while b"last" not in seen:
                seen += words(await first.read(PATIENCE), b"live:a")
            with pytest.raises(KeyError):
                await second.read(PATIENCE)
            broker.xadd("live:a", {"text": "more"})
            return len(seen), words(await first.read(PATIENCE), b"live:a")

    assert run(redis_url, story) == (tail.BATCH + 1, [b"more"])


def test_a_page_that_lags_behind_has_a_short_pile():
    reader = Reader({b"a": b"0-0"}, lambda entries: entries[-1:])
    for number in range(1, 3 * tail.BATCH):
        reader.add(b"a", [(b"%d-0" % number, {})])
        assert len(reader.piled[b"a"]) <= tail.BATCH
    assert reader.piled[b"a"][-1] == (b"599-0", {})
