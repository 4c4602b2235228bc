from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import TuningDraft
from jobs.services.tuning import output_check
from tests.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed_in(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def draft():
    return factories.draft(data={"name": {"display_name": "Ahoy", "sent": True}})


def state(signed_in, draft, method="get", **values):
    response = getattr(signed_in, method)(f"/tuning/drafts/{draft.pk}/output-check/", values)
    return response.context["check"].state


def test_the_list_of_drafts(signed_in, draft, stranger):
    factories.draft(owner=stranger)
    factories.draft(submitted_at=timezone.now())
    factories.draft()
    response = signed_in.get("/tuning/drafts/")
    assert [(row["draft"], row["done"]) for row in response.context["rows"]][1] == (draft, ["Name"])
    assert len(response.context["rows"]) == 2
    assert f"/tuning/drafts/{draft.pk}/discard/" in response.content.decode()


@pytest.mark.parametrize("others", [0, 2])
def test_the_number_of_queries_does_not_grow(signed_in, draft, others, django_assert_num_queries):
    for _ in range(others):
        factories.draft()
    with django_assert_num_queries(4):
        signed_in.get("/tuning/drafts/")


def test_no_drafts(signed_in):
    assert "What you enter in the five steps is kept here" in signed_in.get("/tuning/drafts/").content.decode()


def test_a_folder_is_unknown_asked_about_and_told(signed_in, draft, fake_gateway):
    uri = "gs://garden-local/ahoy"
    assert state(signed_in, draft, output_uri=uri) == "unknown"
    assert state(signed_in, draft, "post", output_uri=f"{uri}/") == "asked"
    assert state(signed_in, draft, output_uri=uri) == "asked"
    output_check.run(draft.pk, timezone.now())
    assert state(signed_in, draft, output_uri=uri) == "free"
    assert state(signed_in, draft, output_uri=f"{uri}-b") == "unknown"


def test_only_a_question_under_way_is_asked_after_again(signed_in, draft, fake_gateway):
    url = f"/tuning/drafts/{draft.pk}/output-check/"
    asked = signed_in.post(url, {"output_uri": "gs://garden-local/ahoy"}).content.decode()
    assert f'hx-trigger="draft-{draft.pk} from:body, every 2s"' in asked
    output_check.run(draft.pk, timezone.now())
    assert "hx-trigger" not in signed_in.get(url).content.decode()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({}, "late"),
        ({"problem": "", "is_empty": False}, "occupied"),
        ({"problem": "No bucket.", "is_empty": None}, "bad"),
        ({"unknown": "No answer."}, "unclear"),
    ],
)
def test_what_the_worker_found(signed_in, draft, found, expected):
    asked = timezone.now() - timedelta(minutes=1)
    check = {"uri": "gs://b/x", "asked_at": asked.isoformat()} | found
    draft.output_check = check | ({"checked_at": asked.isoformat()} if found else {})
    draft.save()
    assert state(signed_in, draft) == expected


@pytest.mark.parametrize("typed", ["", "x", "gs://garden-local/taken"])
def test_nothing_is_asked_about_what_is_no_free_folder(signed_in, draft, typed):
    factories.job(output_uri="gs://garden-local/taken")
    assert state(signed_in, draft, "post", output_uri=typed) == "unknown"
    draft.refresh_from_db()
    assert draft.output_check == {}


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "EXPIRED"])
def test_a_job_that_failed_is_tried_again_with_all_its_settings(signed_in, state):
    factories.publisher_model()
    job = factories.job(
        display_name="Captain", state=state, error_message="Out of memory.", labels={"a": "b"}, endpoint_lease_hours=5
    )
    place = signed_in.post(f"/tuning/jobs/{job.pk}/retry/")["Location"]
    draft = TuningDraft.objects.get()
    assert place == f"/tuning/drafts/{draft.pk}/name/"
    assert (draft.data["name"]["display_name"], draft.data["name"]["labels"]) == ("Captain (2)", "a=b")
    assert (draft.data["deployment"]["endpoint_lease_hours"], "output" in draft.data) == ("5", False)
    content = signed_in.get(place).content.decode()
    assert "Out of memory." in content
    assert f"/tuning/jobs/{job.pk}/" in content


def test_a_job_that_succeeded_has_nothing_to_explain(signed_in):
    job = factories.job(state="SUCCEEDED")
    place = signed_in.post(f"/tuning/jobs/{job.pk}/retry/")["Location"]
    assert "Uses the settings of My model" in signed_in.get(place).content.decode()


def test_the_job_behind_a_draft_may_be_gone(signed_in):
    job = factories.job(state="FAILED")
    place = signed_in.post(f"/tuning/jobs/{job.pk}/retry/")["Location"]
    job.delete()
    assert signed_in.get(place).status_code == 200
