from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import AuditEntry, SharedFolder, TuningJob, Visibility
from jobs.services.datasets import datasets
from jobs.services.storage import output_files
from jobs.services.tuned_models import continuation
from jobs.services.tuning import jobs, removal
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(fake_gateway):
    return Driver()


def ended(**values):
    return factories.job(**{"state": "SUCCEEDED", "phase": "CLOSED", "next_check_at": None, **values})


def actions():
    return list(AuditEntry.objects.order_by("number").values_list("action", flat=True))


def test_an_archived_job_keeps_everything_and_comes_back(owner):
    job = ended()
    removal.archive(job)
    assert (job.visibility, TuningJob.objects.visible_to(owner).listed().count()) == (Visibility.ARCHIVED, 0)
    assert TuningJob.objects.visible_to(owner).get() == job
    assert continuation.starts(owner) == []
    removal.restore(job)
    assert TuningJob.objects.visible_to(owner).listed().get() == job
    assert actions() == ["tuning_job.archive", "tuning_job.restore"]


@pytest.mark.parametrize("do", [removal.archive, removal.delete])
@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "CANCELLING"])
def test_what_has_not_ended_stays(do, state):
    job = factories.job(state=state)
    with pytest.raises(errors.NotAllowedNow):
        do(job)
    assert TuningJob.objects.get().visibility == Visibility.LISTED


def test_what_is_not_archived_is_not_brought_back():
    with pytest.raises(errors.NotAllowedNow):
        removal.restore(ended())


def test_what_guards_against_a_second_job_stays_when_it_is_deleted(owner):
    key, spec = uuid4(), factories.tuning_spec()
    job = jobs.create(owner, key=key, spec=spec)
    TuningJob.objects.update(state="SUCCEEDED", phase="CLOSED", resource_name="projects/p/x")
    before = TuningJob.objects.values("request_hash", "output_uri", "resource_name", "attempt").get()
    removal.delete(job)
    assert TuningJob.objects.visible_to(owner).count() == 0
    assert TuningJob.objects.values("request_hash", "output_uri", "resource_name", "attempt").get() == before
    assert jobs.create(owner, key=key, spec=spec).pk == job.pk
    with pytest.raises(errors.InvalidValues, match="Another tuning job already writes to this folder"):
        jobs.create(owner, key=uuid4(), spec=factories.tuning_spec(output_uri=job.output_uri))


def test_a_deleted_job_holds_no_dataset_and_no_log():
    job = ended(log_text="loss", description="mine")
    data = job.dataset
    removal.delete(job)
    datasets.delete(data)
    assert (job.dataset, job.log_text, job.description, job.next_check_at) == (None, "", "", None)


@pytest.mark.parametrize("is_own", [True, False])
def test_what_uses_it_is_named_and_keeps_it(owner, stranger, is_own):
    job = ended()
    who = owner if is_own else stranger
    folder = f"{job.output_uri}/postprocess/node-0/checkpoints/final"
    factories.ready_endpoint(owner=who, display_name="Captain", artifact_uri=folder)
    factories.job(owner=who, display_name="Next", custom_base_model=folder, state="RUNNING", output_uri="gs://bucket/n")
    reason = removal.why_not_delete(job)
    names = "the endpoint Captain, the job Next" if is_own else "somebody else"
    assert reason.startswith(f"In use by {names}. Undeploy the model from endpoints")
    with pytest.raises(errors.NotAllowedNow):
        removal.delete(job)


def test_a_folder_with_other_capitals_is_another_folder():
    """To a bucket, and not to SQLite."""
    job = ended(output_uri="gs://bucket/ahoy")
    factories.ready_endpoint(artifact_uri="gs://bucket/AHOY/final")
    factories.job(custom_base_model="gs://bucket/Ahoy/final", state="RUNNING", output_uri="gs://bucket/n")
    assert removal.uses_of(job) == removal.Uses(job.owner_id)


