"""How often a password may be tried, and how long to wait otherwise.

Strangers share one budget for each account, however many networks they come from, a part of which is for networks that
have hardly failed yet. Besides, the wait grows with the failures of one network on one account, and with those of one
network on all accounts. A browser in which somebody has signed in to the account before has a budget of its own, so
strangers cannot lock that person out.

All processes count in Redis. Counters are a fixed number of places that names and networks fall on by a keyed hash, so
no flood of names pushes others out. While Redis does not answer, each process counts for itself, with less to spend.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any, Final, Protocol
from unicodedata import normalize

import redis
from django.conf import settings
from django.utils.crypto import salted_hmac

from jobs import live

PLACES: Final = 2**14
LONGEST_NAME: Final = 150
TRIES: Final = 5
# What is told when others count at the same moment, five times in a row.
BUSY_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Counter:
    """Of a Growth, failures and when the last one was; of a Pace, nothing and when all of them are paid off."""

    failures: int = 0
    at: float = 0.0


class Rule(Protocol):
    @property
    def lasts(self) -> int: ...

    def wait(self, counter: Counter, now: float) -> float: ...

    def charge(self, counter: Counter, now: float) -> Counter: ...

    def refund(self, counter: Counter) -> Counter: ...


@dataclass(frozen=True)
class Pace:
    """`burst` at once, then one each `seconds`: at most `burst` + 60 / `seconds` in any minute."""

    burst: int
    seconds: float

    @property
    def lasts(self) -> int:
        return int(self.burst * self.seconds) + 1

    def wait(self, counter: Counter, now: float) -> float:
        """A clock of another machine that is ahead makes nobody wait longer than this one's rule."""
        return min(max(0.0, counter.at - now - (self.burst - 1) * self.seconds), self.seconds)

    def charge(self, counter: Counter, now: float) -> Counter:
        return Counter(at=min(max(counter.at, now), now + self.burst * self.seconds) + self.seconds)

    def refund(self, counter: Counter) -> Counter:
        return Counter(at=counter.at - self.seconds)


