"""An endpoint that says what a test gives it, in pieces that end anywhere."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PIECE, PAUSE = 37, 0.004


@contextmanager
def saying(answer: Callable[[str], str]) -> Iterator[str]:
    """Its address; `answer` is given what was asked last."""

    class Model(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
            text = answer(asked)
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for at in range(0, len(text), PIECE):
                self.say({"delta": {"content": text[at : at + PIECE]}, "finish_reason": None})
                time.sleep(PAUSE)
            self.say({"delta": {}, "finish_reason": "stop"})

        def do_GET(self) -> None:
            self.send_error(404)

        def say(self, choice: dict[str, Any]) -> None:
            self.wfile.write(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Model) as model:
        thread = threading.Thread(target=model.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{model.server_port}"
        finally:
            model.shutdown()
            thread.join()
