"""Clients that read answers word by word with a clock, straight from the endpoint or as a page of the console."""

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

WORD = re.compile(r"w(\d{5})")
STREAM = re.compile(r'hx-sse:connect="(/streams/chat/([0-9a-f-]{36})\?[^"]+)"')
PARTIAL = re.compile(r'<hx-partial hx-target="#reply-[^"]*-(done|tail)[^"]*" hx-swap="(\w+)">(.*?)</hx-partial>', re.S)
TOKEN = "b" * 32


@dataclass
class Read:
    """`seen` is when each word was there first; `words` all in the order in which they stood in the end."""

    began: float
    seen: list[float] = field(default_factory=list)
    words: list[int] = field(default_factory=list)
    size: int = 0
    name: str = ""
    turn: str = ""
    session: str = ""
    out_of_order: int = 0

    def saw(self, numbers: list[int], at: float) -> None:
        for number in numbers:
            if number == len(self.seen):
                self.seen.append(at)
            elif number > len(self.seen):
                self.out_of_order += 1


@dataclass
class Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> dict[str, str]:
        """The headers of the answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}"] if body else []
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        if " 200 " not in head[0] + " ":
            raise RuntimeError(f"{method} {path} answered {head[0]}")
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}

    async def body(self, headers: dict[str, str]) -> AsyncIterator[bytes]:
        if length := headers.get("content-length"):
            yield await self.reader.readexactly(int(length))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
        else:
            while part := await self.reader.read(65536):
                yield part

    async def lines(self, headers: dict[str, str]) -> AsyncIterator[tuple[bytes, int]]:
        """Whole lines, each with the bytes that came so far."""
        rest, size = b"", 0
        async for part in self.body(headers):
            size += len(part)
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                yield line, size


async def connected(port: int) -> Connection:
    return Connection(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))


async def direct(port: int, path: str, question: str, name: str) -> Read:
    body = json.dumps({"messages": [{"role": "user", "content": question}], "stream": True}).encode()
    read = Read(time.monotonic(), name=name)
    connection = await connected(port)
    headers = await connection.send("POST", path, {"Content-Type": "application/json"}, body)
    async for line, size in connection.lines(headers):
        if line.startswith(b"data: {"):
            numbers = [int(found) for found in WORD.findall(line.decode())]
            read.saw(numbers, time.monotonic())
            read.words += numbers
        read.size = size
    connection.writer.close()
    return read


async def through_console(port: int, session: str, chat: str, question: str, name: str) -> Read:
    """As htmx does it: the message is posted, and what comes back names the stream."""
    cookies = {"Cookie": f"sessionid={session}; csrftoken={TOKEN}"}
    page = await connected(port)
    read = Read(time.monotonic(), name=name)
    fields = urlencode({"text": question, "key": str(uuid.uuid5(uuid.NAMESPACE_URL, name))}).encode()
    form = {"Content-Type": "application/x-www-form-urlencoded", "X-CSRFToken": TOKEN, "HX-Request": "true", **cookies}
    headers = await page.send("POST", f"/studio/chat/{chat}/send/", form, fields)
    html = b"".join([part async for part in page.body(headers)]).decode()
    found = STREAM.search(html)
    if found is None:
        raise RuntimeError(f"No stream in the answer to a message: {html[:500]}")
    frames = await connected(port)
    headers = await frames.send("GET", unescape(found[1]), {"Accept": "text/event-stream", **cookies})
    await follow(frames, headers, read)
    frames.writer.close()
    page.writer.close()
    read.turn, read.session = found[2], session
    return read


async def get(port: int, path: str, headers: dict[str, str]) -> bytes:
    connection = await connected(port)
    answered = await connection.send("GET", path, {"Connection": "close", **headers})
    body = b"".join([part async for part in connection.body(answered)])
    connection.writer.close()
    return body


async def compare_with_stored(port: int, read: Read) -> None:
    headers = {"HX-Request": "true", "Cookie": f"sessionid={read.session}"}
    stored = (await get(port, f"/studio/chat/turns/{read.turn}/", headers)).decode()
    shown = stored.partition('<div class="md" hx-ignore>')[2].partition('class="turn-foot"')[0]
    read.out_of_order += [int(number) for number in WORD.findall(shown)] != read.words


async def follow(frames: Connection, headers: dict[str, str], read: Read) -> None:
    """Applies the frames as the page would, as far as words go."""
    done: list[int] = []
    tail: list[int] = []
    data: list[str] = []
    async for line, size in frames.lines(headers):
        read.size = size
        if line.startswith(b"data: "):
            data.append(line[6:].decode())
        elif line == b"event: end":
            break
        elif not line and data:
            now = time.monotonic()
            for target, swap, html in PARTIAL.findall("\n".join(data)):
                numbers = [int(number) for number in WORD.findall(html)]
                if target == "done":
                    done += numbers
                elif swap == "innerMorph":
                    tail = numbers
                else:
                    tail = tail + numbers
                read.saw(numbers, now)
            data = []
    read.words = done + tail
