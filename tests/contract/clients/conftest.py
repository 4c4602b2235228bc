"""Google's and OpenAI's own clients, unmodified, against the local Vertex AI with fakes of the engine and llama.cpp."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.clients.recording import PROGRAM
from tests.jobs.localvertex.servers import BUCKET, LocalVertex
from tests.support.googlehost import tls_in_front
from tests.support.localservers import storage_emulator

OVER_GRPC = "SDK_OVER_GRPC"  # the certificate that gRPC trusts from the start of this process
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


@pytest.fixture(scope="session")
def sdk(server: LocalVertex) -> Iterator[dict[str, str]]:
    """Where the SDK finds the server, and by what transport: over gRPC it speaks TLS only."""
    certificate = os.environ.get(OVER_GRPC)
    if not certificate:
        yield {"api_endpoint": server.url, "api_transport": "rest"}
        return
    with tls_in_front(Path(certificate), ("127.0.0.1", server.port)) as port:
        yield {"api_endpoint": f"localhost:{port}", "api_transport": "grpc"}


@pytest.fixture
def vertexai_sdk(sdk: dict[str, str]) -> Iterator[None]:
    """`aiplatform.init`, which `vertexai` reads too."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform

    aiplatform.init(project="p1", location=REGION, credentials=AnonymousCredentials(), **sdk)
    yield
    aiplatform.initializer.global_config.__init__()  # type: ignore[misc]


@pytest.fixture(scope="session")
def token() -> Any:
    from google.oauth2.credentials import Credentials

    return Credentials(token="local")
