"""No file descriptors and no memory: the pages wait for what comes free, and nothing ends."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.localservers import free_port
from tests.support.running import ROOT, environment

pytestmark = [pytest.mark.timeout(120), pytest.mark.fault("F23"), pytest.mark.threat("T12")]
LIMITED = 'ulimit -n 120; exec "$@"'


@pytest.fixture
def web(tmp_path: Path) -> Iterator[int]:
    """With as many descriptors as a hundred connections need."""
    port = free_port()
    given = environment({"CONSOLE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "console.settings"})
    command = [sys.executable, "-m", "uvicorn", "console.asgi:application", "--port", str(port), "--no-access-log"]
    process = subprocess.Popen(["sh", "-c", LIMITED, "sh", *command], cwd=ROOT, env=given)
    try:
        until = time.monotonic() + 60
        while answered(port) != 200:
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.1)
        yield port
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(20)


def answered(port: int) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=3, trust_env=False).status_code
    except httpx.TransportError:
        return 0


def test_the_pages_come_back_when_descriptors_are_free_again(web: int) -> None:
    held = [socket.create_connection(("127.0.0.1", web)) for _ in range(200)]
    time.sleep(2)
    for connection in held:
        connection.close()
    until = time.monotonic() + 30
    while answered(web) != 200:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_processes_of_up_may_open_as_many_files_as_the_system_allows() -> None:
    child = ROOT / "console/management/child.py"
    show = [sys.executable, "-c", "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"]
    started = 'ulimit -Sn 256; "$0" "$1" $$ 15 "$2" -c "$3"'
    command = ["sh", "-c", started, sys.executable, str(child), *show[:1], show[2]]
    soft, hard = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(soft) == min(int(hard), 65_536)
