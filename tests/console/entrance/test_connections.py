"""Who gets in when there are too many connections, and who has to go."""

import resource
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from console.entrance.connections import Door, is_this_machine, network_of

NEAR = "127.0.0.1"


class Caller:
    """A connection, as far as the door looks at it."""

    def __init__(self, address: str, *, is_idle: bool = False) -> None:
        self.address, self.is_idle, self.is_near = address, is_idle, address == NEAR
        self.is_cut = False
        self.transport = SimpleNamespace(is_closing=lambda: self.is_cut)
        self.loop = SimpleNamespace(call_later=lambda *_: SimpleNamespace(cancel=lambda: None))

    def cut_off(self) -> None:
        self.is_cut = True


def come(door: Door, address: str, count: int = 1, *, is_idle: bool = False) -> list[Caller]:
    callers = [Caller(address, is_idle=is_idle) for _ in range(count)]
    for caller in callers:
        door.let_in(cast(Any, caller))
    return callers


def left(*groups: list[Caller]) -> list[int]:
    return [sum(not one.is_cut for one in group) for group in groups]


@contextmanager
def files(count: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def door():
    """Of a process that may open 1,024 files, the least that systems give: 824 connections, 206 an address."""
    with files(1024):
        return Door()


@pytest.mark.parametrize(("count", "numbers"), [(16_384, (4000, 1000)), (1024, (824, 206)), (100, (1, 1))])
def test_one_address_never_has_more_than_a_quarter(count, numbers):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < count:
        pytest.skip("this machine allows no process so many files")
    with files(count):
        door = Door()
    assert (door.most, door.each) == numbers


@pytest.mark.threat("T12")
@pytest.mark.parametrize("strangers", [1, 3, 4, 5, 40])
def test_strangers_whose_connections_are_all_at_work_shut_nobody_out(door, strangers):
    floods = [come(door, f"stranger {number}", 900) for number in range(strangers)]
    person, health = come(door, "person", 20), come(door, NEAR, 3)
    floods += [come(door, f"stranger {number}", 900) for number in range(strangers)]
    assert left(person, health) == [20, 3]
    assert sum(left(*floods)) + 23 == door.count <= door.most
    assert max(Counter({name: len(ones) for name, ones in door.by_address.items()}).values()) <= door.each


@pytest.mark.threat("T12")
def test_who_has_most_does_not_make_others_smaller_than_itself(door):
    first = [come(door, f"first {number}", 200) for number in range(4)]
    late = come(door, "late", 206)
    sizes = sorted(left(*first, late))
    assert sum(sizes) == door.most_from_afar
    assert sizes[-1] - sizes[0] <= 1


@pytest.mark.threat("T12")
def test_whose_connection_is_idle_makes_room_before_one_that_works(door):
    idle, works = come(door, "largest", 100, is_idle=True), come(door, "largest", 106)
    others = [come(door, f"other {number}", 60) for number in range(10)]
    come(door, "person", 20)
    assert left(idle, works, *others) == [100 - (826 - door.most_from_afar), 106, *[60] * 10]


@pytest.mark.threat("T12")
def test_the_oldest_makes_room_on_this_machine_so_that_its_supervisor_is_always_heard(door):
    flood = come(door, NEAR, 300)
    (health,) = come(door, NEAR)
    assert [one.is_cut for one in flood[:96]] == [True] * 95 + [False]
    assert (health.is_cut, door.count) == (False, 206)


@pytest.mark.threat("T12")
def test_what_is_kept_for_this_machine_is_for_nobody_else(door):
    proxied = come(door, "", 900)
    health = come(door, NEAR, 16)
    assert (left(proxied, health), door.count) == ([door.most_from_afar, 16], door.most)


@pytest.mark.threat("T12")
def test_those_behind_a_proxy_find_room_where_a_stranger_has_much_and_leave_the_few_of_others(door):
    people, stranger = come(door, "", 600), come(door, "stranger", 206)
    few = come(door, NEAR, 4)
    more = come(door, "", 300)
    assert left(people, stranger, few, more) == [600, 4, 4, 206 - 4]


@pytest.mark.threat("T12")
def test_strangers_beside_a_proxy_take_one_place_of_those_behind_it(door):
    people = come(door, "", 900)
    for number in range(300):
        come(door, f"stranger {number}")
    assert left(people) == [door.most_from_afar - 1]


@pytest.mark.threat("T12")
def test_the_networks_of_one_customer_are_one_here():
    found = {network_of(f"2001:db8:0:{number:x}::1", 56) for number in range(256)}
    assert (found, network_of("192.0.2.1", 56)) == ({"2001:db8::/56"}, "192.0.2.1")


@pytest.mark.parametrize(
    ("client", "server", "is_near"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", True),
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.8", "192.0.2.7", False),
        ("", "/run/socket", False),
    ],
)
def test_this_machine_is_known_by_its_addresses(client, server, is_near):
    assert is_this_machine(client, server) == is_near
