import pytest

from jobs import errors
from jobs.models import ShareLink
from jobs.services import chat_share
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk(db):
    made = factories.conversation()
    factories.message(conversation=made)
    return made


def test_a_link_is_found_by_its_token_only(talk):
    link, token = chat_share.share(talk)
    assert (chat_share.find(token), chat_share.find("x"), chat_share.find("")) == (link, None, None)
    assert token not in str(ShareLink.objects.values().get())


def test_a_revoked_link_is_gone_for_good(talk):
    link, token = chat_share.share(talk)
    chat_share.revoke(link)
    chat_share.revoke(link)
    assert (chat_share.find(token), list(chat_share.links_of(talk.owner)), list(chat_share.active(talk))) == (
        None,
        [],
        [],
    )


def test_a_link_shows_what_was_said_when_it_was_made(talk):
    link, _token = chat_share.share(talk)
    head = talk.head
    factories.message(conversation=talk)
    link.refresh_from_db()
    assert link.head == head


def test_a_closed_account_shows_nothing(talk):
    _link, token = chat_share.share(talk)
    talk.owner.is_active = False
    talk.owner.save()
    assert chat_share.find(token) is None


def test_there_is_nothing_to_share_before_anything_was_said():
    with pytest.raises(errors.NotAllowedNow, match="nothing to share"):
        chat_share.share(factories.conversation())


def test_an_answer_that_is_written_is_not_shared(talk):
    factories.message(conversation=talk, role="assistant", state="STREAMING")
    with pytest.raises(errors.NotAllowedNow, match="still answering"):
        chat_share.share(talk)


def test_links_are_bounded(talk, monkeypatch):
    monkeypatch.setattr(chat_share, "MOST_LINKS", 1)
    chat_share.share(talk)
    with pytest.raises(errors.NotAllowedNow, match="1 links already"):
        chat_share.share(talk)
