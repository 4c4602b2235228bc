"""In place of a llama.cpp child: speaks its HTTP, and notes in `seen.jsonl` how every answer ended.

The last message says how it goes: `forever`, `slow`, `die`, `die soon`, `refuse`, or anything else for a short answer.
FAKE_LLAMA_SECONDS is how long it loads, FAKE_LLAMA_STARTS a file that gets a line for each start.
"""

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

config = json.loads(sys.argv[1])
port_file = Path(config["port_file"])
seen = port_file.parent.parent.parent / "seen.jsonl"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        return

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] != f"Bearer {os.environ['SERVING_API_KEY']}":
            self.answer(401, {"error": {"code": 401, "message": "wrong key"}})
        elif self.path == "/tokenize":
            begin = [{"id": 2, "piece": "<bos>"}] * body["add_special"]
            self.answer(200, {"tokens": [*begin, *tokens_of(body["content"])]})
        elif self.path == "/v1/chat/completions/input_tokens":
            self.answer(200, {"input_tokens": 3 * len(body["messages"]), "object": "response.input_tokens"})
        elif not body.get("stream"):
            self.answer(200, {"choices": []})
        elif self.path == "/v1/completions":
            self.complete(body)
        else:
            self.stream(body)

    def complete(self, body):
        self.begin()
        for word in (" and", " so on"):
            self.send({"choices": [{"index": 0, "text": word}]})
        usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
        self.send({"choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "usage": usage})
        note({"ended": "whole", "body": body})
        self.wfile.write(b"data: [DONE]\n\n")

    def stream(self, body):
        wish = body["messages"][-1]["content"]
        if wish == "refuse":
            error = {"code": 400, "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192}
            self.answer(400, {"error": error})
            return
        self.begin()
        try:
            self.send({"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}]})
            for word in words(wish):
                self.send({"choices": [{"index": 0, "delta": {"content": word}}]})
            self.send({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.send({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}})
            note({"ended": "whole", "body": body})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            note({"ended": "left", "body": body})

    def begin(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def send(self, chunk):
        text = json.dumps({"id": "chat-1", "created": 1, "model": config["alias"], **chunk}, separators=(",", ":"))
        self.wfile.write(f"data: {text}\n\n".encode())

    def answer(self, code, body):
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def tokens_of(text):
    """Words; those that are not ASCII as llama.cpp writes pieces that are no whole characters."""
    for word in text.split():
        code = list(word.encode())
        yield {"id": sum(code), "piece": word if word.isascii() else code}


def words(wish):
    yield from ("Hello", " there")
    if wish in ("die", "die soon"):
        time.sleep(3 * (wish == "die soon"))
        os._exit(9)
    if wish == "slow":
        time.sleep(0.2)
    while wish == "forever":
        time.sleep(0.01)
        yield " more"


def note(fact):
    with seen.open("a") as file:
        file.write(json.dumps(fact | {"deployed_model": port_file.parent.name, "sampling": config["sampling"]}) + "\n")


def leave_with_parent():
    while os.getppid() == config["parent"]:
        time.sleep(0.1)
    os._exit(0)


if __name__ == "__main__":
    if Path(config["model"]).read_bytes() == b"broken":
        sys.exit("E error: the model file is broken")
    threading.Thread(target=leave_with_parent, daemon=True).start()
    if "FAKE_LLAMA_STARTS" in os.environ:
        with open(os.environ["FAKE_LLAMA_STARTS"], "a") as file:
            file.write(f"{os.getpid()}\n")
    print("The fake model server starts.", flush=True)
    time.sleep(float(os.environ.get("FAKE_LLAMA_SECONDS", "0")))
    server = ThreadingUnixStreamServer(config["socket"], Handler)
    server.daemon_threads = True
    partial = port_file.with_suffix(".new")
    partial.write_text(json.dumps({"socket": config["socket"], "pid": os.getpid()}))
    partial.replace(port_file)
    server.serve_forever()
