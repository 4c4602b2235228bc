import pytest

from jobs import errors
from jobs.models import ShareLink
from jobs.services.chat import policies, shared_links
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk(db):
    made = factories.conversation()
    factories.message(conversation=made)
    return made


def test_a_link_is_found_by_its_token_only(talk):
    link, token = shared_links.share(talk)
    assert (shared_links.find(token), shared_links.find("x"), shared_links.find("")) == (link, None, None)
    assert token not in str(ShareLink.objects.values().get())


def test_a_revoked_link_is_gone_for_good(talk):
    link, token = shared_links.share(talk)
    shared_links.revoke(link)
    shared_links.revoke(link)
    assert (shared_links.find(token), list(shared_links.links_of(talk.owner)), list(shared_links.active(talk))) == (
        None,
        [],
        [],
    )


def test_a_link_shows_what_was_said_when_it_was_made(talk):
    link, _token = shared_links.share(talk)
    head = talk.head
    factories.message(conversation=talk)
    link.refresh_from_db()
    assert link.head == head


def test_a_closed_account_shows_nothing(talk):
    _link, token = shared_links.share(talk)
    talk.owner.is_active = False
    talk.owner.save()
    assert shared_links.find(token) is None


def test_there_is_nothing_to_share_before_anything_was_said():
    with pytest.raises(errors.NotAllowedNow, match="nothing to share"):
        shared_links.share(factories.conversation())


def test_an_answer_that_is_written_is_not_shared(talk):
    factories.message(conversation=talk, role="assistant", state="STREAMING")
    with pytest.raises(errors.NotAllowedNow, match="still answering"):
        shared_links.share(talk)


def test_links_are_bounded(talk):
    for _ in range(policies.MAX_LINKS):
        shared_links.share(talk)
    with pytest.raises(errors.NotAllowedNow, match="already has 50 links"):
        shared_links.share(talk)
