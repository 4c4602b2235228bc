"""The plugin as other projects have it: in a pytest of its own, with nothing of this project's settings."""

import os
import time
from pathlib import Path

import pytest

from tests.jobs.localvertex.servers import ROOT

pytest_plugins = ["pytester"]
# Where this checkout is installed, its entry point would name the plugin a second time.
PLUGIN = ("-p", "no:localvertex", "-p", "jobs.localvertex.testing", "-p", "no:django", "-p", "no:cacheprovider")
TESTS = """
    import json
    import os

    import httpx

    def get(server, path):
        return httpx.get(f"{server.api_endpoint}/v1beta1/{server.parent}/{path}", trust_env=False)

    def test_it_answers(localvertex):
        assert get(localvertex, "endpoints").json() == {}
        assert (localvertex.project, localvertex.location) == ("local-project", "us-central1")
        assert localvertex.credentials.token == "local"
        print(json.dumps([os.getppid(), localvertex.api_endpoint]))

    def test_its_bucket(localvertex):
        bucket = localvertex.storage_client().bucket(localvertex.bucket)
        bucket.blob("a.txt").upload_from_string("hello")
        assert bucket.blob("a.txt").download_as_bytes() == b"hello"

    def test_the_environment(localvertex_environment):
        import google.auth
        from google.auth.transport.requests import Request
        from google.cloud import storage

        credentials, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
        credentials.refresh(Request())
        assert (credentials.token, project) == ("local", "local-project")
        assert storage.Client().bucket(localvertex_environment.bucket).exists()

    def test_the_environment_is_as_it_was():
        assert "STORAGE_EMULATOR_HOST" not in os.environ
"""


@pytest.fixture
def project(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    return pytester


def servers_in(folder: Path) -> list[str]:
    """The command lines of local servers that run in a folder below it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "jobs.localvertex" in line and str(folder) in line:
            found.append(line)
    return found


def wait_until_gone(folder: Path) -> list[str]:
    until = time.monotonic() + 20
    while (left := servers_in(folder)) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def test_a_session_has_a_server_of_its_own(project, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(project.path))
    project.makepyfile(TESTS)
    result = project.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(passed=4)
    assert wait_until_gone(project.path) == []
    assert list(project.path.glob("localvertex-*")) == []


def test_nothing_is_loaded_where_nobody_asks(project):
    project.makepyfile(
        """
        import sys

        def test_it():
            heavy = ("google.auth", "google.cloud.aiplatform", "httpx", "starlette", "uvicorn", "asyncio")
            assert [name for name in heavy if name in sys.modules] == []
        """
    )
    project.runpytest_subprocess(*PLUGIN, "-p", "no:anyio", "-p", "no:valkey").assert_outcomes(passed=1)


@pytest.mark.slow
def test_each_worker_of_xdist_has_its_own(project, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(project.path))
    test = "def test_it(localvertex):\n    open('seen', 'a').write(localvertex.api_endpoint + '\\n')\n"
    files = {f"test_{name}": test for name in "ab"}
    project.makepyfile(**files)
    project.runpytest_subprocess(*PLUGIN, "-n", "2", "--dist", "loadfile").assert_outcomes(passed=2)
    assert len(set((project.path / "seen").read_text().split())) == 2
    assert wait_until_gone(project.path) == []


@pytest.mark.slow
def test_a_killed_session_leaves_no_server(project, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(project.path))
    project.makepyfile("import os\n\ndef test_it(localvertex):\n    os.kill(os.getpid(), 9)\n")
    project.runpytest_subprocess(*PLUGIN)
    assert wait_until_gone(project.path) == []


@pytest.mark.slow
def test_options_reach_the_server_and_what_it_says_is_shown(project):
    project.makeini("[pytest]\nlocalvertex_options = --instant --wrong")
    project.makepyfile("def test_it(localvertex): pass")
    result = project.runpytest_subprocess(*PLUGIN)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*The local Vertex AI did not start. It said:*", "*unrecognized arguments: --wrong*"])


@pytest.mark.slow
def test_init_is_all_that_the_sdk_needs(project):
    project.makepyfile(
        """
        def test_it(localvertex):
            from google.cloud import aiplatform
            from vertexai import model_garden

            localvertex.init()
            endpoint = model_garden.OpenModel("google/gemma3@gemma-3-1b-it").deploy(accept_eula=True)
            assert [one.name for one in aiplatform.Endpoint.list()] == [endpoint.name]
        """
    )
    assert os.environ.get("STORAGE_EMULATOR_HOST") is None
    project.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)
