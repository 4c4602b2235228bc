"""What the button of a fix does and what it never does: nothing twice, nothing that the policy refuses."""

from decimal import Decimal

import pytest
from django.urls import reverse

from jobs import errors
from jobs.models import TuningJob, Visibility
from jobs.services.costs import estimates, spending
from jobs.services.diagnosis import job_fixes, policies
from jobs.services.diagnosis.of_job import diagnose
from jobs.services.tuning import jobs
from tests.support import factories

pytestmark = pytest.mark.django_db
PRICED = "google/gemma3@gemma-3-1b-it"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"
CHECKPOINTS = [{"checkpoint_id": "1", "epoch": 1, "step": 10}, {"checkpoint_id": "2", "epoch": 2, "step": 20}]


@pytest.fixture(autouse=True)
def _model(db):
    factories.publisher_model()


def failed(message="CUDA out of memory.", code="INTERNAL", **values):
    ended = {"state": "FAILED", "phase": "CLOSED", "started_at": factories.NOW, "resource_name": "x", "batch_size": 8}
    return factories.job(**ended | {"error_code": code, "error_message": message, "tuning_mode": "FULL"} | values)


def post(client, job, fix):
    client.force_login(job.owner)
    return client.post(reverse("tuning-fix", args=[job.pk]), {"fix": fix})


@pytest.mark.parametrize(
    ("values", "fix", "reason"),
    [
        ({}, "leave_out", "This is not offered for the job any more. Reload the page."),
        ({}, "drop table", "This is not offered for the job any more. Reload the page."),
        ({"state": "SUCCEEDED"}, "halve_batch", "This is not offered for the job any more. Reload the page."),
        ({"batch_size": 1}, "halve_batch", "The batch size is 1 already. Use shorter rows or a smaller base model."),
        (
            {"message": "The training data is no JSONL.", "code": "INVALID_ARGUMENT"}, "leave_out",
            "The reason names no line. Open the dataset to look for what is wrong with it.",
        ),
        (
            {"message": f"Lines {', '.join(map(str, range(1, 13)))} are bad.", "code": "INVALID_ARGUMENT"}, "leave_out",
            "Every row is at fault. Correct the rows in the file. Upload the file again.",
        ),
    ],
)  # fmt: skip
def test_what_is_not_possible_is_refused_with_the_sentence_of_its_button(client, values, fix, reason):
    job = failed(**values)
    assert policies.why_not_mend(job, diagnose(job), fix, None) == reason
    with pytest.raises(errors.NotAllowedNow) as refused:
        job_fixes.mend(job, fix)
    assert str(refused.value) == reason
    assert (post(client, job, fix).status_code, TuningJob.objects.count()) == (409, 1)
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    assert f'name="fix" value="{fix}"' not in page


def test_one_job_at_a_time_goes_on_in_place_of_another(client):
    job = failed(checkpoints=CHECKPOINTS)
    made = job_fixes.mend(job, "halve_batch")
    assert job_fixes.mend(job, "halve_batch") == made
    with pytest.raises(errors.NotAllowedNow, match="was already started in place of this one"):
        job_fixes.mend(job, "go_on")
    client.force_login(job.owner)
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    assert ("Started in place of this job" in page, 'name="fix"' in page) == (True, False)
    TuningJob.objects.filter(pk=made.pk).update(state="FAILED", phase="CLOSED", next_check_at=None)
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    assert ('name="fix" value="halve_batch"' in page, 'name="fix" value="go_on"' in page) == (False, True)
    assert job_fixes.mend(job, "go_on").pk not in (job.pk, made.pk)


def test_both_jobs_tell_of_each_other():
    job = failed()
    made = job_fixes.mend(job, "halve_batch")
    assert [event.message for event in job.events.all()] == ["You started My model (2) in place of this job."]
    assert made.events.last().message == "It was started in place of My model."


def test_a_job_that_still_runs_is_cancelled_when_another_takes_its_place(fake_gateway):
    job = factories.job(
        state="RUNNING", phase="BOUND", resource_name="x", step=12, last_step_at=factories.NOW, train_loss=None,
        tuning_mode="FULL", loss_curve=[4.0, 2.0],
    )  # fmt: skip
    made = job_fixes.mend(job, "lower_rate")
    assert (job.state, made.learning_rate, made.state) == ("CANCELLING", job.learning_rate / 10, "QUEUED")


def test_a_fix_that_costs_more_than_may_be_spent_starts_nothing(client):
    spending.set_limits(person_usd=Decimal("0"), console_usd=None, allows_unknown=False)
    factories.publisher_model(name=PRICED)
    job = failed(base_model=PRICED, dataset=factories.dataset(token_estimate=2 * 10**7))
    client.force_login(job.owner)
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    assert "You have used $0.00 of your daily limit of $0.00." in page
    assert 'name="fix"' not in page
    with pytest.raises(errors.SpendingLimitReached):
        job_fixes.mend(job, "halve_batch")
    assert TuningJob.objects.count() == 1


