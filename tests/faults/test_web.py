"""The web process dies around the commit of a click, or its reply is lost: the same click again is the same thing."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from celery import current_app
from django.db import connection
from django.test import Client

from jobs import tasks
from jobs.models import Endpoint, TuningDraft, TuningJob
from tests.console.views.tuning.test_new import DEPLOYMENT, Wizard
from tests.faults.test_races import at_once
from tests.support import factories
from tests.support.localservers import ROOT
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db(transaction=True)
KILLED = 137
SWEPT_WITHIN = 15


@dataclass
class Click:
    """A form that makes a row which costs money, as a browser sends it."""

    path: str
    values: dict
    browser: Client
    model: type[TuningJob] | type[Endpoint]
    kind: str
    goal: dict = field(default_factory=lambda: {"phase": "BOUND"})

    def send(self):
        answer = self.browser.post(self.path, self.values)
        return answer.status_code, answer.get("Location", "")

    def send_to_one_that_dies(self, settings, dies):
        """The exit code of the process that answered, and what it answered."""
        told = {
            "database": str(connection.settings_dict["NAME"]), "data_dir": str(settings.DATA_DIR), "dies": dies,
            "cookies": self.browser.cookies.output(header="", sep=";"), "path": self.path, "values": self.values,
            "table": self.model._meta.model_name,
        }  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
        ended = subprocess.run(
            [sys.executable, "-m", "tests.faults.web_that_dies"], cwd=ROOT, input=json.dumps(told), env=environment,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ended.returncode in (0, KILLED), ended.stderr
        return ended.returncode, json.loads(ended.stdout or "null")


@pytest.fixture
def browser(owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def model(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return factories.publisher_model(display_name="Gemma 3 270M")


@pytest.fixture
def tune(browser, owner, model):
    wizard = Wizard(browser, browser.get("/tuning/new/")["Location"])
    wizard.fill(factories.dataset(owner=owner))
    return Click(wizard.url("start"), DEPLOYMENT, browser, TuningJob, "tuning-job")


@pytest.fixture
def deploy(browser, model):
    values = {
        "key": str(uuid4()), "model": model.name, "model_display_name": "Gemma", "display_name": "Ahoy",
        "machine": "local-cpu::0", "min_replicas": "1", "max_replicas": "1", "accepts_licence": "on",
    }  # fmt: skip
    path = "/publishers/google/model-garden/gemma3/deploy/"
    return Click(path, values, browser, Endpoint, "deployment")


@pytest.fixture(params=["tune", "deploy"])
def click(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def swept(sent):
    """The rows that are named to the workers."""
    return lambda: [pk for _task, given in sent() for pk in given.values()]


def goes_on_by_itself(click, gateway, swept):
    """The next sweep names the row to a worker; its steps create it once."""
    (row,) = click.model.objects.all()
    swept()
    tasks.sweep()
    assert (swept(), current_app.conf.beat_schedule["sweep"]["schedule"] <= SWEPT_WITHIN) == ([str(row.pk)], True)
    Driver().until(row, **click.goal)
    assert gateway.creates(click.kind) == [row.resource_name]


@pytest.mark.fault("F1")
def test_killed_before_the_commit_there_is_nothing(click, settings, fake_gateway, swept):
    assert click.send_to_one_that_dies(settings, "before") == (KILLED, None)
    assert (click.model.objects.count(), TuningDraft.objects.exclude(submitted_at=None).count()) == (0, 0)
    tasks.sweep()
    assert (swept(), fake_gateway.calls) == ([], [])
    assert click.send()[0] in (302, 303)
    goes_on_by_itself(click, fake_gateway, swept)


@pytest.mark.fault("F2", "F3")
def test_killed_after_the_commit_nothing_is_lost(click, settings, fake_gateway, swept):
    """Sent again, as a browser offers it, the form comes to the row that is there."""
    assert click.send_to_one_that_dies(settings, "after") == (KILLED, None)
    (row,) = click.model.objects.all()
    again = click.send()
    assert (again[0] in (302, 303), str(row.pk) in again[1], click.model.objects.count()) == (True, True, 1)
    goes_on_by_itself(click, fake_gateway, swept)


@pytest.mark.fault("F3")
def test_a_lost_reply_and_the_form_again(click, settings, fake_gateway, swept):
    """The process lived, and its answer went nowhere."""
    code, (status, place) = click.send_to_one_that_dies(settings, "never")
    assert (code, status in (302, 303)) == (0, True)
    assert click.send() == (status, place)
    goes_on_by_itself(click, fake_gateway, swept)


@pytest.mark.fault("F3")
def test_twenty_clicks_at_once_are_one(click, fake_gateway, swept):
    def send():
        browser = Client()
        browser.cookies.load(click.browser.cookies.output(header="", sep=";"))
        answer = browser.post(click.path, click.values)
        return answer.status_code, answer.get("Location", "")

    answers = at_once(send, count=20)
    assert ({status for status, _place in answers} <= {302, 303}, len(set(answers))) == (True, 1)
    goes_on_by_itself(click, fake_gateway, swept)


@pytest.mark.fault("F3")
def test_back_and_once_more_with_other_values_changes_nothing(tune, fake_gateway, swept):
    first = tune.send()
    tune.values = DEPLOYMENT | {"endpoint_display_name": "Something else"}
    assert tune.send() == first
    assert TuningJob.objects.get().endpoint_display_name == "Ahoy"
    goes_on_by_itself(tune, fake_gateway, swept)
