"""A console without a model, for what concerns the web process alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.running import ROOT, Running, environment, running

# Nothing listens there: no server for models is started, and none is asked.
NO_VERTEX = {"VERTEX_API_ENDPOINT": "http://127.0.0.1:9"}


@contextmanager
def running_web(data_dir: Path, **extra: str) -> Iterator[Running]:
    with running(data_dir, NO_VERTEX | extra) as console:
        yield console


def make_people(console: Running, count: int, chats: int = 1) -> list[dict[str, Any]]:
    """Each with a session and empty chats."""
    command = [sys.executable, "-m", "tests.bench.chat_seed", str(count), str(chats)]
    given = environment({"CONSOLE_DATA_DIR": str(console.data_dir)})
    found = subprocess.run(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, check=True).stdout
    return list(json.loads(found))
