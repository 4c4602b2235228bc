import subprocess
import sys
from pathlib import Path

import pytest


def modules_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


@pytest.mark.parametrize("unwanted", ["django", "celery", "torch", "transformers"])
def test_the_local_server_starts_without(unwanted: str) -> None:
    assert unwanted not in modules_after("import jobs.localvertex.app")


@pytest.mark.parametrize("unwanted", ["google.api_core", "google.cloud.storage", "torch", "transformers", "xllamacpp"])
def test_the_web_starts_without(unwanted: str) -> None:
    assert unwanted not in modules_after("import console.asgi")


def test_the_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    assert subprocess.run([command], capture_output=True, check=False).returncode == 0
