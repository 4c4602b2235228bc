"""What a line of the log in JSON says of the work that it belongs to."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.utils.functional import SimpleLazyObject

from console.celery import app, kind_of
from console.json_lines import JsonFormatter, Process, begin_task, end_task
from jobs.log_lines import LineFormatter
from jobs.origin import Origin, comes_from
from jobs.tasks import advance_tuning_job
from tests.support import factories

ROOT = Path(__file__).parents[2]


def written(**record):
    made = logging.makeLogRecord({"name": "console", "levelno": logging.INFO, "levelname": "INFO"} | record)
    return json.loads(JsonFormatter().format(made))


def test_a_line_of_nothing_in_particular():
    line = written(msg="%d jobs", args=(3,), created=1_700_000_000.5)
    assert line.pop("pid").isdigit()
    assert line == {
        "time": "2023-11-14T22:13:20.500Z", "level": "INFO", "logger": "console", "message": "3 jobs",
        "process": Process.kind,
    }  # fmt: skip


def test_a_process_is_a_command_until_it_is_something_else():
    code = "from console.json_lines import Process; print(Process.kind); import console.asgi; print(Process.kind)"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    output = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, check=True)
    assert output.stdout.split() == [b"manage", b"web"]


@pytest.mark.django_db
def test_a_request_has_its_id_and_who_asks(owner):
    with comes_from(Origin(lambda: owner, "192.0.2.1", "abc123")):
        line = written(msg="x")
    assert (line["request_id"], line["actor"]) == ("abc123", str(owner.pk))
    assert "request_id" not in written(msg="x")


@pytest.mark.django_db
def test_what_django_says_of_a_request_that_is_over_has_its_id(client, owner):
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(JsonFormatter().format(record)))
    client.force_login(owner)
    logging.getLogger("django.request").addHandler(handler)
    try:
        answer = client.get(f"/tuning/jobs/{owner.pk:036}/")
        missing = client.post("/tuning/")
    finally:
        logging.getLogger("django.request").removeHandler(handler)
    assert [line["request_id"] for line in lines] == [answer["X-Request-ID"], missing["X-Request-ID"]]
    assert lines[1]["actor"] == str(owner.pk)


def test_a_log_asks_no_database_who_it_is():
    def read():
        raise AssertionError("It was asked.")

    with comes_from(Origin(lambda: SimpleLazyObject(read), "", "abc123")):
        assert "actor" not in written(msg="x")
    with comes_from(Origin(lambda: None)):
        assert "actor" not in written(msg="x")


def test_a_task_has_its_name_and_job():
    begin_task("tuning.advance", {"job_id": "0b1f", "rows": "x"})
    line = written(msg="x")
    end_task()
    assert (line["task"], line["job"]) == ("tuning.advance", "0b1f")
    assert {"task", "job"} & set(written(msg="x")) == set()


@pytest.mark.django_db
def test_a_worker_says_which_job_it_is_at():
    """By the signals that Celery sends around a task in a thread of its own."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(json.loads(JsonFormatter().format(record)))
    job, task = factories.job(next_check_at=None), app.tasks[advance_tuning_job.name]
    logging.getLogger("jobs").addHandler(handler)
    try:
        begin, end = sent(task, {"job_id": str(job.pk)})
        begin()
        logging.getLogger("jobs.x").warning("now")
        end()
        logging.getLogger("jobs.x").warning("then")
    finally:
        logging.getLogger("jobs").removeHandler(handler)
    assert [(line["message"], line.get("task"), line.get("job")) for line in lines] == [
        ("now", "tuning.advance", str(job.pk)), ("then", None, None)
    ]  # fmt: skip


def sent(task, named):
    from celery.signals import task_postrun, task_prerun

    values = {"sender": task, "task": task, "task_id": "1", "args": (), "kwargs": named}
    return lambda: task_prerun.send(**values), lambda: task_postrun.send(**values)


def test_of_which_kind_a_worker_is():
    assert [kind_of(queues) for queues in ("chat", ["chat"], "jobs", ["jobs", "chat"], ())] == [
        "chat", "chat", "worker", "worker", "worker"
    ]  # fmt: skip


@pytest.mark.threat("T22")
@pytest.mark.parametrize(
    "value", ['", "level": "CRITICAL', "a\nb", '{"actor": "root"}', "\u2028\u202e\x1b[31m", "\ud800", "\x00", "\\"]
)
@pytest.mark.parametrize("place", ["msg", "name", "request_id", "exception"])
def test_no_value_forges_a_field_or_a_line(value, place):
    record: dict[str, Any] = {"msg": "x", "actor": "root", "process": "root", "level": "root"}
    if place == "exception":
        try:
            raise ValueError(value)
        except ValueError:
            record["exc_info"] = sys.exc_info()
    else:
        record[place] = value
    text = JsonFormatter().format(logging.makeLogRecord({"name": "console", "levelname": "INFO"} | record))
    line = json.loads(text)
    assert (text.isascii(), len(text.splitlines()), json.dumps(line) == text) == (True, 1, True)
    fields = {"time", "level", "logger", "message", "process", "pid", "request_id", "exception"}
    assert (set(line) <= fields, line["level"], line["process"]) == (True, "INFO", Process.kind)
    assert value in {"msg": line["message"], "name": line["logger"]}.get(place, str(line.get(place)))


@pytest.mark.threat("T15")
def test_a_secret_address_is_hidden_as_in_lines_of_text():
    record = logging.makeLogRecord({"msg": "GET %s", "args": ("/shared/s3cret/",)})
    assert "s3cret" not in JsonFormatter().format(record) + LineFormatter("%(message)s").format(record)
