"""Turns at the threads: who gets one, and who is turned away when too many wait."""

import asyncio
from collections import Counter

import pytest

from console.entrance.limits import Full
from console.entrance.threads import Lanes


class Crowd:
    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.tasks: list[tuple[str, asyncio.Task[None]]] = []

    async def send_in(self, client: str, count: int = 1) -> None:
        for _ in range(count):
            self.tasks.append((client, asyncio.create_task(self.lanes.enter(client))))
        await self.settle()

    @staticmethod
    async def settle() -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def turned_away(self) -> dict[str, int]:
        return dict(Counter(client for client, task in self.tasks if task.done() and task.exception()))

    async def serve_all(self) -> dict[str, int]:
        """How many of each client got a thread."""
        served: Counter[str] = Counter()
        left = list(self.tasks)
        while left:
            inside = [one for one in left if one[1].done()]
            left = [one for one in left if one not in inside]
            for client, task in inside:
                if not task.exception():
                    served[client] += 1
                    self.lanes.leave(client)
            await self.settle()
        return dict(served)


def played(story, **options):
    async def play():
        return await asyncio.wait_for(story(Crowd(Lanes(**options))), 10)

    return asyncio.run(play())


@pytest.mark.threat("T12")
def test_who_has_nothing_waiting_finds_room_however_many_strangers_wait():
    async def story(crowd):
        for number in range(5):
            await crowd.send_in(f"address 2001:db8:0:{number}::/64", 104)
        before = crowd.turned_away()
        await crowd.send_in("person 1", 3)
        late = Counter(crowd.turned_away()) - Counter(before)
        served = await crowd.serve_all()
        return late.total(), served["person 1"], sum(served.values()), crowd.lanes.inside, crowd.lanes.lanes

    assert played(story) == (3, 3, 410, 0, {})


@pytest.mark.threat("T12")
def test_the_room_is_shared_by_all_that_wait():
    async def story(crowd):
        for client in ("first", "second", "third"):
            await crowd.send_in(client, 8)
        return await crowd.serve_all()

    assert played(story, threads=3, each=1, waiting=9, waiting_each=20) == {"first": 4, "second": 4, "third": 4}


def test_who_waits_longest_in_a_lane_stays():
    async def story(crowd):
        await crowd.send_in("greedy", 4)
        await crowd.send_in("other")
        return [task.done() for _, task in crowd.tasks], crowd.turned_away()

    expected = [True, False, False, True, False], {"greedy": 1}
    assert played(story, threads=1, each=1, waiting=3, waiting_each=3) == expected


def test_who_has_as_many_waiting_as_anybody_is_turned_away():
    async def story(crowd):
        await crowd.send_in("first", 2)
        await crowd.send_in("second", 2)
        return crowd.turned_away()

    assert played(story, threads=1, each=1, waiting=2, waiting_each=9) == {"second": 1}


def test_who_never_gets_in_leaves_no_trace():
    async def story(crowd):
        await crowd.send_in("first", 3)
        with pytest.raises(Full):
            await crowd.lanes.enter("first")
        for _, task in crowd.tasks[1:]:
            task.cancel()
        await crowd.settle()
        crowd.lanes.leave("first")
        return crowd.lanes.inside, crowd.lanes.lanes

    assert played(story, threads=1, each=1, waiting=9, waiting_each=2) == (0, {})
