"""The tiny model through llama.cpp, in this process."""

import base64
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xllamacpp

from tests.localvertex.engine.conftest import ROOT


class Llama:
    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, path: str, body: dict[str, object]) -> dict[str, object]:
        headers = {"content-type": "application/json"}
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
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    if mmproj:
        params.mmproj.path, params.mmproj_use_gpu = str(mmproj), False
    params.n_ctx, params.n_parallel, params.cache_ram_mib = 2048, 1, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.chat_template = (ROOT / "jobs" / "localvertex" / "chat_template.jinja").read_text()
    params.use_jinja = True
    if adapter:
        params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    server = xllamacpp.Server(params)
    yield Llama(server.listening_address)
    del server
