import pytest

from jobs.services.inventory import ownership
from jobs.vertex.found import CUSTOM_JOB, ENDPOINT, MODEL, TUNING_JOB, Found
from tests.fakes import PARENT
from tests.support import factories

pytestmark = pytest.mark.django_db


def left(kind, *names, **labels):
    found = [Found(name, "", labels, None) for name in names]
    return [ownership.key_of(one.name) for one in ownership.without_own(kind, found)]


def test_the_project_may_come_as_a_number_and_a_model_with_its_version():
    names = ("projects/p/locations/l/models/7@2", "projects/4711/locations/l/models/7", "7")
    assert [ownership.key_of(name) for name in names] == ["7"] * 3


def test_endpoints_and_models_are_known_by_the_ids_that_were_chosen():
    factories.ready_endpoint(endpoint_user_id="mine", model_user_id="my-model")
    factories.endpoint(endpoint_user_id="coming")
    assert left(ENDPOINT, *(f"projects/4711/locations/l/endpoints/{key}" for key in ("mine", "coming", "x"))) == ["x"]
    assert left(MODEL, f"{PARENT}/models/my-model", f"{PARENT}/models/other") == ["other"]


def test_what_was_attached_was_not_made_here():
    factories.ready_endpoint(endpoint_user_id="theirs", model_user_id="their-model", made_here=False)
    factories.deployed_model(endpoint=factories.ready_endpoint(), model_user_id="their-model", made_here=False)
    assert left(ENDPOINT, f"{PARENT}/endpoints/theirs") == ["theirs"]
    assert left(MODEL, f"{PARENT}/models/their-model") == ["their-model"]


def test_a_tuned_model_of_a_job_of_this_console():
    factories.job(tuned_model=f"{PARENT}/models/tuned@3")
    assert left(MODEL, f"{PARENT}/models/tuned") == []


@pytest.mark.parametrize("kind", [TUNING_JOB, CUSTOM_JOB])
def test_jobs_are_known_by_their_names(kind):
    factories.job(resource_name="projects/p/locations/global/jobs/1")
    assert left(kind, f"{PARENT}/jobs/1", f"{PARENT}/jobs/2") == ["2"]


def test_a_label_counts_while_its_row_waits_for_a_name():
    """A second job with the key of one that is known costs money that nobody watches."""
    job = factories.job(phase="SUBMITTING")
    assert left(TUNING_JOB, f"{PARENT}/tuningJobs/1", **{"app-key": str(job.pk)}) == []
    type(job).objects.update(resource_name=f"{PARENT}/tuningJobs/1")
    second = f"{PARENT}/tuningJobs/2"
    assert left(TUNING_JOB, f"{PARENT}/tuningJobs/1", second, **{"app-key": str(job.pk)}) == ["2"]
    assert left(TUNING_JOB, second, **{"app-key": "no key"}) == ["2"]
