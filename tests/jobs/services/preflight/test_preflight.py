"""What is asked before money is spent, what each answer means, and what it blocks."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from jobs import shortages
from jobs.errors import NotAllowedNow
from jobs.models import Preflight
from jobs.services.preflight import preflight, subjects
from jobs.services.preflight.checks import AGENTS
from jobs.services.preflight.lines import Subject
from jobs.services.tuning import jobs
from jobs.vertex.errors import NotAuthorised
from tests.support import factories
from tests.support.factories import NOW

pytestmark = pytest.mark.django_db
BUCKET = "gs://garden-local"
TUNING = Subject(location="us-central1", bucket=BUCKET, base_model=factories.BASE_MODEL)
SERVING = Subject(
    serving_location="us-central1", base_model=factories.BASE_MODEL, machine_type="g2-standard-24",
    accelerator_type="NVIDIA_L4", accelerators=2,
)  # fmt: skip
L4_MACHINE = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "title": ""}
L4 = ("CustomModelServingL4GPUsPerProjectPerRegion", "us-central1")
TUNING_QUOTA = ("GlobalConcurrentManagedOssModelTuningJobs", "us-central1")
GRANTED = [f"serviceAccount:service-42@{agent}.iam.gserviceaccount.com" for agent in AGENTS]


@pytest.fixture(autouse=True)
def _on_google(settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_BUCKET = "", BUCKET
    settings.VERTEX_PROJECT, settings.VERTEX_LOCATION = "garden-local", "us-central1"


@pytest.fixture
def google(fake_gateway):
    """A project in which nothing is missing."""
    fake_gateway.project.quotas = {L4: 8, TUNING_QUOTA: 1}
    fake_gateway.storage.members = {"roles/storage.objectUser": GRANTED}
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return fake_gateway


def checked(subject):
    assert preflight.ask(subject, NOW)
    preflight.run(subject.key, NOW)
    return {line.check.value: line for line in preflight.find(subject, NOW).lines}


def verdicts(subject):
    return {check: line.verdict.value for check, line in checked(subject).items()}


PASSED = dict.fromkeys(
    ("credentials", "api", "billing", "rights", "bucket", "bucket_region", "agents", "terms", "tuning_quota"), "passed"
)


def test_a_project_in_which_nothing_is_missing(google):
    assert verdicts(TUNING) == PASSED
    assert verdicts(SERVING) == {
        **{name: "passed" for name in ("credentials", "api", "billing", "rights", "terms", "serving_quota")},
        "capacity": "unknown",
    }
    assert google.creates() == []


def no_billing(google):
    google.project.billing = False


def no_right(google):
    google.project.missing = {"aiplatform.tuningJobs.create"}


def no_bucket(google):
    google.storage.buckets.clear()


def bucket_elsewhere(google):
    google.storage.locations = {"garden-local": "europe-west4"}


def one_agent_without_role(google):
    google.storage.members = {"roles/storage.objectUser": GRANTED[:1], "roles/storage.objectViewer": GRANTED[1:]}


def busy(google):
    google.tuning.start(google.tuning.add({}, display_name="Other").name)


def quota_unreadable(google):
    google.fail("project.quota", NotAuthorised("No.", "PERMISSION_DENIED"))


def no_terms(google):
    google.catalogue.acknowledged.clear()
    factories.publisher_model(licence_acknowledged=False)


def api_off(google):
    google.fail("connection.look", NotAuthorised("The API isn't enabled. Run: gcloud services enable x", "FORBIDDEN"))


AGENT_COMMAND = (
    f"gcloud storage buckets add-iam-policy-binding {BUCKET} --member={GRANTED[1]} --role=roles/storage.objectUser"
)
USER_COMMAND = (
    "gcloud projects add-iam-policy-binding garden-local --member=user:YOUR_ACCOUNT --role=roles/aiplatform.user"
)


@pytest.mark.parametrize(
    ("break_it", "check", "verdict", "commands"),
    [
        (no_billing, "billing", "failed",
         ("gcloud billing projects link garden-local --billing-account=BILLING_ACCOUNT",)),
        (no_right, "rights", "failed", (USER_COMMAND,)),
        (no_bucket, "bucket", "failed",
         (f"gcloud storage buckets create {BUCKET} --project=garden-local --location=us-central1"
          " --uniform-bucket-level-access",)),
        (bucket_elsewhere, "bucket_region", "warning",
         (f"gcloud storage buckets create {BUCKET}-us-central1 --project=garden-local --location=us-central1"
          " --uniform-bucket-level-access",)),
        (one_agent_without_role, "agents", "warning", (AGENT_COMMAND,)),
        (busy, "tuning_quota", "warning", ()),
        (quota_unreadable, "tuning_quota", "unknown", ()),
        (no_terms, "terms", "warning", ()),
        (api_off, "api", "failed", ()),
    ],
)  # fmt: skip
def test_each_thing_that_can_be_missing(google, break_it, check, verdict, commands):
    break_it(google)
    found = checked(TUNING)
    others = {name: line.verdict.value for name, line in found.items() if name != check}
    told = found[check]
    assert (told.verdict.value, told.commands, bool(told.text)) == (verdict, commands, True)
    if break_it is no_bucket:
        others = {name: value for name, value in others.items() if name not in ("bucket_region", "agents")}
    assert set(others.values()) == {"passed"}


@pytest.mark.parametrize(("limit", "verdict"), [(8, "passed"), (-1, "passed"), (1, "failed"), (None, "unknown")])
def test_accelerators_are_counted_against_the_quota_of_their_region(google, limit, verdict):
    google.project.quotas = {} if limit is None else {L4: limit, (L4[0], "europe-west4"): 99}
    line = checked(SERVING)["serving_quota"]
    command = (
        "gcloud beta quotas preferences create --service=aiplatform.googleapis.com --project=garden-local"
        f" --quota-id={L4[0]} --preferred-value=2 --dimensions=region=us-central1"
    )
    assert (line.verdict.value, line.commands) == (verdict, (command,) if verdict == "failed" else ())


@pytest.mark.parametrize(
    ("region", "location", "verdict"),
    [("us-central1", "us", "passed"), ("europe-west4", "eu", "passed"), ("us-central1", "eu", "warning"),
     ("global", "eu", "passed"), ("us-central1", "us-central1", "passed"), ("us-central1", "us-east5", "warning")],
)  # fmt: skip
def test_where_a_bucket_may_be(google, region, location, verdict):
    google.storage.locations = {"garden-local": location}
    assert checked(replace(TUNING, location=region))["bucket_region"].verdict.value == verdict


def test_without_credentials_nothing_else_is_asked(google):
    google.fail("connection.credentials", NotAuthorised("No credentials were found.", "UNAUTHENTICATED"))
    assert verdicts(TUNING) == {"credentials": "failed"}
    assert google.calls == ["connection.credentials"]


def test_what_failed_a_moment_ago_blocks_the_start_and_no_longer(google):
    no_billing(google)
    checked(TUNING)
    row = Preflight.objects.get()
    reason = "Something is missing on Google Cloud: The project has no billing account that is open."
    later = [row.checked_at + timedelta(seconds=seconds) for seconds in (60, 119, 121)]
    assert [preflight.why_not_spend(TUNING, now) for now in later] == [reason, reason, ""]


def test_a_warning_and_what_is_unknown_block_nothing(google):
    quota_unreadable(google)
    one_agent_without_role(google)
    checked(TUNING)
    assert preflight.why_not_spend(TUNING, Preflight.objects.get().checked_at) == ""


def test_a_local_run_asks_and_blocks_nothing(google, settings):
    no_billing(google)
    checked(TUNING)
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    assert (preflight.applies(), preflight.why_not_spend(TUNING, NOW)) == (False, "")


def test_what_another_version_has_looked_at_is_left_out(google):
    checked(TUNING)
    row = Preflight.objects.get()
    row.lines = [{**row.lines[0], "check": "moon"}, {**row.lines[1], "verdict": "maybe"}, *row.lines[2:]]
    row.save()
    assert [line.check.value for line in preflight.find(TUNING, NOW).lines] == [*PASSED][2:]


def test_nothing_is_asked_while_nothing_can_be_written(google, settings):
    settings.DISK_LEAST_BYTES = 2**62
    shortages.seen.forget()
    assert (preflight.ask(TUNING, NOW), Preflight.objects.count()) == (False, 0)


def test_one_question_at_a_time(google):
    asked = [preflight.ask(TUNING, NOW + timedelta(seconds=later)) for later in (0, 30, 61)]
    assert asked == [True, False, True]
    found = preflight.find(TUNING, NOW + timedelta(seconds=200))
    assert (found.is_late, found.is_asked, found.lines) == (True, False, ())


def test_the_start_of_a_job_is_refused_with_the_reason(google):
    factories.publisher_model()
    spec = factories.tuning_spec()
    no_right(google)
    checked(jobs.subject_of(spec))
    with pytest.raises(NotAllowedNow, match=r"lacks aiplatform\.tuningJobs\.create"):
        jobs.create(spec.dataset.owner, key=uuid4(), spec=spec)


def test_subjects_name_what_is_paid_for():
    factories.publisher_model(data={"machine_specs": [L4_MACHINE]})
    assert subjects.of_training("a/b@c", f"{BUCKET}/out/put") == Subject("us-central1", "", BUCKET, "a/b@c")
    found = subjects.of_deployment(factories.BASE_MODEL, "g2-standard-12", 3)
    assert (found.serving_location, found.accelerator_type, found.accelerators) == ("us-central1", "NVIDIA_L4", 3)
    assert subjects.of_project() == Subject("us-central1", "us-central1", BUCKET)


def test_the_buckets_of_both_datasets_are_looked_at_beside_that_of_the_output(settings):
    settings.VERTEX_BUCKET = "gs://staging"
    there = "gs://data/rows.jsonl"
    spec = factories.tuning_spec(
        dataset=factories.dataset(source_uri=there, uploaded_uri=there), validation_dataset=factories.dataset()
    )
    assert (jobs.subject_of(spec).bucket, jobs.subject_of(spec).data_buckets) == (BUCKET, ("gs://data", "gs://staging"))
    settings.VERTEX_BUCKET = BUCKET
    assert jobs.subject_of(replace(spec, dataset=factories.dataset())).data_buckets == ()


FAR = ("gs://data", "gs://eu-data")


@pytest.mark.parametrize(
    ("locations", "region", "verdict", "text"),
    [
        ({"data": "us", "eu-data": "us-central1"}, "us-central1", "passed",
         "gs://data (us), gs://eu-data (us-central1)"),
        ({"eu-data": "europe-west4"}, "us-central1", "warning",
         "The job is in us-central1, and reads from gs://eu-data (europe-west4). Copy the data to a bucket there, or "
         "choose a region to match."),
        ({"eu-data": "europe-west4"}, "global", "passed", "gs://data (us-central1), gs://eu-data (europe-west4)"),
    ],
)  # fmt: skip
def test_datasets_in_another_region_than_the_job_are_told(google, locations, region, verdict, text):
    google.storage.buckets |= {"data", "eu-data"}
    google.storage.locations = locations
    line = checked(replace(TUNING, location=region, data_buckets=FAR))["data_region"]
    create = f"gcloud storage buckets create {FAR[1]}-us-central1 --project=garden-local --location=us-central1"
    commands = (f"{create} --uniform-bucket-level-access",) if verdict == "warning" else ()
    assert (line.verdict.value, line.text, line.commands) == (verdict, text, commands)


def test_a_bucket_of_data_that_is_not_there_is_unknown(google):
    line = checked(replace(TUNING, data_buckets=FAR))["data_region"]
    assert (line.verdict.value, line.text) == ("unknown", "The bucket gs://data has to exist first.")


def test_subjects_are_of_the_region_that_was_chosen():
    factories.publisher_model(data={"machine_specs": [L4_MACHINE]})
    assert subjects.of_deployment(factories.BASE_MODEL, "g2-standard-12", 1, "us-west1").serving_location == "us-west1"
    for chosen, serving in (("europe-west4", "europe-west4"), ("global", "us-central1")):
        found = jobs.subject_of(factories.tuning_spec(auto_deploy=True, location=chosen))
        assert (found.location, found.serving_location) == (chosen, serving)


def test_jobs_that_run_elsewhere_do_not_count(google):
    google.tuning.add({}, location="europe-west4")
    assert (google.tuning.count_running("us-west1"), google.tuning.count_running("europe-west4")) == (0, 1)


TRAINING = subjects.of_training("google/gemma3@gemma-3-1b-it", f"{BUCKET}/out", "us-central1", "g2-standard-8")
L4_TRAINING = ("CustomModelTrainingL4GPUsPerProjectPerRegion", "us-central1")
CUSTOM_CODE = "service-42@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"


def test_a_container_needs_the_quota_of_its_gpu_and_not_that_of_managed_tuning(google):
    google.project.quotas = {L4_TRAINING: 0}
    found = checked(TRAINING)
    assert "tuning_quota" not in found
    line = found["training_quota"]
    assert (line.verdict.value, line.text) == (
        "failed",
        "Accelerators needed: 1. The quota CustomModelTrainingL4GPUsPerProjectPerRegion in us-central1 is 0.",
    )
    assert "--quota-id=CustomModelTrainingL4GPUsPerProjectPerRegion --preferred-value=1" in line.commands[0]


@pytest.mark.parametrize(("limit", "verdict"), [(1, "passed"), (-1, "passed"), (None, "unknown")])
def test_a_quota_that_is_enough_or_not_told(google, limit, verdict):
    google.project.quotas = {} if limit is None else {L4_TRAINING: limit}
    assert verdicts(TRAINING)["training_quota"] == verdict


def test_the_account_of_the_container_writes_to_the_bucket(google, settings):
    line = checked(TRAINING)["agents"]
    assert (line.verdict.value, len(line.commands), CUSTOM_CODE in line.commands[0]) == ("warning", 1, True)
    settings.VERTEX_TRAINER_ACCOUNT = "trainer@garden-local.iam.gserviceaccount.com"
    other = replace(TRAINING, base_model="")
    line = checked(other)["agents"]
    assert (len(line.commands), settings.VERTEX_TRAINER_ACCOUNT in line.commands[0]) == (1, True)


def test_a_container_needs_rights_of_its_own(google):
    google.project.missing = ["aiplatform.customJobs.create", "aiplatform.tuningJobs.create"]
    line = checked(TRAINING)["rights"]
    assert line.text == "The console's account lacks aiplatform.customJobs.create."
