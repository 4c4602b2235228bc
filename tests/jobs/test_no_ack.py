from celery.utils.imports import symbol_by_name
from kombu.message import Message

from console.celery import app
from jobs.tasks import advance_tuning_job, answer_message


def taken(task):
    """What the broker is told when the pool of a worker takes the message of such a task."""
    told = []
    headers = {"task": task.name, "id": "1", "lang": "py"}
    message = Message(body="[[], {}, {}]", headers=headers, content_type="application/json", content_encoding="utf-8")
    make = symbol_by_name(task.Request)
    request = make(message, on_ack=lambda *args: told.append("taken"), app=app, task=app.tasks[task.name])
    request.acknowledge()
    return told, request.acknowledged


def test_the_broker_is_told_of_jobs_and_not_of_answers():
    assert [taken(task) for task in (advance_tuning_job, answer_message)] == [(["taken"], True), ([], True)]
