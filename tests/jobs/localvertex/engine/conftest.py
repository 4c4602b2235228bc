import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
FIXTURES = ROOT / "tests" / "fixtures"
TINY = FIXTURES / "tiny-gemma3"
TINY_VISION = ROOT / "jobs/localvertex/models/shapes_and_colours"
TUNE = FIXTURES / "tiny-tune"


class Workdir:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.process: subprocess.Popen[bytes] | None = None

    def describe(self, **changes: Any) -> None:
        training = json.loads((TUNE / "heldout.json").read_text())["training"]
        job = {
            "base_model_dir": str(TINY),
            "train_path": str(TUNE / "train.jsonl"),
            "validation_path": str(TUNE / "validation.jsonl"),
            **training,
            "tuning_mode": "PEFT_ADAPTER",
            "max_length": 512,
            "seed": 0,
            "threads": 1,
            "display_name": "tiny-ahoy",
            "base_model": "tests/tiny-gemma3",
        }
        (self.path / "job.json").write_text(json.dumps(job | changes))

    def write_rows(self, name: str, *rows: Any) -> str:
        (self.path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(self.path / name)

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "jobs.localvertex.engine", "train", str(self.path)]
        with (self.path / "train.log").open("ab") as log:
            env = os.environ | environment
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        return self.process

    def run(self, **environment: str) -> int:
        return self.start(**environment).wait(100)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        path = self.path / "events.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [event for event in map(json.loads, lines) if name in (None, event["event"])]

    def wait_for(self, name: str, count: int = 1) -> None:
        assert self.process is not None
        until = time.monotonic() + 60
        while len(self.events(name)) < count:
            assert self.process.poll() is None, (self.path / "train.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.fixture
def workdir(tmp_path: Path) -> Iterator[Workdir]:
    made = Workdir(tmp_path)
    made.describe()
    yield made
    if made.process and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Workdir:
    """The tiny model, really tuned once."""
    made = Workdir(tmp_path_factory.mktemp("trained"))
    made.describe()
    assert made.run() == os.EX_OK, (made.path / "train.log").read_text()
    return made
