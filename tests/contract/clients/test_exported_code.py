"""The code that the console shows for a job makes the job that the console itself makes."""

import re
import warnings

import httpx
import pytest
from django.test import override_settings
from google.cloud.aiplatform_v1beta1 import JobServiceClient
from google.cloud.aiplatform_v1beta1.types import CustomJob, TuningJob

from jobs.services.tuning import code
from jobs.services.tuning.steps import JobCreation
from jobs.vertex.sdk import Gateway
from tests.jobs.localvertex.servers import BUCKET, TINY
from tests.support import factories

pytestmark = pytest.mark.django_db
HOSTILE = "Quote ' \" \\ {x} $(y) `z` %s é선😀"


@pytest.fixture
def job(request, server, final):
    row = factories.job(
        base_model=TINY, display_name=HOSTILE, description=f"{HOSTILE}\nEND_OF_JOB\n", output_uri=f"gs://{BUCKET}/shown",
        learning_rate=0.00002, adapter_size=8, location="us-central1",
    )  # fmt: skip
    if request.param == "everything":
        row.labels, row.custom_base_model = {"team": "support", "x": ""}, final
        row.batch_size, row.export_last_checkpoint_only, row.location = 2, True, "europe-west4"
        row.validation_dataset = factories.dataset(name="Validation")
    with override_settings(VERTEX_API_ENDPOINT=server.url, VERTEX_PROJECT="p1", VERTEX_BUCKET=f"gs://{BUCKET}"):
        yield row


def made(server, name):
    """The job as the server keeps it, but for what differs from one job to the next."""
    found = TuningJob.to_dict(server.tuning.get_tuning_job(name=name))
    passing = ("name", "state", "create_time", "update_time", "start_time", "end_time", "experiment", "error")
    assert "/locations/" in found["name"]
    place = found["name"].partition("/tuningJobs/")[0]
    labels = {key: value for key, value in found["labels"].items() if not key.startswith("app-")}
    return {key: value for key, value in found.items() if key not in passing} | {"labels": labels, "place": place}


def by_the_console(job):
    return Gateway().tuning.create(JobCreation(job)._spec()).name


def by_python(job):
    names: dict[str, object] = {"print": lambda text: None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code.python(job), "<shown>", "exec"), names)  # noqa: S102  the code under test
    return names["job"].name  # type: ignore[attr-defined]


def by_curl(job):
    text = code.curl(job)
    url = re.search(r'curl -X POST "([^"]+)"', text)[1]
    body = text.partition("<<'END_OF_JOB'\n")[2].rpartition("\nEND_OF_JOB")[0]
    reply = httpx.post(url, content=body.encode(), headers={"Content-Type": "application/json"}, trust_env=False)
    return reply.raise_for_status().json()["name"]


@pytest.mark.parametrize("job", ["plain", "everything"], indirect=True)
@pytest.mark.parametrize("way", [by_python, by_curl])
def test_the_code_makes_the_same_job(server, job, way):
    assert made(server, way(job)) == made(server, by_the_console(job))


@pytest.mark.parametrize("job", ["plain"], indirect=True)
def test_the_learning_rate_is_a_plain_decimal(job):
    assert '"learningRate": 0.00002' in code.curl(job)
    assert "learning_rate=0.00002," in code.python(job)


@pytest.mark.parametrize("job", ["plain"], indirect=True)
def test_on_google_the_code_signs_in(job):
    with override_settings(VERTEX_API_ENDPOINT=""):
        assert "https://us-central1-aiplatform.googleapis.com/v1beta1/" in code.curl(job)
        assert "gcloud auth print-access-token" in code.curl(job)
        assert "credentials" not in code.python(job)
        job.location = "global"
        assert "https://aiplatform.googleapis.com/v1beta1/" in code.curl(job)


@pytest.fixture
def container(server):
    row = factories.job(
        base_model=TINY, display_name=HOSTILE, output_uri=f"gs://{BUCKET}/container", learning_rate=0.00002,
        adapter_size=8, location="us-central1", labels={"team": "support"}, training_machine="g2-standard-8",
        trainer_image="us-central1-docker.pkg.dev/p/garden/garden-trainer:1",
    )  # fmt: skip
    ours = {"VERTEX_TRAINER_SECRET": "projects/p/secrets/s/versions/1", "VERTEX_TRAINER_ACCOUNT": "t@p.example.com"}
    with override_settings(VERTEX_API_ENDPOINT=server.url, VERTEX_PROJECT="p1", VERTEX_BUCKET=f"gs://{BUCKET}", **ours):
        yield row


def container_made(server, name):
    client = server.client(JobServiceClient)
    found = CustomJob.to_dict(client.get_custom_job(name=name))
    labels = {key: value for key, value in found["labels"].items() if not key.startswith("app-")}
    return found["display_name"], labels, found["job_spec"], name.partition("/customJobs/")[0]


def container_by_python(job):
    names: dict[str, object] = {"print": lambda text: None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(code.python(job), "<shown>", "exec"), names)  # noqa: S102  the code under test
    return names["job"].resource_name  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", [container_by_python, by_curl])
def test_the_code_of_a_container_makes_the_same_job(server, container, way):
    by_the_console = JobCreation(container).prepare()()["resource_name"]
    assert container_made(server, way(container)) == container_made(server, by_the_console)
