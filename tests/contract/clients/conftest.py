"""Google's and OpenAI's own clients, unmodified, against the local Vertex AI with fakes of the engine and llama.cpp."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.clients.recording import PROGRAM
from tests.jobs.localvertex.servers import BUCKET, LocalVertex
from tests.support.localservers import storage_emulator

REGION = "us-central1"
SEEING = "local/seeing@seeing"


def _seeing(folder: Path) -> Path:
    """A model that reads images, as far as the server can tell from its files."""
    folder.mkdir()
    for name in ("model.gguf", "mmproj.gguf", "config.json"):
        (folder / name).write_text("{}")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVertex]:
    folder = tmp_path_factory.mktemp("clients")
    with storage_emulator(folder) as address:
        httpx.post(f"{address}/storage/v1/b", json={"name": BUCKET}, trust_env=False)
        extra = ["--grpc", "--base-model", f"{SEEING}={_seeing(folder / 'seeing')}"]
        running = LocalVertex(folder, address, extra=extra, program=PROGRAM).start()
        yield running
        running.stop()


@pytest.fixture(scope="session")
def final(server: LocalVertex) -> str:
    """The folder that a tuning job left."""
    done = server.until(server.create(server.job()).name, "SUCCEEDED")
    return str(server.models.get_model(name=done.tuned_model.model).artifact_uri)


@pytest.fixture
def vertexai_sdk(server: LocalVertex) -> Iterator[None]:
    """`aiplatform.init`, which `vertexai` reads too."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    aiplatform.init(
        project="p1",
        location=REGION,
        api_endpoint=server.url,
        api_transport="rest",
        credentials=AnonymousCredentials(),
    )
    yield
    aiplatform.initializer.global_config.__init__()  # type: ignore[misc]


@pytest.fixture(scope="session")
def token() -> Any:
    from google.oauth2.credentials import Credentials

    return Credentials(token="local")
