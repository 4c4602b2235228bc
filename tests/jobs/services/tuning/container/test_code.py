import json

import pytest

from jobs.services.tuning import code
from tests.support import factories

pytestmark = pytest.mark.django_db
IMAGE = "us-central1-docker.pkg.dev/p/garden/garden-trainer:1"


@pytest.fixture
def job(settings):
    settings.VERTEX_TRAINER_IMAGE = "other/image:2"
    values = {"base_model": "google/gemma3@gemma-3-1b-it", "labels": {"team": "x"}, "trainer_image": IMAGE}
    return factories.job(training_machine="g2-standard-8", quantization="4bit", **values)


def test_the_body_is_a_custom_job_of_the_image_that_trained(job):
    body = json.loads(code.body_json(job))
    pool = body["jobSpec"]["workerPoolSpecs"][0]
    assert (body["displayName"], body["labels"]) == ("My model", {"team": "x"})
    assert pool["machineSpec"] == {
        "machineType": "g2-standard-8", "acceleratorType": "NVIDIA_L4", "acceleratorCount": 1,
    }  # fmt: skip
    assert pool["containerSpec"]["imageUri"] == IMAGE
    assert "--precision_mode=4bit" in pool["containerSpec"]["args"]


def test_curl_goes_to_the_custom_jobs(job):
    assert '/locations/us-central1/customJobs" \\' in code.curl(job).splitlines()[0]


def test_python_is_python(job):
    text = code.python(job)
    compile(text, "job.py", "exec")
    assert "job.submit(restart_job_on_worker_restart=True)" in text
