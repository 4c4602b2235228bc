import sqlite3
from collections import Counter

import pytest

from jobs.localvertex.observability import answers
from jobs.localvertex.observability.answers import Answers, Series, bucket_of, percentile

ENDPOINT = "projects/p/locations/us-central1/endpoints/e"


@pytest.fixture
def clock(monkeypatch):
    now = [1_800_000_030.0]
    monkeypatch.setattr("jobs.localvertex.observability.answers.time.time", lambda: now[0])
    return now


@pytest.fixture
def counted(tmp_path, clock):
    return Answers(tmp_path / "answers.sqlite3")


def test_answers_are_counted_by_minute_model_and_code(counted, clock):
    counted.count(ENDPOINT, "1", 200, 0.5)
    counted.count(ENDPOINT, "1", 429, 0.01)
    counted.count(ENDPOINT, "2", 200, 0.5)
    counted.count("projects/other/locations/us-central1/endpoints/e", "1", 200, 0.5)
    clock[0] += 60
    counted.count(ENDPOINT, "1", 200, 1.0)
    found = counted.read("p", 0, clock[0] + 60)
    assert {one: [(minute.begin, dict(minute.codes)) for minute in minutes] for one, minutes in found.items()} == {
        Series(ENDPOINT, "1"): [(1_800_000_000, {"2xx": 1, "4xx": 1}), (1_800_000_060, {"2xx": 1})],
        Series(ENDPOINT, "2"): [(1_800_000_000, {"2xx": 1})],
    }


def test_a_minute_is_read_when_it_is_over(counted, clock):
    counted.count(ENDPOINT, "1", 200, 0.5)
    begin = 1_800_000_000
    assert counted.read("p", begin, begin + 59) == {}
    assert len(counted.read("p", begin, begin + 60)) == 1
    assert counted.read("p", begin + 60, begin + 120) == {}


def test_they_survive_a_restart_and_are_forgotten_after_six_weeks(tmp_path, clock):
    Answers(tmp_path / "a").count(ENDPOINT, "1", 200, 0.5)
    assert len(Answers(tmp_path / "a").read("p", 0, clock[0] + 60)) == 1
    clock[0] += 43 * 24 * 3600
    assert Answers(tmp_path / "a").read("p", 0, clock[0] + 60) == {}


def test_what_cannot_be_counted_does_not_matter_to_the_answer(counted, caplog):
    counted._database.close()
    counted.count(ENDPOINT, "1", 200, 0.5)
    assert "was not counted" in caplog.text
    with pytest.raises(sqlite3.ProgrammingError):
        counted.read("p", 0, 1)


def test_percentiles_lie_in_the_bucket_of_the_value():
    for value in (0.2, 1.0, 17.0, 1500.0, 60_000.0, 10**9):
        assert bucket_of(value) <= answers.BUCKETS + 1
    buckets = Counter(bucket_of(value) for value in [100.0] * 90 + [5000.0] * 10)
    assert 80 <= (percentile(buckets, 50) or 0) <= 125
    assert 4000 <= (percentile(buckets, 95) or 0) <= 6250
    assert percentile(Counter(), 50) is None


def test_a_damaged_file_keeps_no_server_from_its_start(tmp_path, clock, caplog):
    (tmp_path / "a").write_bytes(b"no database" * 1000)
    counted = Answers(tmp_path / "a")
    counted.count(ENDPOINT, "1", 200, 0.5)
    assert len(counted.read("p", 0, clock[0] + 60)) == 1
    assert "counting begins anew" in caplog.text
