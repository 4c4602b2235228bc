from console import datadir
from jobs.services.backup.exchange import ASIDE, UNFINISHED


def test_a_restore_that_was_interrupted_is_run_again_before_a_start(tmp_path):
    assert datadir.why_not_start(tmp_path) == ""
    (tmp_path / f"{ASIDE}20261129-070000{UNFINISHED}").mkdir()
    assert datadir.why_not_start(tmp_path) == (
        f"A restore into {tmp_path} was interrupted. Run `manage.py restore` with that backup again, then start."
    )
