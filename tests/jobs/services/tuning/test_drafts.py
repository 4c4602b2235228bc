import pytest
from django.utils import timezone

from jobs import errors
from jobs.models import TuningDraft
from jobs.services.tuning import drafts
from tests.support import factories

pytestmark = pytest.mark.django_db


def test_a_draft_has_a_name_from_the_start(owner):
    draft = drafts.create(owner)
    assert draft.data["name"]["display_name"].startswith("Tuned model 2")


def test_no_nul_reaches_the_database(owner):
    draft = drafts.create(owner)
    drafts.save_step(draft, "name", {"display_name": "M\x00y", "other": None})
    assert draft.data["name"] == {"display_name": "My", "other": None}


def test_each_draft_is_a_new_one(owner):
    assert drafts.create(owner) != drafts.create(owner)


def test_two_windows_on_two_steps_do_not_undo_each_other(owner):
    one = drafts.create(owner)
    two = TuningDraft.objects.get(pk=one.pk)
    drafts.save_step(one, "name", {"display_name": "Mine"})
    drafts.save_step(two, "training", {"epochs": "x"})
    one.refresh_from_db()
    assert (one.data["name"], one.data["training"]) == ({"display_name": "Mine"}, {"epochs": "x"})


def test_a_started_draft_is_not_changed_or_dropped(owner):
    draft = factories.draft(submitted_at=timezone.now())
    with pytest.raises(errors.NotAllowedNow):
        drafts.save_step(draft, "name", {})
    drafts.discard(draft)
    assert TuningDraft.objects.count() == 1


def test_discard(owner):
    drafts.discard(drafts.create(owner))
    assert TuningDraft.objects.count() == 0


@pytest.mark.parametrize(
    ("taken", "name", "free"),
    [
        ([], "Captain", "Captain"),
        (["Captain"], "Captain", "Captain (2)"),
        (["Captain", "Captain (2)", "Captain (7)"], "Captain", "Captain (8)"),
        (["Captain", "Captain (2)"], "Captain (2)", "Captain (3)"),
        (["Captain", "Captain Ahoy (9)"], "Captain", "Captain (2)"),
        (["x" * 128], "x" * 128, "x" * 124 + " (2)"),
    ],
)
def test_the_next_free_name(owner, stranger, taken, name, free):
    for one in taken:
        factories.job(display_name=one)
    factories.job(display_name="Captain (100)", owner=stranger)
    assert drafts.free_name(owner, name) == free


def open_page(draft, name="one"):
    """What a page knows that shows the draft as it is."""
    return drafts.Known(dict(draft.data.get("training", {})), name)


@pytest.fixture
def draft():
    return factories.draft(data={"training": {"epochs": "3", "rate": "1", "sent": True}})


def test_only_what_a_page_changed_is_kept(draft):
    one, two = open_page(draft), open_page(draft, "two")
    assert drafts.keep(draft, "training", {"epochs": "5", "rate": "1"}, one) == []
    assert drafts.keep(draft, "training", {"epochs": "3", "rate": "2"}, two) == []
    kept = {"epochs": "5", "rate": "2", "sent": True, drafts.KEPT: {"epochs": "one", "rate": "two"}}
    assert draft.data["training"] == kept


def test_nothing_changed_is_nothing_written(draft):
    before = TuningDraft.objects.values().get()
    drafts.keep(draft, "training", {"epochs": 3, "rate": "1"}, open_page(draft))
    assert TuningDraft.objects.values().get() == before


def test_what_two_pages_changed_is_a_conflict_and_stays_as_it_was_first(draft):
    one, two = open_page(draft), open_page(draft, "two")
    drafts.keep(draft, "training", {"epochs": "5"}, one)
    assert drafts.keep(draft, "training", {"epochs": "7"}, two) == [drafts.Conflict("epochs", "7", "5")]
    assert drafts.send(draft, "training", {"epochs": "7"}, two, {})[1] == [drafts.Conflict("epochs", "7", "5")]
    assert draft.data["training"]["epochs"] == "5"
    assert drafts.send(draft, "training", {"epochs": "7"}, two, {}, insists=True) == ({"epochs": "7"}, [])


def test_an_emptied_field_is_a_change_even_before_anything_is_stored(owner):
    draft = factories.draft()
    drafts.keep(draft, "deployment", {"auto": False, "name": ""}, drafts.Known({"auto": True, "name": "Ahoy"}, "one"))
    assert (draft.data["deployment"]["auto"], draft.data["deployment"]["name"]) == (False, "")


def test_what_a_page_typed_before_it_sent_its_step_comes_too_late(draft):
    known = open_page(draft)
    drafts.send(draft, "training", {"epochs": "3"}, known, {"sent": True})
    assert drafts.keep(draft, "training", {"epochs": "9"}, known) == []
    assert draft.data["training"] == {"epochs": "3", "sent": True}


def test_the_newest_pages_are_remembered(draft):
    for number in range(drafts.PAGES_REMEMBERED + 5):
        drafts.send(draft, "training", {"epochs": "3"}, open_page(draft, str(number)), {})
    assert set(draft.data[drafts.PAGES]) == {str(number) for number in range(5, drafts.PAGES_REMEMBERED + 5)}


def test_a_started_draft_takes_nothing_more():
    draft = factories.draft(submitted_at=timezone.now())
    with pytest.raises(errors.NotAllowedNow):
        drafts.keep(draft, "training", {"epochs": "9"}, drafts.Known())
    with pytest.raises(errors.NotAllowedNow):
        drafts.send(draft, "training", {"epochs": "9"}, drafts.Known(), {})
