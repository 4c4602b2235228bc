import json

import pytest

from jobs.services.tuning.container import reports
from jobs.vertex.values import RemoteError, RemoteTuningJob
from tests.fakes.tuning import event_file
from tests.support import factories

pytestmark = pytest.mark.django_db
STARTED = factories.NOW
SPREAD = {"min": 1.5, "sum": "7", "buckets": [{"count": "2", "left": 0.0, "name": "x"}, 7]}


@pytest.fixture
def job(fake_gateway):
    return factories.job(training_machine="g2-standard-8", output_uri="gs://garden-local/c", state="RUNNING")


def completed(job, gateway, stats):
    gateway.storage.objects[f"{job.output_uri}/logs/tuning_data_stats.json"] = stats
    remote = RemoteTuningJob("n", "RUNNING", {}, "", STARTED, STARTED, None, None, "", "", (), None, {})
    return reports.complete(job, remote)


def test_statistics_become_those_of_the_job(job, fake_gateway):
    told = {"tuningStepCount": "12", "tuningDatasetExampleCount": 4, "userInputTokenDistribution": SPREAD,
            "droppedExampleReasons": ["too long"], "userDatasetExamples": [{"x": "y"}]}  # fmt: skip
    found = completed(job, fake_gateway, json.dumps(told).encode())
    assert found.total_steps == 12
    assert found.data_stats == {
        "tuningStepCount": "12", "tuningDatasetExampleCount": "4", "droppedExampleReasons": ["too long"],
        "userInputTokenDistribution": {"min": 1.5, "sum": "7", "buckets": [{"count": "2", "left": 0.0}]},
    }  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"\xff\xfe", b'{"tuningStepCount": "many"}', b'{"tuningStepCount": -3}',
        b'{"tuningStepCount": NaN}', b'{"totalBillableTokenCount": "9999999999999999999"}',
        b'{"userInputTokenDistribution": {"min": NaN, "buckets": {"a": 1}}, "droppedExampleReasons": "all"}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_statistics_that_are_none_are_left_out(job, fake_gateway, content):
    found = completed(job, fake_gateway, content)
    spread = found.data_stats.pop("userInputTokenDistribution", {})
    assert (found.total_steps, found.data_stats, spread) == (None, {}, {})


def test_a_managed_job_is_left_as_it_is(fake_gateway):
    managed = factories.job(output_uri="gs://garden-local/m")
    assert completed(managed, fake_gateway, b'{"tuningStepCount": "12"}').total_steps is None


def test_a_folder_without_reports_has_no_series(job, fake_gateway):
    assert reports.read_series(job) == {}
    fake_gateway.storage.objects[f"{job.output_uri}/logs/train.log"] = b"words"
    assert reports.read_series(job) == {}


@pytest.mark.parametrize("text", [r"a\u0\u0000000b", r"a\u0000b", r"a\ud800b", r"a\u202eb"])
def test_texts_become_what_every_database_and_page_takes(job, fake_gateway, text):
    told = f'{{"droppedExampleReasons": ["{text}"], "userInputTokenDistribution": {{"{text}": 1, "min": 2}}}}'
    found = completed(job, fake_gateway, told.encode()).data_stats
    (reason,) = found.get("droppedExampleReasons", ["-"])
    assert reason.isprintable()
    assert reason.encode()
    assert found.get("userInputTokenDistribution", {"min": 2}) == {"min": 2}


def test_the_cause_of_a_failure_is_one_printable_line(job, fake_gateway):
    fake_gateway.storage.objects[f"{job.output_uri}/logs/train.log"] = b"Failed: no \x00 \x1b[31mroom"
    ended = RemoteTuningJob("n", "FAILED", {}, "", STARTED, STARTED, STARTED, RemoteError("INTERNAL", "1"), "", "", (),
                            None, {})  # fmt: skip
    assert reports.complete(job, ended).error.message.startswith(r"no \x00 \x1b[31mroom")


def test_all_event_files_together_are_read_as_far_as_one_may_be(job, fake_gateway):
    step = {"event": "step", "loss": 4.0, "token_accuracy": 0.5, "learning_rate": 0.5, "time": 1000.0}
    logs = f"{job.output_uri}/logs/events.out.tfevents"
    written = [event_file([step | {"step": number}]) for number in range(3)]
    fake_gateway.storage.objects |= {f"{logs}.{number}": content for number, content in enumerate(written)}
    assert [point.step for point in reports.read_series(job)["train/loss"]] == [0, 1, 2]
    fake_gateway.storage.objects[f"{logs}.1"] = written[1].ljust(reports.EVENT_BYTES, b"\xff")
    assert [point.step for point in reports.read_series(job)["train/loss"]] == [1, 2]
