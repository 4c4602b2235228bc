"""The tiny model through llama.cpp, in a process of its own: ending a server of this process may wait for ever."""

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from jobs.localvertex.serving.llama import ADDRESS, KEY_VARIABLE, SERVING_COMMAND
from jobs.localvertex.serving.prompts.templates import chat_template
from tests.jobs.localvertex.engine.conftest import ROOT
from tests.jobs.localvertex.servers import wait_for

KEY = "tests"


class Llama:
    def __init__(self, socket: Path) -> None:
        self.http = httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url=ADDRESS, timeout=60)

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        answer = self.http.post(path, json=body, headers={"authorization": f"Bearer {KEY}"})
        content: dict[str, object] = answer.raise_for_status().json()
        return content

    def ask(self, question: str, *images: bytes) -> str:
        parts = [{"type": "image_url", "image_url": {"url": data_uri(image)}} for image in images]
        content = [*parts, {"type": "text", "text": question}] if images else question
        messages = [{"role": "user", "content": content}]
        reply = self.post("/v1/chat/completions", {"messages": messages, "max_tokens": 48, "temperature": 0})
        return str(reply["choices"][0]["message"]["content"])  # type: ignore[index]

    def likely(self, question: str, count: int) -> dict[int, float]:
        """The tokens that an answer may begin with, and the logarithms of their probabilities. Empty where the first
        is not a whole character, which is kept back."""
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 1, "temperature": 0}
        reply = self.post("/v1/chat/completions", body | {"logprobs": True, "top_logprobs": count})
        told = (reply["choices"][0].get("logprobs") or {}).get("content") or []  # type: ignore[index]
        return {other["id"]: other["logprob"] for token in told for other in token["top_logprobs"]}

    def tokens(self, text: str) -> object:
        return self.post("/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"]


def data_uri(image: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(image).decode()


@contextmanager
def llama(
    model: Path, adapter: Path | None = None, mmproj: Path | None = None, hf: Path | None = None
) -> Iterator[Llama]:
    """`hf`: the folder whose chat template it has; without it, the one for pretrained Gemma."""
    own = ROOT / "jobs" / "localvertex" / "serving" / "prompts" / "chat_template.jinja"
    with TemporaryDirectory() as folder:
        port_file, log = Path(folder) / "port.json", Path(folder) / "log"
        config = {
            "model": str(model),
            "adapter": str(adapter or ""),
            "mmproj": str(mmproj or ""),
            "chat_template": chat_template(model, hf) if hf else own.read_text(),
            "context": 2048,
            "slots": 1,
            "threads": 1,
            "threads_together": 1,
            "alias": "tests",
            "parent": os.getpid(),
            "port_file": str(port_file),
            "socket": str(Path(folder) / "model.sock"),
        }
        environment = {**os.environ, KEY_VARIABLE: KEY}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*SERVING_COMMAND, json.dumps(config)], cwd=ROOT, stdout=output, stderr=output, env=environment
            )
        try:
            wait_for(port_file.exists, log.read_text, 60)
            served = Llama(Path(folder) / "model.sock")
            with served.http:
                yield served
        finally:
            process.kill()
            process.wait()
