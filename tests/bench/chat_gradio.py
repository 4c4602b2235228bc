"""Gradio's ChatInterface before the endpoint with a clock: `python -m tests.bench.chat_gradio ENDPOINT_PORT`, which
prints its port. Runs in an environment of Gradio's own, whose Pillow is older than the console's.

`through_gradio` asks its function `chat` and reads the stream that its page reads, which holds what is new of the text.
That spares it two of the three requests that the page makes for a message.
"""

import json
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

from tests.bench.chat_clients import WORD, Read, connected

PATH = "/v1beta1/projects/garden-local/locations/us-central1/endpoints/bench/chat/completions"


def serve(endpoint: int) -> None:
    import gradio
    import httpx

    def chat(message: str, history: list[Any]) -> Iterator[str]:
        """As Gradio's guide does it: the text so far is yielded with every token."""
        text = ""
        body = {"messages": [{"role": "user", "content": message}], "stream": True}
        address = f"http://127.0.0.1:{endpoint}{PATH}"
        with httpx.stream("POST", address, json=body, timeout=300, trust_env=False) as reply:
            for line in reply.iter_lines():
                if line.startswith("data: {"):
                    text += json.loads(line[6:])["choices"][0]["delta"].get("content", "")
                    yield text

    demo = gradio.ChatInterface(chat, concurrency_limit=None, analytics_enabled=False)
    _app, address, _share = demo.queue().launch(
        server_name="127.0.0.1", prevent_thread_lock=True, quiet=True, max_threads=128, share=False
    )
    print(address.rstrip("/").rpartition(":")[2], flush=True)
    demo.block_thread()


async def chat_function(port: int) -> int:
    connection = await connected(port)
    headers = await connection.send("GET", "/config", {"Connection": "close"})
    config = json.loads(b"".join([part async for part in connection.body(headers)]))
    connection.writer.close()
    return next(found["id"] for found in config["dependencies"] if found["api_name"] == "chat")


async def through_gradio(port: int, function: int, question: str, name: str) -> Read:
    session, read = uuid.uuid4().hex[:12], Read(time.monotonic(), name=name)
    joined, frames = await connected(port), await connected(port)
    asked = {"data": [question, None], "fn_index": function, "session_hash": session}
    headers = {"Content-Type": "application/json"}
    read.began = time.monotonic()
    headers = await joined.send("POST", "/gradio_api/queue/join", headers, json.dumps(asked).encode())
    async for _part in joined.body(headers):
        pass
    headers = await frames.send("GET", f"/gradio_api/queue/data?session_hash={session}", {})
    async for line, size in frames.lines(headers):
        read.size = size
        if not line.startswith(b"data: "):
            continue
        message = json.loads(line[6:])
        if message["msg"] == "process_generating":
            numbers = [int(number) for number in WORD.findall(json.dumps(message["output"]["data"]))]
            read.saw(sorted(set(numbers)), time.monotonic())
        if message["msg"] == "process_completed":
            break
    read.words = list(range(len(read.seen)))
    for connection in (joined, frames):
        connection.writer.close()
    return read


if __name__ == "__main__":
    serve(int(sys.argv[1]))
