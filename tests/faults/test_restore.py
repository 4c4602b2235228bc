"""A backup of a console that works, and a console that goes on from it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, ROOT, Running, environment, running, with_tiny_model

pytestmark = [pytest.mark.timeout(400), pytest.mark.fault("F30"), pytest.mark.slow]
ROWS = ROOT / "tests/fixtures/tiny-tune/train.jsonl"
LONG = {"epochs": "20", "learning_rate": "0.005", "adapter_size": "8", "batch_size": "4"}
PATIENCE = 150


def manage(data_dir: Path, *arguments: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    extra = environment({"CONSOLE_DATA_DIR": str(data_dir)})
    ended = subprocess.run(command, cwd=ROOT, env=extra, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def creates(console: Running) -> list[str]:
    lines = (console.data_dir / "localvertex/ledger.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return [entry["labels"]["app-key"] for entry in entries if entry["method"] == "create_tuning_job"]


def test_a_job_that_ran_when_the_backup_was_made_ends_in_the_restored_console(tmp_path: Path) -> None:
    """Made while the training runs; the console of before is stopped, and its data directory is not used again."""
    first, second, backup = tmp_path / "first", tmp_path / "second", tmp_path / "backup.zip"
    with running(first, with_tiny_model()) as console, Visitor(console.address) as person:
        person.sign_in(console.link)
        journey.wait_for_catalogue(person)
        tune = journey.Tune(GEMMA, train=ROWS, auto_deploy=False, training=LONG)
        job = journey.start(person, journey.fill_in(person, tune), tune)
        journey.wait_for_step(person, job, 60)
        manage(first, "backup", str(backup))
        assert journey.job_state(person, job) == "Running"
    os.rename(first, tmp_path / "gone")
    manage(second, "restore", str(backup))
    with running(second, with_tiny_model()) as restored, Visitor(restored.address) as person:
        person.sign_in(restored.link)
        journey.wait_for_state(person, job, "Succeeded", PATIENCE)
        assert creates(restored) == [job]
