"""A model server that does not start: its cause, from a real process through the local Vertex AI to the page."""

import shlex
import sys
import time

import pytest

from jobs.vertex import get_gateway
from tests.support import factories
from tests.support.localservers import TINY, local_servers
from tests.support.row_driver import Driver

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F26"), pytest.mark.timeout(240)]
CHILD = """
import sys
print("<script>alert(1)</script> is loading")
def main():
    raise ImportError("libgomp.so.1: cannot open shared object file: No such file or directory <b>")
main()
"""
CAUSE = "ImportError: libgomp.so.1: cannot open shared object file: No such file or directory"
REMEDY = "On Debian and Ubuntu, run: apt-get install libgomp1"
PATIENCE = 90


@pytest.fixture
def servers(tmp_path, settings, monkeypatch):
    (tmp_path / "llama.py").write_text(CHILD)
    command = shlex.join([sys.executable, str(tmp_path / "llama.py")])
    with local_servers(tmp_path, ("--serving-command", command)) as started:
        settings.VERTEX_GATEWAY, settings.VERTEX_API_ENDPOINT = "jobs.vertex.sdk.Gateway", started.address
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", started.storage)
        get_gateway.cache_clear()
        yield started
        get_gateway.cache_clear()


def failed(endpoint):
    driver, late = Driver(), time.monotonic() + PATIENCE
    while endpoint.state != "FAILED" and time.monotonic() < late:
        driver.step(endpoint)
        time.sleep(0.1)
    return endpoint


def test_the_page_says_why_and_what_to_install(servers, client, owner):
    endpoint = failed(factories.endpoint(owner=owner, base_model=TINY, publisher_model=TINY))
    assert (endpoint.state, CAUSE in endpoint.error_message, REMEDY in endpoint.error_message) == ("FAILED", True, True)
    client.force_login(owner)
    page = client.get(f"/endpoints/{endpoint.pk}/").content.decode()
    assert (CAUSE in page, REMEDY in page, "directory &lt;b&gt;" in page) == (True, True, True)
    assert ("directory <b>" in page, "Choose another machine or region" in page) == (False, False)
    assert "Fix this on the machine that serves the model, then deploy again." in page
    log = servers.log()
    assert (CAUSE in log, REMEDY in log, "<script>alert(1)</script> is loading" in log) == (True, True, True)
