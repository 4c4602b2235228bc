import json

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.faults import FAILURE, Fault, Faults, wait_to_fail


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


@pytest.mark.parametrize("text", ["5", '["a", 7]', '{"mode": "project"}'])
def test_what_is_no_list_of_faults_is_none(tmp_path, text):
    path = tmp_path / "faults.json"
    path.write_text(text)
    assert (Faults(path).next("deploy"), Faults(path).project()) == (None, {})


def test_a_refusal_says_what_it_is_told_to(tmp_path):
    path = tmp_path / "faults.json"
    path.write_text(json.dumps([{"method": "deploy", "mode": "refuse", "status": 429, "message": "Too many."}]))
    assert Faults(path).next("deploy") == Fault("refuse", 429, message="Too many.")


def test_what_is_missing_in_the_project_stands_beside_the_faults(tmp_path):
    path = tmp_path / "faults.json"
    missing = {"mode": "project", "billing": False}
    path.write_text(json.dumps([{"method": "*", "mode": "drop_before"}, missing]))
    faults = Faults(path)
    assert [faults.project(), faults.next("deploy"), faults.project()] == [missing, Fault("drop_before"), missing]


def test_what_is_to_fail_fails_after_its_time_unless_somebody_leaves():
    wait_to_fail({}, lambda: False)
    failure = {"code": "UNAVAILABLE", "message": "None free.", "seconds": 0.01}
    with pytest.raises(ApiError, match="None free") as caught:
        wait_to_fail({FAILURE: failure}, lambda: False)
    assert caught.value.grpc_code == 14
    wait_to_fail({FAILURE: failure | {"seconds": 60}}, lambda: True)
