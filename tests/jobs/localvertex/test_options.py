import subprocess
import sys

import pytest

from jobs.localvertex.options import arguments
from tests.jobs.localvertex.servers import ROOT


def test_the_engine_is_the_real_one_unless_it_is_instant():
    real = arguments(["--data-dir", "d"])
    assert real.engine_command == [sys.executable, "-m", "jobs.localvertex.engine"]
    assert real.serving_command[1:] == ["-m", "jobs.localvertex.serving.child"]
    instant = arguments(["--instant"])
    assert instant.engine_command == [sys.executable, "-m", "jobs.localvertex.instant"]
    assert instant.serving_command[1:] == ["-m", "jobs.localvertex.instant.server"]
    assert arguments(["--instant", "--engine-command", "a 'b c'"]).engine_command == ["a", "b c"]


def test_what_is_tuned_must_have_a_place(capsys):
    with pytest.raises(SystemExit):
        arguments([])
    assert "--data-dir is needed" in capsys.readouterr().err


def test_the_program_is_called_as_it_was():
    code = "import sys; sys.argv[0] = '/bin/localvertex'; from jobs.localvertex.options import arguments; arguments()"
    said = subprocess.check_output([sys.executable, "-c", code, "--help"], cwd=ROOT, text=True)
    assert said.startswith("usage: localvertex [-h]")
