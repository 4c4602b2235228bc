"""The tiny model through llama.cpp, in a process of its own: ending a server of this process may wait for ever."""

import base64
import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from jobs.localvertex.llama import KEY_VARIABLE, SERVING_COMMAND
from tests.localvertex.engine.conftest import ROOT
from tests.localvertex.servers import wait_for

KEY = "tests"


class Llama:
    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            content: dict[str, object] = json.loads(answer.read())
        return content

    def ask(self, question: str, *images: bytes) -> str:
        parts = [{"type": "image_url", "image_url": {"url": data_uri(image)}} for image in images]
        content = [*parts, {"type": "text", "text": question}] if images else question
        messages = [{"role": "user", "content": content}]
        reply = self.post("/v1/chat/completions", {"messages": messages, "max_tokens": 48, "temperature": 0})
        return str(reply["choices"][0]["message"]["content"])  # type: ignore[index]

    def tokens(self, text: str) -> object:
        return self.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]


def data_uri(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()


@contextmanager
def llama(model: Path, adapter: Path | None = None, mmproj: Path | None = None) -> Iterator[Llama]:
    with TemporaryDirectory() as folder:
        port_file, log = Path(folder) / "port.json", Path(folder) / "log"
        config = {
            "model": str(model),
            "adapter": str(adapter or ""),
            "mmproj": str(mmproj or ""),
            "chat_template": (ROOT / "jobs" / "localvertex" / "chat_template.jinja").read_text(),
            "context": 2048,
            "slots": 1,
            "threads": 1,
            "alias": "tests",
            "parent": os.getpid(),
            "port_file": str(port_file),
        }
        environment = {**os.environ, KEY_VARIABLE: KEY}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*SERVING_COMMAND, json.dumps(config)], cwd=ROOT, stdout=output, stderr=output, env=environment
            )
        try:
            wait_for(port_file.exists, log.read_text, 60)
            yield Llama(json.loads(port_file.read_text())["url"])
        finally:
            process.kill()
            process.wait()
