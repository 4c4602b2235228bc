"""`manage.py doctor` in a process of its own, on a machine whose driver is a program of the test."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.running import ROOT

CARD = "GPU-5f1a, NVIDIA GeForce RTX 4090, 24564, 23016, 8.9"


def run_doctor(**environment: str) -> tuple[int, list[str], str]:
    found = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return found.returncode, found.stdout.splitlines(), found.stderr


def test_doctor_says_what_would_be_used_and_why(tmp_path: Path) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text(f"#!/bin/sh\nenv > '{tmp_path}/seen'\necho '{CARD}'\n")
    driver.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    code, lines, problem = run_doctor(
        PATH=path,
        DJANGO_SETTINGS_MODULE="console.settings",
        VERTEX_PROJECT="mine",
        VERTEX_API_ENDPOINT="",
        EMAIL_HOST_PASSWORD="planted",
    )
    assert (code, problem) == (0, "")
    assert "planted" not in (tmp_path / "seen").read_text()
    assert lines[:2] == [
        "Vertex AI of the project mine trains and serves. On this machine:",
        "GPU: NVIDIA GeForce RTX 4090, 25.8 GB of memory, 24.1 GB free, compute capability 8.9",
    ]
    assert [line.partition(":")[0] for line in lines if line[0] != " "][2:] == [
        "Training", "Serving", "QLoRA (a base model in 4 or 8 bits)",
    ]  # fmt: skip
