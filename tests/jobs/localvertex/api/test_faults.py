import json

from jobs.localvertex.api.faults import Fault, Faults


def test_off_without_a_file():
    assert Faults(None).next("deploy") is None


def test_counts_and_starts_anew_when_the_file_changes(tmp_path):
    path = tmp_path / "faults.json"
    faults = Faults(path)
    assert faults.next("deploy") is None
    path.write_text(json.dumps([{"method": "deploy", "mode": "refuse", "times": 2, "status": 503}]))
    assert [faults.next("get_endpoint"), faults.next("deploy"), faults.next("deploy"), faults.next("deploy")] == [
        None, Fault("refuse", 503), Fault("refuse", 503), None,
    ]  # fmt: skip
    path.write_text(json.dumps([{"method": "*", "mode": "delay", "seconds": 0.5}]))
    assert faults.next("get_endpoint") == Fault("delay", 503, 0.5)


def test_half_an_answer_says_how_much(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"method": "deploy", "mode": "half_answer", "bytes": 7, "times": 2}]))
    faults = Faults(path)
    assert [faults.next("deploy"), faults.next("deploy")] == [Fault("half_answer", size=7)] * 2


def test_a_broken_file_is_no_fault(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text("[{")
    assert Faults(path).next("deploy") is None
