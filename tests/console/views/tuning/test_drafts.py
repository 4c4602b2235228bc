import html
from datetime import timedelta

import pytest
from django.utils import timezone

from console.presenters.tuning.wizard.drafts import Wizard
from jobs.models import TuningDraft
from jobs.services.tuned_models import continuation
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
    assert place == f"/tuning/drafts/{draft.pk}/{'name' if state == 'CANCELLED' else 'training'}/"
    assert (draft.data["name"]["display_name"], draft.data["name"]["labels"]) == ("Captain (2)", "a=b")
    assert draft.data["deployment"]["endpoint_lease_hours"] == "5"
    assert draft.data["output"]["output_uri"].startswith("gs://garden-local/tuning/captain-2-")
    content = signed_in.get(place).content.decode()
    assert "Out of memory." in content
    assert f"/tuning/jobs/{job.pk}/" in content


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ({"error_field": "output_uri", "error_message": "There is no bucket x."}, "output"),
        ({"error_field": "dataset", "error_message": "The file is gone."}, "training"),
        ({"error_code": "INVALID_ARGUMENT", "error_message": "epoch_count must be between 1 and 100."}, "training"),
        ({"error_code": "INTERNAL", "error_message": "Use a smaller batch size."}, "training"),
        ({"error_message": "Base model x is not supported for tuning."}, "base-model"),
        ({"error_code": "INTERNAL", "error_message": "Out of memory."}, "training"),
        ({"error_message": "The training stopped."}, "name"),
    ],
)
def test_edit_and_retry_opens_the_step_that_is_at_fault(signed_in, values, step):
    factories.publisher_model()
    job = factories.job(state="FAILED", **values)
    place = signed_in.post(f"/tuning/jobs/{job.pk}/retry/")["Location"]
    assert place == f"/tuning/drafts/{TuningDraft.objects.get().pk}/{step}/"
    assert values["error_message"] in html.unescape(signed_in.get(place).content.decode())


def test_the_new_folder_is_asked_about(signed_in, fake_gateway):
    job = factories.job(state="FAILED")
    signed_in.post(f"/tuning/jobs/{job.pk}/retry/")
    draft = TuningDraft.objects.get()
    assert draft.output_check["uri"] == draft.data["output"]["output_uri"]


CHECKPOINTS = [{"checkpoint_id": str(number), "epoch": number, "step": 5 * number} for number in (1, 2)]


