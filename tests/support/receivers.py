"""Who is sent to, on loopback: a webhook's receiver and a mail server, with their faults."""

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """`answers` in their order, the last one for ever: a status, "hang", "late" (a success at the end), "drip", "drop"
    or "long"."""

    def __init__(self, *answers: int | str) -> None:
        self.answers = list(answers or [204])
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _body in self.requests]

    def handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                answer = receiver.answers.pop(0) if len(receiver.answers) > 1 else receiver.answers[0]
                with suppress(OSError):
                    self.give(answer)

            def give(self, answer: int | str) -> None:
                if answer == "drop":
                    self.close_connection = True
                elif answer in ("hang", "late"):
                    receiver.over.wait(30)
                    if answer == "late":
                        self.send_response(204)
                        self.end_headers()
                elif answer == "drip":
                    while not receiver.over.wait(0.05):
                        self.wfile.write(b"H")
                elif answer == "long":
                    self.send_response(200)
                    self.send_header("content-length", str(10**12))
                    self.end_headers()
                    while not receiver.over.is_set():
                        self.wfile.write(b"x" * 65536)
                else:
                    self.send_response(int(answer))
                    self.send_header("location", receiver.url)
                    self.end_headers()

            def log_message(self, *_args: Any) -> None:
                pass

        return Handler


@contextmanager
def receiving(*answers: int | str) -> Iterator[Receiver]:
    receiver = Receiver(*answers)
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


class MailServer(socketserver.ThreadingTCPServer):
    """`refusals`: what it says instead of 250, by the word it says it to; "hang" keeps silent."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, refusals: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.refusals = refusals
        self.messages: list[str] = []
        self.over = threading.Event()


class MailHandler(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 mail.example")
        while line := self.rfile.readline().decode().strip():
            word = line.split(":")[0].split()[0].upper()
            answer = self.server.refusals.get(word, "")
            if answer == "hang":
                self.server.over.wait(30)
                return
            if word == "QUIT":
                self.say("221 Bye")
                return
            if word == "DATA" and not answer:
                self.take()
            else:
                self.say(answer or "250 OK")

    def take(self) -> None:
        self.say("354 Go on")
        lines = []
        while (line := self.rfile.readline().decode()) != ".\r\n":
            lines.append(line)
        self.server.messages.append("".join(lines))
        self.say(self.server.refusals.get("END", "250 Accepted"))

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def mail_server(**refusals: str) -> Iterator[MailServer]:
    with MailServer(refusals) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()
            thread.join()


def wait_until(condition: Any, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())