def test_what_used_it_is_told_apart():
    job = ended()
    gone = factories.endpoint(job=job, state="UNDEPLOYED", artifact_uri=job.output_uri)
    later = ended(custom_base_model=f"{job.output_uri}/x", output_uri="gs://bucket/later")
    uses = removal.uses_of(job)
    assert ([one.endpoint for one in uses.served], uses.trained, uses.blocking) == ([gone], [later], [])


def test_files_and_the_model_are_deleted_by_the_worker_and_nothing_beside_them(driver, fake_gateway):
    job = ended(tuned_model="projects/p/locations/l/models/7@1")
    storage = fake_gateway.storage
    inside = {f"{job.output_uri}/{name}": b"x" for name in ("logs/train.log", "a/b/c.bin", "a/d", "top")}
    beside = {f"{job.output_uri}-2/top": b"x", "gs://garden-local/datasets/1.jsonl": b"x"}
    storage.objects |= inside | beside
    removal.delete(job, files=True, model=True)
    assert (job.removes_files, job.removes_model, storage.objects) == (True, True, inside | beside)
    driver.rest(job)
    assert (job.removes_files, job.removes_model, storage.objects) == (False, False, beside)
    assert fake_gateway.calls.count("deployment.delete_model") == 1


@pytest.mark.parametrize(
    ("mine", "other", "is_deleted"),
    [("models/7@1", "models/8@1", True), ("models/7", "", True), ("models/7@2", "", False),
     ("models/7@1", "models/7@2", False), ("", "", False)],
)  # fmt: skip
def test_a_model_with_versions_of_other_jobs_stays_in_the_registry(mine, other, is_deleted):
    job = ended(tuned_model=mine)
    ended(tuned_model=other, output_uri="gs://bucket/other")
    removal.delete(job, model=True)
    assert job.removes_model is is_deleted


def test_files_of_many_are_deleted_in_steps(driver, fake_gateway):
    job = ended()
    fake_gateway.storage.objects |= {f"{job.output_uri}/{number}": b"x" for number in range(2 * removal.AT_ONCE + 1)}
    removal.delete(job, files=True)
    driver.rest(job)
    assert (job.removes_files, fake_gateway.storage.objects) == (False, {})


def test_files_that_may_not_be_written_are_not_deleted(stranger):
    job = ended(owner=stranger, output_uri="gs://garden-local/shared/one")
    folder = SharedFolder.objects.create(uri="gs://garden-local/shared", user=stranger, may_write=True)
    assert removal.why_not_delete_files(job) == ""
    folder.delete()
    assert removal.why_not_delete_files(job).startswith(
        "You don't have permission to write to gs://garden-local/shared/one."
    )
    with pytest.raises(errors.NotAllowedNow):
        removal.delete(job, files=True)
    removal.delete(job)


def test_files_of_a_folder_that_another_job_has_too_are_not_deleted():
    job = ended(output_uri="gs://bucket/one")
    ended(output_uri="gs://bucket/one/below")
    assert removal.why_not_delete_files(job).startswith("The files stay")


def test_the_worker_counts_what_lies_in_the_folder(fake_gateway):
    job = ended()
    fake_gateway.storage.objects |= {f"{job.output_uri}/a/b": b"xyz", f"{job.output_uri}/c": b"x"}
    listing, is_asked = output_files.ask(job, factories.NOW)
    assert (is_asked, listing.is_awaited) == (True, True)
    output_files.run(job.pk, factories.NOW)
    listing.refresh_from_db()
    assert (listing.files, listing.size, listing.is_awaited) == (
        [{"name": "c", "size": 1}, {"name": "a/b", "size": 3}], 4, False,
    )  # fmt: skip
    assert output_files.ask(job, factories.NOW)[1] is False


def test_a_name_with_two_slashes_is_passed_over(fake_gateway):
    job = ended()
    fake_gateway.storage.objects |= {f"{job.output_uri}//a": b"x", f"{job.output_uri}/b": b"x"}
    assert [one.name for one in output_files.walk(job.output_uri)] == ["b"]
