"""How often a password may be tried, by the clock."""

from functools import partial

import pytest

from jobs.services.accounts.sign_in_limits import (
    PLACES,
    SHARED,
    Alone,
    Attempt,
    Counter,
    Growth,
    Pace,
    charge,
    network_of,
    normalize_name,
    place,
    refund,
)

NOW = 1_800_000_000.0
MINUTE = 60.0


class Clock:
    """The counters of one moment after another."""

    def __init__(self) -> None:
        self.now, self.counters = NOW, Alone()

    def wait(self, address, account="owner", browser=""):
        slots = Attempt(account, address, browser).slots(SHARED)
        return self.counters.apply(slots, partial(charge, now=self.now))

    def right(self, address, account="owner", browser=""):
        self.counters.apply(Attempt(account, address, browser).slots(SHARED), refund)


@pytest.fixture
def clock():
    return Clock()


def networks(count):
    return [f"10.{number // 250}.{number % 250}.1" for number in range(count)]


def checked(clock, addresses, seconds, step=1.0):
    """How many attempts were let through, if all of them try again and again."""
    start, found = clock.now, 0
    while clock.now < start + seconds:
        found += sum(clock.wait(address) == 0 for address in addresses)
        clock.now += step
    return found


@pytest.mark.parametrize("count", [1, 2, 20, 200])
def test_ten_a_minute_however_many_networks_take_part(clock, count):
    assert [checked(clock, networks(count), MINUTE, step=3) <= 10 for _ in range(3)] == [True] * 3


def test_one_network_is_let_through_less_and_less(clock):
    assert [checked(clock, networks(1), 10 * MINUTE) for _ in range(4)] == [11, 2, 1, 1]


def test_a_wait_is_never_longer_than_ten_minutes(clock):
    checked(clock, networks(50), 60 * MINUTE, step=20)
    assert max(clock.wait(address) for address in networks(50)) <= 600


def test_a_refusal_makes_nobody_wait_longer(clock):
    for _ in range(3):
        clock.wait("192.0.2.1")
    assert [clock.wait("192.0.2.1") for _ in range(100)] == [1.0] * 100
    clock.now += 1
    assert clock.wait("192.0.2.1") == 0


def test_a_person_from_elsewhere_gets_in_while_forty_networks_hammer(clock):
    """They are newcomers twice each; then a newcomer has that budget alone."""
    checked(clock, networks(40), 30 * MINUTE, step=10)
    wait = clock.wait("203.0.113.9")
    assert wait <= 20
    clock.now += wait
    assert wait == 0 or clock.wait("203.0.113.9") == 0


def test_a_known_browser_is_not_held_up_by_others(clock):
    checked(clock, networks(200), MINUTE)
    assert [clock.wait("10.0.0.1", browser="mine") for _ in range(5)] == [0] * 5


def test_a_known_browser_has_ten_tries_a_minute_too(clock):
    tries = 0
    for _ in range(60):
        tries += clock.wait("10.0.0.1", browser="mine") == 0
        tries += sum(clock.wait("10.0.0.1", browser="mine") == 0 for _ in range(10))
        clock.now += 1
    assert tries == 10


def test_the_right_password_forgets_the_failures(clock):
    for _ in range(3):
        clock.wait("192.0.2.1")
    clock.right("192.0.2.1")
    assert clock.wait("192.0.2.1") == 0


def test_a_network_is_counted_over_all_accounts(clock):
    waits = [clock.wait("192.0.2.1", account=f"name{number}") for number in range(12)]
    assert waits == [0] * 10 + [1.0] * 2
    assert clock.wait("192.0.3.1", account="name99") == 0


def test_a_clock_that_is_ahead_elsewhere_locks_nobody_out(clock):
    clock.now += 3600
    for _ in range(5):
        clock.wait("192.0.2.1")
    clock.now -= 3600
    assert (clock.wait("203.0.113.9"), clock.wait("192.0.2.1")) == (20, 30)


def test_names_do_not_push_each_other_out():
    names = {place("account", f"name{number}") for number in range(60_000)}
    assert PLACES * 0.9 < len(names) <= PLACES


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        ("nonsense", "unknown"),
    ],
)
def test_the_network_of_an_address(address, network):
    assert network_of(address) == network


@pytest.mark.parametrize("name", ["owner", "OWNER", " owner ", "ｏｗｎｅｒ"])
def test_a_name_is_counted_however_it_is_written(name):
    assert normalize_name(name) == "owner"


def test_a_pace_keeps_its_pace():
    pace, counter, found = Pace(2, 30), Counter(), []
    for second in range(121):
        if pace.wait(counter, NOW + second) == 0:
            counter = pace.charge(counter, NOW + second)
            found.append(second)
    assert found == [0, 1, 30, 60, 90, 120]


def test_failures_fade():
    growth = Growth(3, 600, fades=60)
    assert [growth.failures(Counter(5, NOW), NOW + seconds) for seconds in (0, 59, 60, 299, 9999)] == [5, 5, 4, 1, 0]
