"""How often a password may be tried, and how long to wait otherwise.

Strangers share one budget for each account, however many networks they come from. Besides, the wait grows with the
failures of one network on one account, and with those of one network on all accounts. A browser in which somebody has
signed in to the account before has a budget of its own, so strangers cannot lock that person out.

All processes count in Redis. Counters are a fixed number of places that names and networks fall on by a keyed hash, so
no flood of names pushes others out. While Redis does not answer, each process counts for itself, with less to spend.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final, Protocol
from unicodedata import normalize

import redis
from django.conf import settings
from django.utils.crypto import salted_hmac

from jobs import live

PLACES: Final = 2**14
LONGEST_NAME: Final = 254
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
    `longest` without a new one; `is_cleared` says that a success forgets all, not only its own."""

    free: int
    longest: float
    is_cleared: bool = True

    @property
    def lasts(self) -> int:
        return int(self.longest * (self.free + 10))

    def wait(self, counter: Counter, now: float) -> float:
        if counter.failures < self.free:
            return 0.0
        pause = min(2.0 ** min(counter.failures - self.free, 30), self.longest)
        return max(0.0, min(counter.at, now) + pause - now)

    def charge(self, counter: Counter, now: float) -> Counter:
        faded = int(max(0.0, now - counter.at) // self.longest)
        return Counter(max(0, counter.failures - faded) + 1, now)

    def refund(self, counter: Counter) -> Counter:
        return Counter() if self.is_cleared else Counter(max(0, counter.failures - 1), counter.at)


@dataclass(frozen=True)
class Limits:
    account: Rule
    pair: Rule
    network: Rule
    browser: Rule


SHARED: Final = Limits(Pace(5, 12), Growth(3, 600), Growth(10, 60, is_cleared=False), Growth(5, 600))
ALONE: Final = Limits(Pace(2, 30), Growth(1, 600), Growth(3, 60, is_cleared=False), Growth(2, 600))


@dataclass(frozen=True)
class Attempt:
    """`browser` names one in which somebody has signed in to this account before; empty for all others."""

    account: str
    address: str
    browser: str = ""

    def charges(self, limits: Limits) -> dict[str, Rule]:
        """The counters that it is counted by."""
        account, network = normalized(self.account), network_of(self.address)
        if self.browser:
            return {place("browser", self.browser, account): limits.browser}
        return {
            place("account", account): limits.account,
            place("pair", account, network): limits.pair,
            place("network", network): limits.network,
        }


def normalized(name: str) -> str:
    return normalize("NFKC", name[:LONGEST_NAME]).strip().casefold()


def network_of(address: str) -> str:
    """What one party has at its disposal: 256 addresses of IPv4, or the 2⁶⁴ of one IPv6 network."""
    try:
        parsed = ip_address(address)
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
    now = time.time()

    def change(rules: Sequence[Rule], counters: Sequence[Counter]) -> tuple[float, list[Counter] | None]:
        wait = max(rule.wait(counter, now) for rule, counter in zip(rules, counters, strict=True))
        if wait > 0:
            return wait, None
        return 0.0, [rule.charge(counter, now) for rule, counter in zip(rules, counters, strict=True)]

    return _apply(attempt, change)


def forgive(attempt: Attempt) -> None:
    """It was the right password."""

    def change(rules: Sequence[Rule], counters: Sequence[Counter]) -> tuple[float, list[Counter] | None]:
        return 0.0, [rule.refund(counter) for rule, counter in zip(rules, counters, strict=True)]

    _apply(attempt, change)


Change = Callable[[Sequence[Rule], Sequence[Counter]], tuple[float, list[Counter] | None]]


def _apply(attempt: Attempt, change: Change) -> float:
    if live.breaker.allows():
        try:
            return _in_redis(attempt.charges(SHARED), change)
        except redis.RedisError as error:
            live.breaker.trip(error)
    return alone.apply(attempt.charges(ALONE), change)


def _in_redis(charges: dict[str, Rule], change: Change) -> float:
    """Nothing is written if one of the counters changed meanwhile: then it is read again."""
    keys, rules = list(charges), list(charges.values())
    with live.client(settings.REDIS_URL).pipeline() as pipe:
        for _ in range(TRIES):
            try:
                pipe.watch(*keys)
                wait, counters = change(rules, [_read(text) for text in pipe.mget(keys)])
                if counters is not None:
                    pipe.multi()
                    for key, rule, counter in zip(keys, rules, counters, strict=True):
                        pipe.set(key, f"{counter.failures} {counter.at}", ex=rule.lasts)
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

    def apply(self, charges: dict[str, Rule], change: Change) -> float:
        with self._lock:
            found = [self._counters.get(key, Counter()) for key in charges]
            wait, counters = change(list(charges.values()), found)
            self._counters.update(zip(charges, counters or (), strict=False))
        return wait

    def clear(self) -> None:
        with self._lock:
            self._counters.clear()


alone = Alone()
