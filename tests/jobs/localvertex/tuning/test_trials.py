"""How fast a training is here, tried before there is one."""

import json
import sys
import threading

import pytest

from jobs.localvertex.models.weights import Weights
from jobs.localvertex.tuning.trials import Trials

ENGINE = """import json, sys
from pathlib import Path
folder, _pace, _weights, mode = sys.argv[1:]
with Path(folder, "asked").open("a") as asked:
    asked.write(mode + " ")
known = Path(folder, "paces/google--m.json")
if mode == "FULL" and Path(folder, "small").exists():
    sys.exit("No memory")
print(json.dumps({"load": len(json.loads(known.read_text())) if known.exists() else 0, "step": 1, "token": 2}))
"""


@pytest.fixture
def measure(tmp_path):
    (tmp_path / "engine.py").write_text(ENGINE)
    weights = Weights("google/m", tmp_path, tmp_path)

    def run():
        trials = Trials(tmp_path / "paces", [sys.executable, str(tmp_path / "engine.py"), str(tmp_path)])
        trials.measure_soon(weights)
        for thread in [thread for thread in threading.enumerate() if thread.name == "pace"]:
            thread.join()
        return {mode: pace["load"] for mode, pace in trials.paces("google/m").items()}

    return run


def test_a_pace_is_told_before_the_next_mode_is_measured(measure):
    assert measure() == {"PEFT_ADAPTER": 0, "FULL": 1}


@pytest.mark.parametrize("known", [{}, {"PEFT_ADAPTER": {"load": 9, "step": 1, "token": 2}}])
def test_each_mode_is_measured_once_also_one_that_cannot_be(measure, tmp_path, known):
    (tmp_path / "small").touch()
    (tmp_path / "paces").mkdir()
    (tmp_path / "paces/google--m.json").write_text(json.dumps(known))
    told = [measure(), measure()]
    assert told == [{"PEFT_ADAPTER": 9 if known else 0}] * 2
    assert (tmp_path / "asked").read_text().split() == [*([] if known else ["PEFT_ADAPTER"]), "FULL"]


def test_what_a_model_could_not_do_that_was_removed_meanwhile_is_not_kept(tmp_path):
    """It may be imported again."""
    engine = tmp_path / "engine.py"
    engine.write_text("import sys\nfrom pathlib import Path\nPath(sys.argv[2]).rmdir()\nsys.exit('No such file')\n")
    hf = tmp_path / "hf"
    hf.mkdir()
    Trials(tmp_path / "paces", [sys.executable, str(engine)]).measure_soon(Weights("google/m", hf, hf))
    for thread in [thread for thread in threading.enumerate() if thread.name == "pace"]:
        thread.join()
    assert (hf.exists(), (tmp_path / "paces").exists()) == (False, False)
