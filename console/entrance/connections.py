"""uvicorn's connections, with limits of their own: how many, how long a request may take to arrive, and whether what
is sent is taken. A client that keeps to none of them is cut off, whatever it is told."""

import asyncio
import ipaddress
import logging
import resource
import socket
import struct
from contextlib import suppress
from functools import lru_cache
from typing import Final
from weakref import WeakKeyDictionary

from django.conf import settings
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from . import limits

logger = logging.getLogger(__name__)

SPARE_FILES: Final = 200
CUSTOMER_PREFIX: Final = 56
FEW: Final = 4
TIMED_OUT: Final = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@lru_cache(4096)
def network_of(host: str, prefix: int = 64) -> str:
    """One customer of a provider has 2^64 addresses of IPv6, and many have 256 networks of so many."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        return str(ipaddress.ip_network((address, prefix), strict=False))
    return host


def is_this_machine(client: str, server: str) -> bool:
    if client == server:
        return True
    with suppress(ValueError):
        address = ipaddress.ip_address(client)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    return False


@lru_cache(4096)
def is_proxy(host: str) -> bool:
    """Everybody comes from its address: what it lets through it counts itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(network) for network in getattr(settings, "TRUSTED_PROXIES", ()))


class Connection(H11Protocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.asking_since: float | None = self.loop.time()
        self.stuck_since: float | None = None
        self.stuck_bytes = 0
        self._set_option(socket.SO_SNDBUF, limits.SEND_BUFFER)
        host = self.client[0] if self.client else ""
        self.is_near = is_this_machine(host, self.server[0] if self.server else "")
        self.address = "" if is_proxy(host) else network_of(host, CUSTOMER_PREFIX)
        self.door = doors.setdefault(self.server_state, Door())
        self.door.let_in(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.door.let_out(self)
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """No request of it is being worked on."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.is_idle:
            self.asking_since = None
        elif self.asking_since is None:
            self.asking_since = self.loop.time()

    def resume_writing(self) -> None:
        self.stuck_since = None
        super().resume_writing()

    def _should_upgrade(self) -> bool:
        """There are no websockets here; the request is answered as if it had not asked for one."""
        return False

    def look(self, now: float) -> None:
        """Cuts off who has waited for too long."""
        if self._is_stuck(now):
            self.cut_off()
        elif self.is_idle and self.asking_since is not None and now - self.asking_since > limits.HEADER_SECONDS:
            self._give_up()

    def _is_stuck(self, now: float) -> bool:
        """Nothing is added to what waits to be sent, and hardly any of it was taken."""
        unsent = self.unsent
        if not unsent or not (self.flow.write_paused or self.is_idle or self.transport.is_closing()):
            self.stuck_since = None
        elif self.stuck_since is None:
            self.stuck_since, self.stuck_bytes = now, unsent
        elif now - self.stuck_since >= limits.TAKING_SECONDS:
            taken = self.stuck_bytes - unsent
            stuck = taken < limits.SLOWEST_PACE * limits.TAKING_SECONDS
            self.stuck_since, self.stuck_bytes = now, unsent
            return stuck
        return False

    def cut_off(self) -> None:
        """Also what the system still holds for it is dropped."""
        self._set_option(socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _set_option(self, option: int, value: int | bytes) -> None:
        with suppress(OSError):
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, option, value)

    def _give_up(self) -> None:
        if self.conn.trailing_data[0] and not self.transport.is_closing():
            self.transport.write(TIMED_OUT)
        self.transport.close()


class Door:
    """The connections of a server by the network that they come from. Who is idle makes room for who comes; if nobody
    is, the network that has most does."""

    def __init__(self) -> None:
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.most = max(1, min(limits.CONNECTIONS, files - SPARE_FILES))
        self.most_from_afar = self.most - min(limits.CONNECTIONS_OF_THIS_MACHINE, self.most // 10)
        self.each = max(1, min(limits.CONNECTIONS_PER_ADDRESS, self.most // limits.SHARE_OF_ADDRESS))
        self.by_address: dict[str, dict[Connection, None]] = {}
        self.count = 0
        self.clock: asyncio.TimerHandle | None = None

    def let_in(self, comer: Connection) -> None:
        one = self._too_many(comer)
        if one is not None:
            one.cut_off()
            self.let_out(one)
        if one is not comer:
            self.by_address.setdefault(comer.address, {})[comer] = None
            self.count += 1
        if self.clock is None:
            self.clock = comer.loop.call_later(1, self.look, comer.loop)

    def let_out(self, connection: Connection) -> None:
        """Once is enough; again changes nothing."""
        neighbours = self.by_address.get(connection.address, {})
        if connection in neighbours:
            del neighbours[connection]
            self.count -= 1
        if not neighbours:
            self.by_address.pop(connection.address, None)
        if not self.count and self.clock is not None:
            self.clock.cancel()
            self.clock = None

    def _too_many(self, comer: Connection) -> Connection | None:
        """The one that has to go, which may be the one that comes. A proxy stands for many who have few each."""
        neighbours = self.by_address.get(comer.address, {})
        if comer.address and len(neighbours) >= self.each:
            return self._least(neighbours, comer)
        if self.count < (self.most if comer.is_near else self.most_from_afar):
            return None
        largest = self._largest()
        own = len(neighbours) if comer.address else FEW
        if largest is neighbours or own >= len(largest):
            return self._least(neighbours, comer)
        return idle(largest) or next(iter(largest))

    def _largest(self) -> dict[Connection, None]:
        """A proxy makes room only if there is nobody else."""
        others = (neighbours for address, neighbours in self.by_address.items() if address)
        return max(others, key=len, default=self.by_address.get("", {}))

    @staticmethod
    def _least(neighbours: dict[Connection, None], comer: Connection) -> Connection:
        """Among those of one network: the one that has been idle among the longest, or the one that comes. The
        supervisor has to hear that the console works, so that on this machine the oldest goes in its place."""
        return idle(neighbours) or (next(iter(neighbours), comer) if comer.is_near else comer)

    def look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self.clock = loop.call_later(1, self.look, loop)
        for neighbours in list(self.by_address.values()):
            for connection in list(neighbours):
                connection.look(now)


def idle(connections: dict[Connection, None]) -> Connection | None:
    return next((one for one in connections if one.is_idle and not one.transport.is_closing()), None)


doors: WeakKeyDictionary[ServerState, Door] = WeakKeyDictionary()
