"""A console without a model, for what concerns the web process alone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.running import ROOT, Running, environment, running

# Nothing listens there: no server for models is started, and none is asked.
NO_VERTEX = {"VERTEX_API_ENDPOINT": "http://127.0.0.1:9"}


@contextmanager
def running_web(data_dir: Path, **extra: str) -> Iterator[Running]:
    with running(data_dir, NO_VERTEX | extra) as console:
        yield console


DATASET = """
import sys, django
django.setup()
from tests.support import factories
rows = [{"prompt": "a", "completion": "b" * 1_000_000}] * int(sys.argv[2])
print(factories.dataset(owner=factories.user(username=sys.argv[1]), rows=rows).pk)
"""


def make_dataset(console: Running, username: str, megabytes: int) -> str:
    return _run(console, "-c", DATASET, username, str(megabytes)).strip()


def make_people(console: Running, count: int, chats: int = 1) -> list[dict[str, Any]]:
    """`bench-0` and so on, each with a session and empty chats."""
    return list(json.loads(_run(console, "-m", "tests.bench.chat_seed", str(count), str(chats))))


def _run(console: Running, *arguments: str) -> str:
    given = {"CONSOLE_DATA_DIR": str(console.data_dir), "DJANGO_SETTINGS_MODULE": "console.settings"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(given), stdout=subprocess.PIPE, check=True, text=True
    ).stdout