@dataclass(frozen=True)
class Growth:
    """`free` failures without a wait, then 1 second, 2, 4 and so on up to `longest`. One failure is forgotten for each
    `fades` seconds without a new one; `is_cleared` says that a success forgets all, not only its own."""

    free: int
    longest: float
    fades: float
    is_cleared: bool = True

    @property
    def lasts(self) -> int:
        return int(self.fades * (self.free + 10))

    def wait(self, counter: Counter, now: float) -> float:
        if counter.failures < self.free:
            return 0.0
        pause = min(2.0 ** min(counter.failures - self.free, 30), self.longest)
        return max(0.0, min(counter.at, now) + pause - now)

    def charge(self, counter: Counter, now: float) -> Counter:
        return Counter(self.failures(counter, now) + 1, now)

    def refund(self, counter: Counter) -> Counter:
        return Counter() if self.is_cleared else Counter(max(0, counter.failures - 1), counter.at)

    def failures(self, counter: Counter, now: float) -> int:
        return max(0, counter.failures - int(max(0.0, now - counter.at) // self.fades))


@dataclass(frozen=True)
class Limits:
    """`newcomers`: the first tries of networks that have not failed on the account before. They have a budget of their
    own, or networks that failed already would take all of it from a person who comes from elsewhere."""

    newcomers: Pace
    account: Pace
    pair: Growth
    network: Growth
    browser: Growth


FIRST_TRIES: Final = 2
TWO_HOURS: Final = 7200.0
# Ten in a minute for an account at most: 3 + 60 / 20 newcomers, 2 + 60 / 30 others.
SHARED: Final = Limits(
    newcomers=Pace(3, 20),
    account=Pace(2, 30),
    pair=Growth(3, 600, TWO_HOURS),
    network=Growth(10, 60, 60, is_cleared=False),
    browser=Growth(5, 600, 600),
)
ALONE: Final = Limits(
    newcomers=Pace(1, 60),
    account=Pace(1, 60),
    pair=Growth(1, 600, TWO_HOURS),
    network=Growth(3, 60, 60, is_cleared=False),
    browser=Growth(2, 600, 600),
)


@dataclass(frozen=True)
class Slot:
    """A counter: the name of its place, and its rule."""

    key: str
    rule: Rule


@dataclass(frozen=True)
class Attempt:
    """`browser` names one in which somebody has signed in to this account before; empty for all others."""

    account: str
    address: str
    browser: str = ""

    def slots(self, limits: Limits) -> dict[str, Slot]:
        """All that it may be counted by."""
        account, network = normalize_name(self.account), network_of(self.address)
        if self.browser:
            return {"browser": Slot(place("browser", self.browser, account), limits.browser)}
        return {
            "newcomers": Slot(place("newcomers", account), limits.newcomers),
            "account": Slot(place("account", account), limits.account),
            "pair": Slot(place("pair", account, network), limits.pair),
            "network": Slot(place("network", network), limits.network),
        }


def name_of(typed: str) -> str:
    """The account that is meant by what somebody typed. What counts tries, recognizes a browser, writes the audit log
    and looks for the account gets this name; doing it twice changes nothing. No account has a name above LONGEST_NAME;
    of such a one as much is left as shows that it is too long."""
    text = typed.strip()
    return text[: LONGEST_NAME + 1] if len(text) > LONGEST_NAME else normalize("NFKC", text).strip()


def is_name(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME


def normalize_name(name: str) -> str:
    """What names that differ in case only are counted as."""
    return name_of(name).casefold()


def network_of(address: str) -> str:
    """What one party has at its disposal: 256 addresses of IPv4, or the 2⁶⁴ of one IPv6 network."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ip_network((parsed, 24 if parsed.version == 4 else 64), strict=False))


def place(kind: str, *parts: str) -> str:
    digest = salted_hmac("jobs.sign_in_limits", "\n".join((kind, *parts)), algorithm="sha256").digest()
    return f"sign-in:{kind}:{int.from_bytes(digest[:8], 'big') % PLACES}"


def admit(attempt: Attempt) -> float:
    """0: it counts as a failure from now on, and the password may be looked at. Else the seconds to wait: it was not
    counted, so trying in vain makes nobody wait longer."""
    return _apply(attempt, partial(charge, now=time.time()))


def forgive(attempt: Attempt) -> None:
    """It was the right password."""
    _apply(attempt, refund)


Counters = Mapping[str, Counter]
Change = Callable[[Mapping[str, Slot], Counters], tuple[float, Counters]]


def charge(slots: Mapping[str, Slot], counters: Counters, *, now: float) -> tuple[float, Counters]:
    kinds = [kind for kind in slots if kind != budget_to_skip(slots, counters, now)]
    wait = max(slots[kind].rule.wait(counters[kind], now) for kind in kinds)
    return wait, {} if wait else {kind: slots[kind].rule.charge(counters[kind], now) for kind in kinds}


def budget_to_skip(slots: Mapping[str, Slot], counters: Counters, now: float) -> str:
    """Of the two budgets of an account, the one that this attempt is not counted by."""
    if "pair" not in slots:
        return ""
    rule = slots["pair"].rule
    assert isinstance(rule, Growth)
    return "account" if rule.failures(counters["pair"], now) < FIRST_TRIES else "newcomers"


def refund(slots: Mapping[str, Slot], counters: Counters) -> tuple[float, Counters]:
    return 0.0, {kind: slot.rule.refund(counters[kind]) for kind, slot in slots.items()}


def _apply(attempt: Attempt, change: Change) -> float:
    if live.breaker.allows():
        try:
            return _in_redis(attempt.slots(SHARED), change)
        except redis.RedisError as error:
            live.breaker.trip(error)
    return alone.apply(attempt.slots(ALONE), change)


def _in_redis(slots: Mapping[str, Slot], change: Change) -> float:
    """Nothing is written if one of the counters changed meanwhile: then it is read again."""
    keys = [slot.key for slot in slots.values()]
    with live.client(settings.REDIS_URL).pipeline() as pipe:
        for _ in range(TRIES):
            try:
                pipe.watch(*keys)
                found = [_read(text) for text in pipe.mget(keys)]
                wait, counters = change(slots, dict(zip(slots, found, strict=True)))
                pipe.multi()
                for kind, counter in counters.items():
                    pipe.set(slots[kind].key, f"{counter.failures} {counter.at}", ex=slots[kind].rule.lasts)
                pipe.execute()
                return wait
            except redis.WatchError:
                continue
    return BUSY_SECONDS


def _read(text: Any) -> Counter:
    try:
        failures, at = (text or b"0 0").split()
        return Counter(int(failures), float(at))
    except ValueError:
        return Counter()


class Alone:
    """The counters of this process; never more than there are places."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: dict[str, Counter] = {}

    def apply(self, slots: Mapping[str, Slot], change: Change) -> float:
        with self._lock:
            found = {kind: self._counters.get(slot.key, Counter()) for kind, slot in slots.items()}
            wait, counters = change(slots, found)
            self._counters.update({slots[kind].key: counter for kind, counter in counters.items()})
        return wait

    def clear(self) -> None:
        with self._lock:
            self._counters.clear()


alone = Alone()
