"""What docs/localvertex.md says to paste, pasted."""

import os
import re
import subprocess
import sys

import pytest

from tests.jobs.localvertex.servers import ROOT

BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.slow
def test_another_project_uses_it_in_ten_lines(tmp_path, bucket_address):
    conftest, test = BLOCK.findall((ROOT / "docs/localvertex.md").read_text(encoding="utf-8"))
    assert len([line for line in conftest.splitlines() if line]) <= 10
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_theirs.py").write_text(test)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DJANGO_"))}
    environment |= {"PYTHONPATH": str(ROOT), "STORAGE_EMULATOR_HOST": bucket_address, "LOCALVERTEX_MODELS": ""}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:cacheprovider", "--rootdir", "."]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=90, check=False
    )
    assert (ran.returncode, "1 passed" in ran.stdout) == (0, True), ran.stdout + ran.stderr
