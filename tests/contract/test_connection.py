from datetime import UTC, datetime, timedelta

import pytest
from django.test import override_settings

from jobs.vertex.errors import VertexError
from jobs.vertex.values import Credentials
from tests.support.googlehost import ACCOUNT


def test_the_local_server_wants_no_credentials(world):
    wanted = Credentials("service-account", ACCOUNT) if world.name == "google" else Credentials("none")
    assert world.gateway.connection.credentials() == wanted


def test_the_server_is_reached_and_tells_the_time(world):
    told = world.gateway.connection.look()
    assert told is None or abs(datetime.now(UTC) - told) < timedelta(seconds=5)
    assert (told is None) == (world.name == "fake")


def test_a_refusal_is_raised_as_ours(world):
    if world.name == "fake":
        world.gateway.unavailable("connection.look")
    with pytest.raises(VertexError), override_settings(VERTEX_API_ENDPOINT="http://127.0.0.1:9"):
        world.gateway.connection.look()


def test_an_object_is_deleted_once_and_again(world, tmp_path):
    uri = "gs://garden-local/texts/gone.txt"
    (tmp_path / "a").write_text("a")
    world.gateway.storage.upload(tmp_path / "a", uri)
    for _time in range(2):
        world.gateway.storage.delete(uri)
    assert world.gateway.storage.read_text(uri, 10) is None
