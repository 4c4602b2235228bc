"""What one running console keeps in its data directory: the lock, the ports it had, and its process numbers."""

import errno
import fcntl
import json
import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

TRIES = 50


class AlreadyRunning(Exception):
    """Another `up` holds this data directory."""


class StillStopping(Exception):
    """Children of an `up` that was killed hold this data directory."""


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_json(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2))
    partial.replace(path)


def try_to_write_json(path: Path, content: dict[str, Any]) -> bool:
    try:
        write_json(path, content)
    except OSError:
        with suppress(OSError):
            path.with_suffix(f".{os.getpid()}").unlink()
        return False
    return True


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_free(host: str, port: int) -> bool:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def any_free(host: str) -> int:
    family = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def hold_port(port: int) -> socket.socket | None:
    """A sign for other consoles on this machine that this port is taken before anything listens on it: a name of a
    socket, which Linux frees with the process. None: another console holds it. Elsewhere it holds nothing."""
    sign = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if sys.platform == "linux":
        try:
            sign.bind(f"\0garden-console-port-{port}")
        except OSError:
            sign.close()
            return None
    return sign


class RunDirectory:
    """`lock` stays locked until the last child has ended: every child inherits its descriptor."""

    def __init__(self, data_dir: Path) -> None:
        self.path = data_dir / "run"
        self.path.mkdir(parents=True, exist_ok=True)
        self.state = self.path / "processes.json"
        self.ports = self.path / "ports.json"
        self.lock = -1
        self.signs: list[socket.socket] = []

    def acquire(self, patience: float = 15) -> None:
        self.lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + patience
        while not self._try_lock():
            owner = read_json(self.state)
            if is_alive(int(owner.get("pid", 0)) or os.getpid()):
                raise AlreadyRunning(self._describe(owner))
            if time.monotonic() > deadline:
                numbers = ", ".join(str(pid) for pid in owner.get("processes", {}).values())
                raise StillStopping(numbers)
            time.sleep(0.1)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    @staticmethod
    def _describe(owner: dict[str, Any]) -> str:
        return f"process {owner['pid']}, {owner.get('url') or 'still starting'}" if owner else "still starting"

    def record(self, url: str, processes: dict[str, int], children: list[dict[str, Any]] | None = None) -> bool:
        """Whether it could be written: a full disk must not end what runs."""
        content = {"pid": os.getpid(), "url": url, "processes": processes, "children": children or []}
        return try_to_write_json(self.state, content)

    def release(self) -> None:
        with suppress(OSError):
            self.state.unlink()
        self.give_back()
        os.close(self.lock)

    def give_back(self) -> None:
        while self.signs:
            self.signs.pop().close()

    def port(self, name: str, host: str, preferred: int) -> int:
        """The port of the last run where it is still free: endpoints of earlier runs carry it in their address. Raises
        OSError when this machine has none."""
        known = read_json(self.ports)
        taken = {port for other, port in known.items() if other != name}
        candidates = [port for port in (known.get(name), preferred) if isinstance(port, int) and port not in taken]
        chosen = next((port for port in candidates if self.take(host, port)), 0)
        for _ in range(TRIES):
            if chosen:
                break
            port = any_free(host)
            chosen = port if self.take(host, port) else 0
        if not chosen:
            raise OSError(errno.EADDRINUSE, "no port is free")
        try_to_write_json(self.ports, {**known, name: chosen})
        return chosen

    def take(self, host: str, port: int) -> bool:
        """For the time of this run: two consoles that start at the same moment do not take the same."""
        if not (port and is_free(host, port)):
            return False
        sign = hold_port(port)
        if sign:
            self.signs.append(sign)
        return sign is not None