@pytest.fixture
def local(settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"


def test_fine_tune_again_continues_from_the_tuned_model(signed_in, local):
    factories.publisher_model()
    job = factories.job(state="SUCCEEDED", display_name="Captain", checkpoints=CHECKPOINTS)
    final = f"{job.output_uri}/postprocess/node-0/checkpoints/final"
    assert f'action="/tuning/jobs/{job.pk}/continue/"' in signed_in.get(f"/models/{job.pk}/").content.decode()
    assert f'action="/tuning/jobs/{job.pk}/continue/"' in signed_in.get("/models/").content.decode()
    place = signed_in.post(f"/tuning/jobs/{job.pk}/continue/")["Location"]
    draft = TuningDraft.objects.get()
    assert place == f"/tuning/drafts/{draft.pk}/name/"
    assert "Continues from Captain." in signed_in.get(place).content.decode()
    step = signed_in.get(f"/tuning/drafts/{draft.pk}/base-model/")
    form, content = step.context["form"], step.content.decode()
    assert (form["source"].value(), form["custom_base_model"].value()) == ("tuned", final)
    assert f'<option value="{final}" selected>' in content
    assert (form.is_valid(), form.cleaned_data["base_model"]) == (True, job.base_model)


def test_what_is_continued_is_offered_however_old(signed_in, local, monkeypatch):
    factories.publisher_model()
    job = factories.job(state="SUCCEEDED")
    for number in range(continuation.JOBS_OFFERED):
        factories.job(state="SUCCEEDED", dataset=job.dataset, output_uri=f"gs://b/{number}")
    signed_in.post(f"/tuning/jobs/{job.pk}/continue/")
    content = signed_in.get(f"/tuning/drafts/{TuningDraft.objects.get().pk}/base-model/").content.decode()
    assert f'<option value="{job.output_uri}/postprocess/node-0/checkpoints/final" selected>' in content


def test_resume_is_ready_to_start_with_the_epochs_that_are_left(signed_in, local, owner):
    factories.publisher_model()
    job = factories.job(
        state="CANCELLED", phase="CLOSED", started_at=timezone.now(), display_name="Captain", epochs=5,
        checkpoints=CHECKPOINTS, endpoint_display_name="Captain",
    )  # fmt: skip
    place = signed_in.post(f"/tuning/jobs/{job.pk}/continue/", {"checkpoint": "2"})["Location"]
    draft = TuningDraft.objects.get()
    assert draft.data["deployment"]["endpoint_display_name"] == "Captain (2)"
    assert place == f"/tuning/drafts/{draft.pk}/deployment/"
    content = signed_in.get(place).content.decode()
    assert "Resumes Captain, checkpoint 2 of epoch 2" in content
    spec = Wizard(draft, owner).preview_spec
    assert (spec.display_name, spec.epochs) == ("Captain (2)", 3)
    assert spec.custom_base_model == f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-10"


def test_a_job_that_goes_on_is_not_called_ended(signed_in, local):
    factories.publisher_model()
    job = factories.job(
        state="RUNNING", phase="BOUND", started_at=timezone.now(), display_name="Captain", epochs=5,
        checkpoints=[one | {"is_servable": True} for one in CHECKPOINTS],
    )  # fmt: skip
    place = signed_in.post(f"/tuning/jobs/{job.pk}/continue/", {"checkpoint": "1"})["Location"]
    content = " ".join(signed_in.get(place).content.decode().split())
    assert "Continues from Captain, checkpoint 1 of epoch 1. The original job keeps running." in content
    assert "Resumes" not in content
    offered = signed_in.get(place.replace("deployment", "base-model")).content.decode()
    option = offered.partition(" selected>")[2].partition("</option>")[0]
    assert " ".join(option.split()) == "Captain, checkpoint 1 of epoch 1 · LoRA adapter 8 · Running"


def test_a_next_version_may_have_the_name_of_the_model_that_it_continues(signed_in, local):
    factories.publisher_model()
    job = factories.job(state="SUCCEEDED", display_name="Captain", endpoint_display_name="Bridge")
    signed_in.post(f"/tuning/jobs/{job.pk}/continue/")
    draft = TuningDraft.objects.get()
    page = f"/tuning/drafts/{draft.pk}/name/"
    again = signed_in.get(page).content.decode()
    signed_in.post(f"/tuning/drafts/{draft.pk}/base-model/", {"source": "base", "base_model": job.base_model})
    anew = signed_in.get(page).content.decode()
    assert ["to tell them apart" in content for content in (again, anew)] == [False, True]
    assert draft.data["deployment"]["endpoint_display_name"] == "Bridge"


def test_a_note_about_what_is_continued_goes_when_something_else_is_chosen(signed_in, local):
    factories.publisher_model()
    job = factories.job(state="SUCCEEDED", display_name="Captain")
    signed_in.post(f"/tuning/jobs/{job.pk}/continue/")
    draft = TuningDraft.objects.get()
    signed_in.post(f"/tuning/drafts/{draft.pk}/base-model/", {"source": "base", "base_model": job.base_model})
    content = signed_in.get(f"/tuning/drafts/{draft.pk}/name/").content.decode()
    assert ("Continues from" in content, "Uses the settings of Captain" in content) == (False, True)


def test_what_cannot_be_continued_makes_no_draft(signed_in, local):
    job = factories.job(state="CANCELLED", phase="CLOSED", started_at=timezone.now())
    response = signed_in.post(f"/tuning/jobs/{job.pk}/continue/")
    assert (response.status_code, "nothing to resume from" in response.content.decode()) == (409, True)
    assert TuningDraft.objects.count() == 0


def test_a_proposed_folder_follows_the_name(signed_in):
    factories.publisher_model()
    job = factories.job(display_name="Captain")
    signed_in.post(f"/tuning/jobs/{job.pk}/clone/")
    draft = TuningDraft.objects.get()
    signed_in.post(f"/tuning/drafts/{draft.pk}/name/", {"display_name": "Bosun"})
    draft.refresh_from_db()
    assert draft.data["output"]["output_uri"] == f"gs://garden-local/tuning/bosun-{draft.pk.hex[:6]}"
    signed_in.post(f"/tuning/drafts/{draft.pk}/output/", {"output_uri": "gs://garden-local/mine"})
    signed_in.post(f"/tuning/drafts/{draft.pk}/name/", {"display_name": "Cook"})
    draft.refresh_from_db()
    assert draft.data["output"]["output_uri"] == "gs://garden-local/mine"


def test_a_job_that_succeeded_has_nothing_to_explain(signed_in):
    job = factories.job(state="SUCCEEDED")
    place = signed_in.post(f"/tuning/jobs/{job.pk}/retry/")["Location"]
    assert "Uses the settings of My model" in signed_in.get(place).content.decode()


def test_the_job_behind_a_draft_may_be_gone(signed_in):
    job = factories.job(state="FAILED")
    place = signed_in.post(f"/tuning/jobs/{job.pk}/retry/")["Location"]
    job.delete()
    assert signed_in.get(place).status_code == 200
