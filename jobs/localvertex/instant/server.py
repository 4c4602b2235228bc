"""In the place of a llama.cpp server, with its socket, its readiness and the shapes of its answers:
`python -m jobs.localvertex.instant.server CONFIG_JSON`, as `jobs.localvertex.serving.child`."""

import itertools
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingMixIn, UnixStreamServer
from typing import Any

from jobs.localvertex.instant.answers import Answer, Json, answer
from jobs.localvertex.instant.wishes import FAILS, WAITS

PARENT_SECONDS = 0.5
CHAT_PATH, COMPLETION_PATH = "/v1/chat/completions", "/v1/completions"
HEADERS = "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n"


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, config: Json, key: str) -> None:
        super().__init__(config["socket"], Handler)
        self.config, self.key = config, key
        self.numbers = itertools.count(1)


class Handler(StreamRequestHandler):
    """One request a connection: it comes from this machine, from a client that is known."""

    server: Server

    def handle(self) -> None:
        request = self.rfile.readline(65536).decode("latin-1").split()
        headers: dict[str, str] = {}
        while (line := self.rfile.readline(65536).decode("latin-1").strip()) and len(request) == 3:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if len(request) != 3:
            return
        body = self.rfile.read(int(headers.get("content-length") or 0))
        if request[1] == "/health":
            self._send("200 OK", {"status": "ok"})
        elif headers.get("authorization") != f"Bearer {self.server.key}":
            self._refuse(401, "Unauthorized", message="Invalid API Key", type="authentication_error")
        elif request[1] in (CHAT_PATH, COMPLETION_PATH):
            with suppress(OSError):  # whoever asked has left
                self._answer(request[1], json.loads(body))
        else:
            self._refuse(404, "Not Found", message="File Not Found", type="not_found_error")

    def _answer(self, path: str, body: Json) -> None:
        said, limit = answer(body), self.server.config["context"]
        if said.prompt_tokens > limit:
            sizes = {"n_prompt_tokens": said.prompt_tokens, "n_ctx": limit, "type": "exceed_context_size_error"}
            self._refuse(400, "Bad Request", message="request exceeds the available context size", **sizes)
            return
        number = f"{os.getpid()}-{next(self.server.numbers)}"
        chunks = list(_write_chat(body, said, f"call-{number}") if path == CHAT_PATH else _write_completion(said))
        about = {
            "created": int(time.time()),
            "id": f"chatcmpl-instant-{number}",
            "model": self.server.config["alias"],
            "system_fingerprint": "instant",
            "object": "chat.completion.chunk" if path == CHAT_PATH else "text_completion",
        }
        if not body.get("stream"):
            self._send("200 OK", {"choices": [], **about, "usage": said.usage})
            return
        self.wfile.write(HEADERS.format(status="200 OK", kind="text/event-stream").encode())
        for chunk in [*chunks, {"choices": [], "usage": said.usage}]:
            self.wfile.write(b"data: " + json.dumps(chunk | about, separators=(",", ":")).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, status: str, body: Json) -> None:
        head = HEADERS.format(status=status, kind="application/json")
        self.wfile.write(head.encode() + json.dumps(body).encode())

    def _refuse(self, code: int, reason: str, **error: Any) -> None:
        self._send(f"{code} {reason}", {"error": {"code": code, **error}})


def _write_chat(body: Json, said: Answer, call: str) -> Iterator[Json]:
    numbers = range(body.get("n", 1))
    for index in numbers:
        yield _build_choice(index, delta={"role": "assistant", "content": None})
    if said.tool:
        begun = {"index": 0, "id": call, "type": "function", "function": {"name": said.tool, "arguments": ""}}
        parts = [begun, *({"index": 0, "function": {"arguments": word}} for word in said.words)]
        for index in numbers:
            yield from (_build_choice(index, delta={"tool_calls": [part]}) for part in parts)
            yield _build_choice(index, said.finish_reason, delta={})
        return
    for word in said.words:
        for index in numbers:
            choice = _build_choice(index, delta={"content": word})
            if body.get("top_logprobs"):
                choice["choices"][0]["logprobs"] = {"content": [_describe_certain(word)]}
            yield choice
    for index in numbers:
        yield _build_choice(index, said.finish_reason, delta={})


def _write_completion(said: Answer) -> Iterator[Json]:
    for word in said.words:
        yield _build_choice(0, text=word, logprobs=None)
    yield _build_choice(0, said.finish_reason, text="", logprobs=None)


def _build_choice(index: int, finish_reason: str | None = None, **parts: Any) -> Json:
    return {"choices": [{"finish_reason": finish_reason, "index": index, **parts}]}


def _describe_certain(word: str) -> Json:
    """Nothing else could have been said."""
    token = {"token": word, "bytes": list(word.encode()), "logprob": 0.0}
    return token | {"id": 0, "top_logprobs": [token | {"id": 0}]}


def main() -> None:
    config: Json = json.loads(sys.argv[1])
    name = config.get("display_name", "")
    if FAILS in name:
        sys.exit(f"E The name of this deployed model asks for a failure by {FAILS}.")
    parent = int(config["parent"])
    if WAITS in name:
        while os.getppid() == parent:
            time.sleep(PARENT_SECONDS)
        os._exit(0)
    print("This model server is instant: its weights are random.", flush=True)
    server = Server(config, os.environ.pop("SERVING_API_KEY"))
    threading.Thread(target=_watch, args=(parent, Path(config["socket"])), daemon=True).start()
    port_file = Path(config["port_file"])
    partial = port_file.with_suffix(".partial")
    partial.write_text(json.dumps({"socket": config["socket"], "pid": os.getpid()}), encoding="utf-8")
    partial.replace(port_file)
    server.serve_forever()


def _watch(parent: int, socket: Path) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    shutil.rmtree(socket.parent, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
