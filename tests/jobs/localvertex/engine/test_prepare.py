import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from transformers import AutoConfig

from jobs.localvertex.engine.talk import Turn
from jobs.localvertex.engine.tokens import ChatEncoder
from tests.jobs.localvertex.engine.conftest import ROOT, TINY


def prepare(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.localvertex.engine", "prepare", str(source), str(out)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.slow
def test_gguf_becomes_the_folder_it_came_from(tmp_path: Path) -> None:
    out = tmp_path / "made"
    finished = prepare(TINY / "model.gguf", out)
    assert json.loads(finished.stdout.splitlines()[-1]) == {"event": "preparing", "stage": "done", "fraction": 1.0}
    with safe_open(TINY / "model.safetensors", "pt") as wanted, safe_open(out / "model.safetensors", "pt") as made:
        assert set(made.keys()) == set(wanted.keys())
        for name in wanted.keys():  # noqa: SIM118 - not a dict
            first, second = (tensors.get_tensor(name).float().numpy() for tensors in (wanted, made))
            np.testing.assert_allclose(first, second, rtol=0.01, atol=0.01)
    wanted_config, made_config = (AutoConfig.from_pretrained(folder).to_dict() for folder in (TINY, out))
    assert made_config == wanted_config | {"_name_or_path": str(out)}
    turns = [Turn("user", "What colour is the sky? 🦜")]
    assert ChatEncoder(out).encode_prompt(turns) == ChatEncoder(TINY).encode_prompt(turns)


@pytest.mark.slow
def test_other_files_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    wrong = folder / "wrong.gguf"
    wrong.write_bytes(b"not a model")
    finished = prepare(wrong, folder / "made")
    assert finished.returncode == 1
    assert "wrong.gguf is not a readable GGUF file" in finished.stderr
    assert list(folder.iterdir()) == [wrong]