def test_the_button_says_what_the_training_costs(client, settings):
    factories.publisher_model(name=PRICED)
    data = factories.dataset(token_estimate=2 * 10**6)
    job = failed(base_model=PRICED, dataset=data, auto_deploy=True, machine_type="g2-standard-12")
    client.force_login(job.owner)
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    usd = estimates.of_data(data, job.epochs, PRICED, "FULL").cost_usd
    assert usd > 1
    assert f"The training costs about ${usd}." in page
    assert "Afterwards the model is deployed on g2-standard-12 for $1.15 per hour." in page
    TuningJob.objects.update(location="europe-west4")
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    assert "Afterwards the model is deployed; the price per hour is unknown." in page
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    assert ("It runs on this computer and costs nothing." in page, "costs about $" in page) == (True, False)


@pytest.mark.threat("T3")
def test_a_hostile_reason_is_text_and_has_an_end(client):
    reason = f"{MARKUP} Run: gcloud x {MARKUP} (no) Lines 3 " + "x" * 5000
    job = failed(message=reason, code="PERMISSION_DENIED", log_text=f"{MARKUP} permission\n" * 5)
    client.force_login(job.owner)
    page = client.get(reverse("tuning-job", args=[job.pk])).content.decode()
    assert ("<script>alert" in page, "<img src=x" in page, "&lt;script&gt;alert(1)" in page) == (False, False, True)
    assert "x" * 2001 not in page


def test_in_korean_the_cause_is_the_same(client):
    job = failed()
    client.force_login(job.owner)
    page = client.get(reverse("tuning-job", args=[job.pk]), headers={"Accept-Language": "ko"}).content.decode()
    assert 'name="fix" value="halve_batch"' in page


def test_a_job_that_was_given_up_unconfirmed_may_still_run_and_is_not_started_again_by_a_button(fake_gateway):
    job = factories.job(phase="NEEDS_DECISION")
    jobs.decide(job, again=False)
    assert diagnose(job).fixes == ()
    with pytest.raises(errors.NotAllowedNow):
        job_fixes.mend(job, "go_on")


def test_what_a_fix_started_and_was_deleted_can_be_started_anew():
    job = failed()
    first = job_fixes.mend(job, "go_on")
    TuningJob.objects.filter(pk=first.pk).update(state="FAILED", phase="CLOSED", visibility=Visibility.DELETED)
    again = job_fixes.mend(job, "go_on")
    assert (again.pk != first.pk, job_fixes.mend(job, "go_on"), again.visibility) == (True, again, Visibility.LISTED)


ELSEWHERE = (
    "The Cloud Storage bucket of `gs://b/out` is in location `{}`. It must be in the same regional location as the"
    " service location `us-central1`."
)


@pytest.mark.parametrize(
    ("place", "fixes"),
    [("europe-west4", ("region_of_bucket", "go_on")), ("europe-west9", ("go_on",)), ("x`", ("go_on",))],
)
def test_a_job_is_led_to_the_region_of_its_bucket_where_models_are_tuned_there(settings, place, fixes):
    settings.VERTEX_API_ENDPOINT = ""
    job = failed(ELSEWHERE.format(place), "FAILED_PRECONDITION")
    found = diagnose(job)
    assert (found.cause, found.fixes) == ("region", fixes)
    if "region_of_bucket" in fixes:
        assert job_fixes.plan(job, found, "region_of_bucket").changes == {"location": place}


@pytest.mark.parametrize(
    ("location", "other"),
    [("us-central1", "us-west1"), ("europe-west4", "us-central1"), ("asia-southeast1", "asia-southeast2")],
)
def test_another_region_is_one_near_the_bucket(settings, location, other):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_LOCATION = "", "us-central1"
    job = failed("Machine type temporarily unavailable.", "UNAVAILABLE", location=location)
    assert job_fixes.plan(job, diagnose(job), "other_region").changes == {"location": other}


def test_what_would_be_refused_for_terms_accepts_them_or_is_dead(settings):
    settings.VERTEX_API_ENDPOINT = ""
    factories.publisher_model(name=PRICED, licence_acknowledged=False)
    job = failed("Machine type temporarily unavailable.", "UNAVAILABLE", base_model=PRICED)
    found = diagnose(job)
    assert found.fixes == ("other_region", "accept_terms")
    assert str(policies.why_not_mend(job, found, "other_region", None)).startswith(
        "Accept the terms of the model first"
    )
    assert policies.why_not_mend(job, found, "accept_terms", None) == ""
    assert job_fixes.mend(job, "accept_terms").accepts_licence
