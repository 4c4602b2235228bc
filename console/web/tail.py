"""Reads many Redis streams over one connection, however many pages watch them.

A page that takes its time is not waited for: what comes meanwhile is piled up for it, folded as it would be sent.
What Redis refuses of one stream, or what cannot be folded for one page, ends nobody else's.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from redis.exceptions import ResponseError

Entry = tuple[bytes, dict[bytes, bytes]]
Fold = Callable[[list[Entry]], list[Entry]]

BATCH: Final = 200
WAKE_SECONDS: Final = 3600


def order(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


@dataclass(eq=False, slots=True)
class Reader:
    """`positions`: the last entry of each stream that arrived here."""

    positions: dict[bytes, bytes]
    fold: Fold
    piled: dict[bytes, list[Entry]] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    failure: Exception | None = None

    async def read(self, patience: float) -> dict[bytes, list[Entry]]:
        """The new entries of each stream; none if none came for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.arrived.wait()
        if self.failure:
            raise self.failure
        self.arrived.clear()
        found, self.piled = self.piled, {}
        return found

    def add(self, stream: bytes, entries: list[Entry]) -> None:
        last = order(self.positions[stream])
        new = [entry for entry in entries if order(entry[0]) > last]
        if not new:
            return
        self.positions[stream] = new[-1][0]
        pile = self.piled.get(stream, []) + new
        self.piled[stream] = pile if len(pile) <= BATCH else self.fold(pile)
        self.arrived.set()

    def fail(self, failure: Exception) -> None:
        self.failure = failure
        self.arrived.set()


class Tail:
    """`client` of redis.asyncio; `block`: how long one reading waits at most, in seconds."""

    def __init__(self, client: Any, block: float) -> None:
        self._client, self._block = client, int(block * 1000)
        self._readers: dict[bytes, set[Reader]] = {}
        self._positions: dict[bytes, bytes] = {}
        # A reading cannot be told of another stream while it waits: an entry of this one ends it.
        self._wake, self._woken = f"live:wake:{secrets.token_hex(8)}".encode(), b"0-0"
        self._is_interrupted = False
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def reading(self, positions: Mapping[bytes, bytes], fold: Fold) -> AsyncIterator[Reader]:
        """From these positions on. `read` raises what the connection raised."""
        reader = Reader(dict(positions), fold)
        try:
            if self._join(reader):
                await self._interrupt_read()
            yield reader
        finally:
            self._leave(reader)

    def _join(self, reader: Reader) -> bool:
        """True: what is being waited for is not enough any more."""
        is_news = False
        for stream, position in reader.positions.items():
            self._readers.setdefault(stream, set()).add(reader)
            known = self._positions.get(stream)
            if known is None or order(position) < order(known):
                self._positions[stream], is_news = position, True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
            return False
        return is_news

    def _leave(self, reader: Reader) -> None:
        """Once is enough; again changes nothing."""
        for stream in reader.positions:
            readers = self._readers.get(stream, set())
            readers.discard(reader)
            if not readers:
                self._readers.pop(stream, None)
                self._positions.pop(stream, None)

    async def _interrupt_read(self) -> None:
        """Once for all that come before the next reading begins."""
        if self._is_interrupted:
            return
        self._is_interrupted = True
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.xadd(self._wake, {"": ""}, maxlen=1)
                pipe.expire(self._wake, WAKE_SECONDS)
                await pipe.execute()
        except BaseException:
            self._is_interrupted = False
            raise

    async def _run(self) -> None:
        try:
            while self._readers:
                asked = {self._wake: self._woken, **self._positions}
                try:
                    await self._read(asked)
                except ResponseError as failure:
                    await self._drop_refused(asked, failure)
        except Exception as failure:
            for reader in set().union(*self._readers.values()):
                reader.fail(failure)

    async def _drop_refused(self, asked: Mapping[bytes, bytes], failure: ResponseError) -> None:
        """Redis does not say which of the streams it refuses, so each is asked for by itself."""
        async with self._client.pipeline(transaction=False) as pipe:
            for stream, position in asked.items():
                pipe.xread({stream: position}, count=1)
            found = dict(zip(asked, await pipe.execute(raise_on_error=False), strict=True))
        refused = [stream for stream, answer in found.items() if isinstance(answer, ResponseError)]
        if not refused or self._wake in refused:
            raise failure
        for stream in refused:
            for reader in list(self._readers.get(stream, ())):
                # Who came meanwhile may want what is not refused.
                if order(reader.positions[stream]) >= order(asked[stream]):
                    self._fail(reader, found[stream])

    def _fail(self, reader: Reader, failure: Exception) -> None:
        reader.fail(failure)
        self._leave(reader)

    async def _read(self, asked: dict[bytes, bytes]) -> None:
        self._is_interrupted = False
        for stream, entries in await self._client.xread(asked, count=BATCH, block=self._block) or ():
            if stream == self._wake:
                self._woken = entries[-1][0]
                continue
            # Unless a reader came meanwhile that wants more of it.
            if self._positions.get(stream) == asked[stream]:
                self._positions[stream] = entries[-1][0]
            # It is read again for who came meanwhile and lacks what was before.
            for reader in list(self._readers.get(stream, ())):
                if order(reader.positions[stream]) >= order(asked[stream]):
                    self._give(reader, stream, entries)

    def _give(self, reader: Reader, stream: bytes, entries: list[Entry]) -> None:
        try:
            reader.add(stream, entries)
        except Exception as failure:
            self._fail(reader, failure)
