"""The system kills a real training for its memory; the button on its page goes on from the last checkpoint with half
the batch, and that job succeeds."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit, remarks
from tests.support.running import ROOT, Running, processes_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]
SOON = 120_000
START = """
import io, sys, uuid
import django
django.setup()
from jobs.services.accounts import accounts
from jobs.services.datasets import datasets
from jobs.services.tuning import jobs
from jobs.services.tuning.spec import TuningSpec
owner = accounts.owner()
data = datasets.create(owner, file=io.BytesIO(sys.stdin.buffer.read()), file_name="rows.jsonl", name="Rows")
spec = TuningSpec("Ahoy", "google/gemma3@gemma-3-270m", "gs://garden-local/tuning/ahoy", data, epochs=8,
                  adapter_size=8, batch_size=4, accepts_licence=True)
print(jobs.create(owner, key=uuid.uuid4(), spec=spec).pk)
"""


def start_job(console: Running) -> str:
    told = {"CONSOLE_DATA_DIR": str(console.data_dir), "VERTEX_PROJECT": "garden-local"}
    environment = {
        **os.environ,
        **told,
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "VERTEX_BUCKET": "gs://garden-local",
    }
    command = [sys.executable, "-c", START]
    rows = "".join(json.dumps({"prompt": f"{one}?", "completion": f"{one + 1}."}) + "\n" for one in range(40))
    made = subprocess.run(command, cwd=ROOT, env=environment, input=rows, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return made.stdout.split()[-1]


def trainers(console: Running) -> list[int]:
    found = []
    for pid in processes_of(console.data_dir):
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            found += [pid] if b"engine" in command and b"\0train\0" in command else []
    return found


def kill_trainers(console: Running, times: int) -> None:
    """Each once it has saved another checkpoint."""
    until, saved = time.monotonic() + SOON / 1000, 0
    while times and time.monotonic() < until:
        checkpoints = len(list(console.data_dir.glob("**/checkpoints/checkpoint-*/trainer_state.json")))
        if checkpoints > saved and (pids := trainers(console)):
            os.kill(pids[0], signal.SIGKILL)
            times, saved = times - 1, checkpoints
        time.sleep(0.02)
    assert times == 0


def test_half_the_batch_goes_on_from_the_last_checkpoint(visit: Visit, console: Running, session: list[Any]) -> None:
    visit.context.add_cookies(session)
    page = visit.page
    visit.open("/model-garden/")
    expect(page.get_by_text("270M").first).to_be_visible(timeout=SOON)
    visit.open(f"/tuning/jobs/{start_job(console)}/")
    kill_trainers(console, 3)
    panel = page.locator("#job-status .note.bad")
    expect(panel).to_contain_text("The training ran out of memory.", timeout=SOON)
    expect(panel).to_contain_text("Newest checkpoint", timeout=SOON)
    assert remarks(visit) == []
    visit.picture("doctor")
    panel.get_by_role("button", name="Train with a batch size of 2").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("A new job goes on from checkpoint")
    expect(dialog).to_contain_text("It runs on this computer and costs nothing.")
    dialog.get_by_role("button", name="Train with a batch size of 2").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Ahoy (2)")
    expect(page.locator("#job-bar .st")).to_contain_text("Succeeded", timeout=SOON)
    assert visit.problems == []
