"""What Google's own client made is found, with what this gateway made; the fake and the local server agree."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.cloud.aiplatform_v1beta1 import types
from google.cloud.aiplatform_v1beta1.services.endpoint_service import EndpointServiceClient
from google.cloud.aiplatform_v1beta1.services.job_service import JobServiceClient
from google.cloud.aiplatform_v1beta1.services.model_service import ModelServiceClient

from jobs.vertex.found import CUSTOM_JOB, ENDPOINT, KINDS, MODEL, TUNING_JOB
from jobs.vertex.sdk import clients
from tests.fakes import LOCATION, PARENT, TINY

LIMIT = 2000
PEFT = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-peft-train:latest"


def list_found(world, kind, limit=LIMIT):
    since = datetime.now(UTC) - timedelta(days=90)
    return world.gateway.inventory.list_resources(kind, LOCATION, since, limit)


def by_name(world, kind):
    return {found.name: found for found in list_found(world, kind).resources}


def test_an_endpoint_is_listed_with_what_is_deployed_on_it(world, served):
    deployment = world.gateway.deployment
    name, model = deployment.endpoint_name(served.endpoint_user_id), deployment.model_name(served.model_user_id)
    found = by_name(world, ENDPOINT)[name]
    assert (found.display_name, len(found.models), found.dedicated_dns) == (
        "Tiny endpoint", 1, deployment.get_endpoint(name).dedicated_dns,
    )  # fmt: skip
    assert found.labels == {**found.labels, **served.labels}
    (deployed,) = found.models
    assert (deployed.model.partition("@")[0], deployed.share, deployed.machines.available) == (model, 100, 1)
    assert by_name(world, MODEL)[model].name == model


def test_a_tuning_job_is_listed_with_its_state_and_its_model(world, tuned):
    job = next(one for one in by_name(world, TUNING_JOB).values() if one.labels == tuned[0].labels)
    assert (job.state, bool(job.result)) == ("SUCCEEDED", True)


def test_a_list_is_cut_and_says_so(world, tuned):
    page = list_found(world, TUNING_JOB, 0)
    assert (page.resources, page.is_whole) == ((), False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_region_where_nothing_is(world, kind):
    since = datetime.now(UTC)
    page = world.gateway.inventory.list_resources(kind, "us-east5", since, LIMIT)
    assert (page.resources, page.is_whole) == ((), True)


def test_what_googles_sdk_makes_is_found(world, served):
    """As programs do it: an endpoint, a model of the registry, a custom job that is cancelled at once."""
    if world.servers is None:
        pytest.skip("Google's client needs a server.")
    key = uuid.uuid4().hex[:8]
    options: dict[str, Any] = {
        "client_options": ClientOptions(api_endpoint=clients.address(LOCATION)),
        "credentials": clients.credentials(),
        "transport": "rest",
    }
    endpoint = types.Endpoint(display_name=f"By hand {key}", dedicated_endpoint_enabled=True)
    EndpointServiceClient(**options).create_endpoint(parent=PARENT, endpoint=endpoint, endpoint_id=f"by-hand-{key}")
    model = types.Model(display_name=f"Mine {key}", artifact_uri=served.artifact_uri)
    model.container_spec.image_uri = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-vllm-serve"
    ModelServiceClient(**options).upload_model(request={"parent": PARENT, "model": model, "model_id": f"mine-{key}"})
    jobs = JobServiceClient(**options)
    name = jobs.create_custom_job(parent=PARENT, custom_job=custom_job(f"gs://garden-local/by-hand-{key}")).name
    jobs.cancel_custom_job(name=name)
    assert by_name(world, ENDPOINT)[f"{PARENT}/endpoints/by-hand-{key}"].models == ()
    assert by_name(world, MODEL)[f"{PARENT}/models/mine-{key}"].folder == served.artifact_uri
    found = by_name(world, CUSTOM_JOB)[name]
    assert (found.display_name, found.image, [machines.count for machines in found.machines]) == ("A script", PEFT, [1])


def custom_job(folder):
    args = [
        f"--pretrained_model_name_or_path={TINY.partition('@')[2]}",
        "--train_dataset=gs://garden-local/data/train.jsonl",
        f"--output_dir={folder}",
    ]
    pool = {"container_spec": {"image_uri": PEFT, "args": args}, "replica_count": 1}
    return {"display_name": "A script", "job_spec": {"worker_pool_specs": [pool]}}
