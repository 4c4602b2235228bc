from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.jobs.localvertex.servers import BUCKET, LocalVertex
from tests.support.localservers import storage_emulator


@pytest.fixture(scope="session")
def bucket_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with storage_emulator(tmp_path_factory.mktemp("storage")) as address:
        httpx.post(f"{address}/storage/v1/b", json={"name": BUCKET}, trust_env=False)
        yield address


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory, bucket_address: str) -> Iterator[LocalVertex]:
    server = LocalVertex(tmp_path_factory.mktemp("local-vertex"), bucket_address).start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server: LocalVertex) -> LocalVertex:
    """One program for all tests that don't hurt it; each uses names of its own."""
    return shared_server


@pytest.fixture
def own_server(tmp_path: Path, bucket_address: str) -> Iterator[LocalVertex]:
    """For tests that kill it, start it again or switch faults on. Not started yet."""
    server = LocalVertex(tmp_path, bucket_address)
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()
