from datetime import timedelta

import pytest

from jobs.models import TuningDraft
from jobs.services.tuning import output_check
from tests.support import factories
from tests.support.factories import NOW

pytestmark = pytest.mark.django_db
URI = "gs://garden-local/ahoy"


@pytest.fixture
def draft():
    return factories.draft()


def checked(draft, uri=URI):
    output_check.ask(draft, uri, NOW)
    output_check.run(draft.pk, NOW)
    draft.refresh_from_db()
    return {name: value for name, value in draft.output_check.items() if not name.endswith("_at")}


def test_a_free_folder(draft, fake_gateway):
    assert checked(draft) == {"uri": URI, "problem": "", "is_empty": True}


def test_a_folder_with_files(draft, fake_gateway):
    fake_gateway.storage.objects[f"{URI}/x"] = b""
    assert checked(draft) == {"uri": URI, "problem": "", "is_empty": False}


def test_a_bucket_that_is_not_there(draft, fake_gateway):
    found = checked(draft, "gs://elsewhere/ahoy")
    assert (found["problem"], found["is_empty"]) == ("The bucket elsewhere does not exist.", None)


@pytest.mark.parametrize("method", ["storage.problem_with_output", "storage.is_empty"])
def test_what_cannot_be_found_out_stays_unknown(draft, fake_gateway, method):
    fake_gateway.unavailable(method)
    assert checked(draft) == {"uri": URI, "unknown": "Vertex AI does not answer."}


def test_the_same_question_is_not_asked_twice_at_once(draft, fake_gateway):
    asked = [output_check.ask(draft, URI, NOW + timedelta(seconds=later)) for later in (0, 5, 30)]
    assert asked == [True, False, True]
    assert output_check.ask(draft, f"{URI}/b", NOW + timedelta(seconds=31))


def test_an_answer_is_kept_for_a_minute(draft, fake_gateway):
    checked(draft)
    asked = [output_check.ask(draft, URI, NOW + timedelta(seconds=later)) for later in (50, 70)]
    assert asked == [False, True]


def test_a_bad_answer_is_asked_about_at_once_and_holds_until_another_comes(draft, fake_gateway):
    checked(draft, "gs://elsewhere/ahoy")
    assert output_check.ask(draft, "gs://elsewhere/ahoy", NOW + timedelta(seconds=1))
    assert output_check.why_not_write(draft.pk, "gs://elsewhere/ahoy/") == "The bucket elsewhere does not exist."
    assert not output_check.ask(draft, "gs://elsewhere/ahoy", NOW + timedelta(seconds=2))
    fake_gateway.storage.buckets.add("elsewhere")
    output_check.run(draft.pk, NOW)
    assert output_check.why_not_write(draft.pk, "gs://elsewhere/ahoy") == ""


def test_another_folder_has_another_answer(draft, fake_gateway):
    checked(draft, "gs://elsewhere/ahoy")
    assert output_check.why_not_write(draft.pk, URI) == ""
    assert output_check.ask(draft, URI, NOW)
    assert output_check.why_not_write(draft.pk, "gs://elsewhere/ahoy") == ""


def test_a_folder_changed_in_the_meantime_wins(draft, fake_gateway):
    output_check.ask(draft, URI, NOW)
    fake_gateway.during("storage.is_empty", lambda: output_check.ask(draft, "gs://garden-local/new", NOW))
    output_check.run(draft.pk, NOW)
    draft.refresh_from_db()
    assert draft.output_check == {"uri": "gs://garden-local/new", "asked_at": NOW.isoformat()}


def test_a_check_is_no_edit_of_the_person(draft, fake_gateway):
    before = draft.updated_at
    checked(draft)
    assert TuningDraft.objects.get().updated_at == before


def test_nothing_is_looked_at_without_a_question(draft, fake_gateway):
    output_check.run(draft.pk, NOW)
    output_check.ask(draft, URI, NOW)
    TuningDraft.objects.update(submitted_at=NOW)
    output_check.run(draft.pk, NOW)
    assert fake_gateway.calls == []
