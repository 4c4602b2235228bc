"""An endpoint with a clock instead of a model: `python -m tests.bench.chat_endpoint`, which prints its port.

Asked with "Write 200 words, 50 ms apart, after 100 ms, as NAME." it sends word after word at those times after the
request. `GET /times/NAME` tells when each was really sent, in seconds of the machine's monotonic clock.
"""

import asyncio
import json
import re
import time

ASKED = re.compile(r"Write (\d+) words, ([\d.]+) ms apart, after ([\d.]+) ms, as ([\w-]+)\.")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
PARAGRAPH = 60

times: dict[str, list[float]] = {}


def question(words: int, gap_ms: float, first_ms: float, name: str) -> str:
    return f"Write {words} words, {gap_ms} ms apart, after {first_ms} ms, as {name}."


def word(number: int) -> str:
    """Seven letters, numbered so that a lost or a late one is seen."""
    return f"w{number:05d}" + ("\n\n" if number % PARAGRAPH == PARAGRAPH - 1 else " ")


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        began = time.monotonic()
        if head.startswith("GET /times/"):
            answer(writer, 200, times.pop(head.split(" ")[1].removeprefix("/times/"), []))
        elif found := ASKED.search(body.decode()):
            await write(writer, began, int(found[1]), float(found[2]) / 1000, float(found[3]) / 1000, found[4])
        else:
            answer(writer, 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "Only a clock is here."}})
        await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


def answer(writer: asyncio.StreamWriter, status: int, found: object) -> None:
    content = json.dumps(found).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n".encode() + content)


async def write(writer: asyncio.StreamWriter, began: float, words: int, gap: float, first: float, name: str) -> None:
    writer.write(HEAD)
    sent = times[name] = []
    for number in range(words):
        await asyncio.sleep(max(0.0, began + first + number * gap - time.monotonic()))
        sent.append(time.monotonic())
        writer.write(event({"choices": [{"index": 0, "delta": {"content": word(number)}, "finish_reason": None}]}))
        await writer.drain()
    usage = {"prompt_tokens": 10, "completion_tokens": words, "total_tokens": words + 10}
    writer.write(event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage}))
    writer.write(b"data: [DONE]\n\n")


def event(found: object) -> bytes:
    return f"data: {json.dumps(found)}\n\n".encode()


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
