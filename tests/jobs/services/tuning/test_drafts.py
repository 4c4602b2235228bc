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
