from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Message
from jobs.services.chat.streaming.waits import wait_of
from tests.support import factories

pytestmark = pytest.mark.django_db
SERVER = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _local(settings):
    settings.VERTEX_API_ENDPOINT = SERVER


def waiting(*, seconds=3, state="STREAMING", talk=None, **values):
    talk = talk or factories.conversation()
    message = factories.message(conversation=talk, role="assistant", state=state, **{"content": "", **values})
    then = timezone.now() - timedelta(seconds=seconds, milliseconds=100)
    Message.objects.filter(pk=message.pk).update(created_at=then, updated_at=then)
    message.refresh_from_db()
    return message


@pytest.mark.parametrize(
    ("state", "content", "expected"),
    [
        ("WAITING", "", ("worker", 3)),
        ("STREAMING", "", ("first_token", 3)),
        ("STREAMING", "Arr", ("", 0)),
        ("COMPLETE", "", ("", 0)),
    ],
)
def test_the_row_says_what_is_awaited(state, content, expected):
    assert wait_of(waiting(state=state, content=content)) == expected


def test_a_model_that_nobody_asked_lately_is_being_started():
    assert wait_of(waiting(seconds=7)) == ("start", 7)


def test_one_that_has_just_answered_is_not():
    answer = waiting(seconds=7)
    factories.message(conversation=answer.conversation, role="assistant", timings={"first_token": 0.1})
    assert wait_of(answer) == ("first_token", 7)


@pytest.mark.parametrize(("replicas", "kind"), [(0, "start"), (1, "first_token")])
def test_on_google_cloud_only_an_endpoint_without_replicas_starts(settings, replicas, kind):
    settings.VERTEX_API_ENDPOINT = ""
    talk = factories.conversation(endpoint=factories.ready_endpoint(min_replicas=replicas))
    assert wait_of(waiting(seconds=7, talk=talk)) == (kind, 7)


def test_one_that_sleeps_sooner_is_cold_sooner(settings):
    settings.VERTEX_API_ENDPOINT = ""
    endpoint = factories.ready_endpoint(min_replicas=0, serving_options={"idle_minutes": 5})
    talk = factories.conversation(endpoint=endpoint)
    waiting(seconds=360, state="COMPLETE", talk=talk, content="Ahoy", timings={"first_token": 1})
    assert wait_of(waiting(seconds=7, talk=talk)) == ("start", 7)
