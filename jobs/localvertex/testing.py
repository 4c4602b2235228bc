"""A plugin for pytest: the fixture `localvertex` is a local Vertex AI of the test session, ready to be used.

What the server needs is not imported here, nor are Google's clients: where no test asks for it, nothing is loaded."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

START_SECONDS, STOP_SECONDS = 60.0, 10.0
POLL_SECONDS = 0.02
SHOWN_CHARACTERS = 3000
INSTANT = "--instant"


@dataclass(frozen=True)
class Server:
    """A local Vertex AI that runs. `environment` has what clients read of theirs."""

    api_endpoint: str
    project: str
    location: str
    bucket: str
    environment: Mapping[str, str]
    data_dir: Path

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.location}"

    @property
    def storage(self) -> str:
        """The address of `gs://`."""
        return self.environment["STORAGE_EMULATOR_HOST"]

    @property
    def credentials(self) -> Any:
        """Credentials of google-auth that are never refreshed."""
        from google.oauth2.credentials import Credentials  # noqa: PLC0415  # only who asks pays for it

        return Credentials(token="local")  # type: ignore[no-untyped-call]  # noqa: S106  # google-auth has no types

    def init(self, **changes: Any) -> None:
        """`aiplatform.init`, which `vertexai` reads too."""
        from google.cloud import aiplatform  # noqa: PLC0415  # seconds, for who asks

        about = {
            "project": self.project,
            "location": self.location,
            "api_endpoint": self.api_endpoint,
            "api_transport": "rest",
            "staging_bucket": f"gs://{self.bucket}",
            "credentials": self.credentials,
        }
        aiplatform.init(**about | changes)

    def storage_client(self) -> Any:
        from google.cloud.storage import Client  # noqa: PLC0415  # only who asks pays for it

        where = {"api_endpoint": self.storage}
        return Client(self.project, credentials=self.credentials, client_options=where)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "localvertex_options",
        f"options of the server of the fixture localvertex, as of `localvertex --help` (default: {INSTANT})",
        "args",
        [INSTANT],
    )


@pytest.fixture(scope="session")
def localvertex(pytestconfig: pytest.Config) -> Iterator[Server]:
    """A local Vertex AI with `gs://`: a process of this session's own, and with pytest-xdist one for each worker."""
    options: list[str] = pytestconfig.getini("localvertex_options")
    with (
        tempfile.TemporaryDirectory(prefix="localvertex-", ignore_cleanup_errors=True) as folder,
        run(Path(folder), options) as server,
    ):
        yield server


@pytest.fixture
def localvertex_environment(localvertex: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The same, and for this test the environment leads clients there: `gs://`, credentials, project and location."""
    for name, value in localvertex.environment.items():
        monkeypatch.setenv(name, value)
    return localvertex


@contextmanager
def run(folder: Path, options: list[str]) -> Iterator[Server]:
    """Ends with this process, however that ends: the server watches its standard input."""
    data_dir, port_file, log = folder / "data", folder / "port.json", folder / "server.log"
    command = [sys.executable, "-m", "jobs.localvertex", "--data-dir", str(data_dir), "--port-file", str(port_file)]
    command += ["--own-storage", "--until-eof", *options]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=_environment())
    try:
        about = _await(process, port_file, log)
        exported: dict[str, str] = about["environment"]
        yield Server(
            api_endpoint=exported["GOOGLE_VERTEX_BASE_URL"],
            project=exported["GOOGLE_CLOUD_PROJECT"],
            location=exported["GOOGLE_CLOUD_LOCATION"],
            bucket=about["bucket"],
            environment=exported,
            data_dir=data_dir,
        )
    finally:
        _stop(process)


def _environment() -> dict[str, str]:
    """The server finds this package where this process found it."""
    place = str(Path(__file__).resolve().parents[2])
    paths = [place, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def _await(process: "subprocess.Popen[bytes]", port_file: Path, log: Path) -> Any:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        if port_file.exists():
            return json.loads(port_file.read_text(encoding="utf-8"))
        time.sleep(POLL_SECONDS)
    said = log.read_text(encoding="utf-8", errors="replace")[-SHOWN_CHARACTERS:]
    pytest.fail(f"The local Vertex AI did not start. It said:\n{said}", pytrace=False)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(OSError):
        assert process.stdin
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
