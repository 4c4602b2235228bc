import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
from celery import current_app
from django.conf import settings as project
from django.db import connection

from jobs import tasks
from jobs.models import Delivery, Heartbeat, InventoryLook, ProbeResult, TuningJob
from jobs.services.chat import conversations
from tests.support import factories

pytestmark = pytest.mark.django_db


def test_the_names_are_the_agreed_ones():
    named = (
        tasks.sweep, tasks.find_orphaned_jobs, tasks.advance_tuning_job, tasks.advance_endpoint, tasks.sync_catalogue,
        tasks.answer_message, tasks.prune,
        tasks.check_output, tasks.count_tokens, tasks.probe_status, tasks.warn_of_endpoints,
    )  # fmt: skip
    assert [task.name for task in named] == [
        "jobs.sweep", "jobs.find_orphaned", "tuning.advance", "endpoints.advance", "catalogue.sync", "chat.answer",
        "jobs.prune",
        "tuning.check_output", "datasets.count_tokens", "status.probe", "endpoints.warn",
    ]  # fmt: skip


def test_the_beat_knows_only_tasks_that_exist():
    known = {
        "jobs.sweep", "jobs.find_orphaned", "jobs.prune", "catalogue.sync", "prices.sync", "status.probe",
        "endpoints.warn", "endpoints.measure", "inventory.sweep",
    }  # fmt: skip
    assert {entry["task"] for entry in project.CELERY_BEAT_SCHEDULE.values()} == known


