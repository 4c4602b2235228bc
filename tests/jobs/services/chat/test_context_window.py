from uuid import uuid4

import pytest

from jobs.errors import NotAllowedNow
from jobs.services.chat import branches, context_window
from jobs.vertex.errors import Refused
from tests.jobs.services.chat.test_tree import asked, finished, served
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)
TOO_LONG = Refused("Too long.", "CONTEXT_LENGTH")


@pytest.fixture
def talk(fake_gateway):
    return factories.conversation(endpoint=served(fake_gateway), title="")


def dropped(answer, key=None):
    return finished(context_window.drop_oldest(answer, key=key or uuid4()))


def told(gateway):
    return [turn["content"] for turn in gateway.chat.requests[-1].messages]


def test_the_older_half_is_left_out_until_it_fits(talk, fake_gateway):
    fake_gateway.chat.script = [["A"], ["B"], ["C"], [TOO_LONG], [TOO_LONG], ["E"], ["F"]]
    for number in range(1, 4):
        asked(talk, f"Q{number}")
    last = dropped(asked(talk, "Q4"))
    assert (last.error_code, told(fake_gateway)) == ("CONTEXT_LENGTH", ["Q3", "C", "Q4"])
    assert (dropped(last).content, told(fake_gateway)) == ("E", ["Q4"])
    asked(talk, "Q5")
    assert told(fake_gateway) == ["Q4", "E", "Q5"]


def test_all_is_told_again_when_that_is_wished(talk, fake_gateway):
    fake_gateway.chat.script = [["A"], [TOO_LONG], ["B"], ["C"]]
    asked(talk, "Q1")
    dropped(asked(talk, "Q2"))
    context_window.send_all(talk)
    asked(talk, "Q3")
    assert told(fake_gateway) == ["Q1", "A", "Q2", "B", "Q3"]


def test_the_first_question_cannot_be_left_out(talk, fake_gateway):
    fake_gateway.chat.script = [[TOO_LONG]]
    with pytest.raises(NotAllowedNow, match="no older turns to drop"):
        dropped(asked(talk))


def test_two_clicks_leave_out_once(talk, fake_gateway):
    fake_gateway.chat.script = [["A"], ["B"], [TOO_LONG], ["C"]]
    asked(talk, "Q1")
    asked(talk, "Q2")
    failed, key = asked(talk, "Q3"), uuid4()
    assert dropped(failed, key).pk == dropped(failed, key).pk
    assert told(fake_gateway) == ["Q2", "B", "Q3"]


def test_a_branch_leaves_out_the_same(talk, fake_gateway):
    fake_gateway.chat.script = [["A"], [TOO_LONG], ["B"], ["C"]]
    asked(talk, "Q1")
    copy = branches.branch_off(dropped(asked(talk, "Q2")), key=uuid4())
    asked(copy, "Q3")
    assert told(fake_gateway) == ["Q2", "B", "Q3"]
