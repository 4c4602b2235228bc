import pytest

from jobs.vertex.sdk.cloud import rest
from tests.support.misbehaving_server import answer, bad_server


@pytest.fixture
def api(settings):
    """Answers with what it is told, and keeps what was asked."""
    settings.VERTEX_PROJECT = "garden"
    with bad_server(answer(200, {})) as server:
        settings.VERTEX_API_ENDPOINT = server.address
        rest._session.cache_clear()
        yield server
    rest._session.cache_clear()