def test_each_region_is_looked_at_by_itself(sent, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    factories.found_resource(location="us-west1")
    InventoryLook.objects.create(kind="model", location="us-west4", looked_at=factories.NOW)
    tasks.look_at_project()
    assert [values for _name, values in sent()] == [{"location": "us-central1"}, {"location": "us-west1"}]
    assert InventoryLook.objects.count() == 0
    tasks.look_at_region("us-central1")
    assert set(InventoryLook.objects.values_list("location", flat=True)) == {"us-central1"}


def test_an_answer_is_acknowledged_before_it_is_produced():
    assert [current_app.tasks[name].acks_late for name in ("chat.answer", "tuning.advance")] == [False, True]


def test_a_sweep_kicks_what_is_due_and_shows_that_it_lives(sent):
    job, endpoint = factories.job(), factories.ready_endpoint(next_check_at=factories.NOW)
    coming = factories.endpoint(next_check_at=factories.NOW).model
    factories.job(next_check_at=None)
    tasks.sweep()
    assert sent() == [
        ("tuning.advance", {"job_id": str(job.pk)}),
        ("endpoints.advance", {"endpoint_id": str(endpoint.pk)}),
        ("endpoints.advance_model", {"model_id": str(coming.pk)}),
    ]
    assert set(Heartbeat.objects.values_list("name", flat=True)) == {"worker", "beat"}


def refuse_jobs(execute, sql, params, many, context):
    if TuningJob._meta.db_table in sql:
        raise ZeroDivisionError
    return execute(sql, params, many, context)


def test_a_broken_part_does_not_keep_the_others_from_their_turn(sent):
    endpoint = factories.ready_endpoint(next_check_at=factories.NOW)
    factories.job()
    with connection.execute_wrapper(refuse_jobs):
        tasks.sweep()
    assert sent() == [("endpoints.advance", {"endpoint_id": str(endpoint.pk)})]


def test_a_sweep_is_bounded(sent):
    dataset = factories.dataset()
    TuningJob.objects.bulk_create(
        TuningJob(
            owner=dataset.owner, dataset=dataset, display_name="x", location="l", base_model="m",
            output_uri=f"gs://b/{number}", epochs=1, learning_rate=1, next_check_at=factories.NOW,
        )
        for number in range(130)
    )  # fmt: skip
    tasks.sweep()
    assert len(sent()) == 100


def test_waiting_answers_whose_message_was_lost_are_sent_again(sent):
    message = factories.message(
        conversation=factories.conversation(), role="assistant", state="WAITING", content="", created_at=factories.NOW
    )
    tasks.sweep()
    assert sent()[-1] == ("chat.answer", {"message_id": str(message.pk)})


def test_what_is_to_leave_the_console_is_sent_by_the_sweep(sent):
    delivery = Delivery.objects.create(notification=factories.notification(), way="email", next_try_at=factories.NOW)
    tasks.sweep()
    assert sent()[-1] == ("notifications.deliver", {"delivery_id": str(delivery.pk)})
    tasks.deliver(delivery_id=str(delivery.pk))
    delivery.refresh_from_db()
    assert (delivery.state, delivery.problem) == ("FAILED", "off")


def test_a_job_that_can_go_on_at_once_is_kicked_again(sent, fake_gateway):
    job = factories.job()
    tasks.advance_tuning_job(job_id=str(job.pk))
    assert sent() == [("tuning.advance", {"job_id": str(job.pk)})]
    assert fake_gateway.calls == ["storage.ensure_bucket", "storage.upload"]


@pytest.mark.parametrize("task", ["advance_tuning_job", "advance_endpoint", "answer_message"])
def test_a_row_that_is_gone_is_no_error(task, fake_gateway):
    name = {"advance_tuning_job": "job_id", "advance_endpoint": "endpoint_id", "answer_message": "message_id"}[task]
    getattr(tasks, task)(**{name: str(uuid4())})
    assert fake_gateway.calls == []


def test_a_kick_waits_for_the_commit(sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id="1")
        assert sent() == []
    assert sent() == [("tuning.advance", {"job_id": "1"})]


def test_an_answer_takes_its_rows_along(sent, django_capture_on_commit_callbacks):
    talk = factories.conversation()
    factories.message(conversation=talk)
    answer = factories.message(conversation=talk, role="assistant", state="WAITING", content="")
    with django_capture_on_commit_callbacks(execute=True):
        tasks.enqueue_answer(answer)
    assert sent() == [("chat.answer", {"message_id": str(answer.pk), "rows": conversations.pack(answer)})]


def test_a_dead_broker_fails_no_request(no_broker, caplog, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        tasks.enqueue_after_commit(tasks.advance_tuning_job, job_id="1")
    assert "tuning.advance was not sent, the sweep will find the row" in caplog.text


def test_waiting_is_never_left_to_the_broker():
    """No `eta`, `countdown` or `retry`: a message that waits is lost with the broker and delivered twice (A2 C7)."""
    found = [
        path.name
        for path in (Path(project.BASE_DIR) / "jobs").rglob("*.py")
        if re.search(r"\b(eta|countdown)=|self\.retry\(", path.read_text())
    ]
    assert found == []


def test_stale_answers_are_interrupted_by_the_sweep(sent):
    message = factories.message(
        conversation=factories.conversation(), role="assistant", state="STREAMING", lease_until=factories.NOW
    )
    tasks.sweep()
    message.refresh_from_db()
    assert message.state == "INTERRUPTED"
    assert conversations.due(factories.NOW) == []


def test_a_folder_is_looked_at_by_the_worker(fake_gateway):
    draft = factories.draft(output_check={"uri": "gs://garden-local/x", "asked_at": factories.NOW.isoformat()})
    tasks.check_output(draft_id=str(draft.pk))
    draft.refresh_from_db()
    assert (draft.output_check["problem"], draft.output_check["is_empty"]) == ("", True)


def test_a_probe_tells_that_the_worker_lives_and_nothing_of_the_scheduler(fake_gateway):
    tasks.probe_status()
    beat = Heartbeat.objects.get(name="worker")
    assert (json.loads(beat.detail)["version"], Heartbeat.objects.filter(name="beat").exists()) == ("0.1.0", False)
    assert ProbeResult.objects.count() == 3
