"""In which region it is deployed, and with which options: from what is asked to what is sent."""

from typing import Any
from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import DeployedModel
from jobs.services.endpoints import deployed_models, endpoints, scaling
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.serving.deployment import DeploymentSpec, Machine
from jobs.services.endpoints.serving.spec import METRICS, ServingOptions
from jobs.vertex.values import ServingOptions as Sent
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
L4 = Machine("g2-standard-12", "NVIDIA_L4", 1)


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.automatic = True
    return Driver()


def base(**values):
    defaults: dict[str, Any] = {
        "display_name": "Base", "publisher_model": factories.BASE_MODEL, "accepts_licence": True, "machine": L4,
    }  # fmt: skip
    return DeploymentSpec(**defaults | values)


def make_tuned_job(owner, fake_gateway, **values):
    job = factories.job(owner=owner, state="SUCCEEDED", phase="CLOSED", next_check_at=None, **values)
    fake_gateway.storage.put_model(endpoints.artifact_uri(job))
    return job


def problems(error):
    return [(one.field, one.code) for one in error.value.problems]


def test_everything_is_asked_of_the_region_of_the_row(owner, driver, fake_gateway, settings):
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=base(location="europe-west4"))
    settings.VERTEX_LOCATION = "us-west1"
    driver.until(endpoint, state="READY")
    place = "projects/garden-local/locations/europe-west4"
    assert (endpoint.location, endpoint.resource_name) == (
        "europe-west4", f"{place}/endpoints/{endpoint.endpoint_user_id}",
    )  # fmt: skip
    assert endpoint.model.model_resource_name == f"{place}/models/{endpoint.model.model_user_id}"
    assert ".europe-west4-" in endpoint.dedicated_dns
    endpoints.request_delete(endpoint)
    driver.until(endpoint, state="DELETED")
    assert (fake_gateway.deployment.endpoints, fake_gateway.deployment.models) == ({}, {})


def test_global_serves_nothing(owner):
    with pytest.raises(errors.InvalidValues, match="Vertex AI serves models in regions only") as error:
        endpoints.deploy_model(owner, key=uuid4(), spec=base(location="global"))
    assert problems(error) == [("location", "invalid_choice")]


def test_a_tuned_model_is_deployed_where_it_was_tuned(owner, driver, fake_gateway):
    job = make_tuned_job(
        owner, fake_gateway, location="global", tuned_model="projects/7/locations/europe-west4/models/8@1"
    )
    endpoint = driver.until(
        endpoints.deploy_model(owner, key=uuid4(), spec=DeploymentSpec("Bot", job=job, machine=L4)), state="READY"
    )
    assert "/locations/europe-west4/" in endpoint.resource_name
    with pytest.raises(errors.NotAllowedNow, match="was tuned in europe-west4 and can be deployed there only"):
        endpoints.deploy_model(owner, key=uuid4(), spec=DeploymentSpec("Bot", job=job, location="us-west1"))


def test_nor_beside_models_of_another_region(owner, fake_gateway):
    endpoint = factories.ready_endpoint(owner=owner)
    job = make_tuned_job(owner, fake_gateway, location="us-west1")
    spec = DeployedModelSpec("Bot", 10, job=job)
    with pytest.raises(errors.NotAllowedNow, match="was tuned in us-west1"):
        deployed_models.add(endpoint, key=uuid4(), spec=spec)


def test_a_local_run_has_one_region(owner, fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    job = make_tuned_job(owner, fake_gateway, location="us-west1")
    assert DeploymentSpec("Bot", job=job).region == "us-central1"
    made = endpoints.deploy_model(owner, key=uuid4(), spec=DeploymentSpec("Bot", job=job))
    assert made.location == "us-central1"


def test_automatically_where_it_was_tuned(owner, fake_gateway):
    job = make_tuned_job(owner, fake_gateway, location="us-west1", endpoint_options={"idle_minutes": 30})
    endpoint = endpoints.deploy_for_job(job)
    assert (endpoint.location, endpoint.model.min_replicas, endpoint.model.serving_options) == (
        "us-west1", 0, {"idle_minutes": 30},
    )  # fmt: skip


def test_options_are_sent_in_the_units_of_google(owner, driver, fake_gateway):
    options = ServingOptions(
        idle_minutes=30, autoscaling={"gpu": 70}, reservation="ANY_RESERVATION", endpoint_labels={"team": "a"}
    )
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=base(options=options, max_replicas=2))
    driver.until(endpoint, state="READY")
    sent = fake_gateway.deployment.specs[endpoint.resource_name]
    assert (sent.min_replicas, sent.max_replicas) == (0, 2)
    assert sent.options == Sent(
        idle_seconds=1800, autoscaling={METRICS["gpu"]: 70}, reservation="ANY_RESERVATION", labels={"team": "a"}
    )
    row = DeployedModel.objects.get(pk=endpoint.pk)
    assert (row.serving_options, row.replicas_asked_at) == (options.as_json(), None)


def test_one_that_scales_to_zero_may_be_scaled_to_none_and_no_other(owner, driver):
    options = ServingOptions(idle_minutes=30)
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=base(options=options)), state="READY")
    for low in (1, 0):
        endpoints.request_replicas(endpoint.model, minimum=low, maximum=2)
        driver.rest(endpoint.model)
        endpoint.model.refresh_from_db()
        assert (endpoint.model.min_replicas, scaling.scales_to_zero(endpoint.model)) == (low, True)
    other = factories.ready_endpoint(owner=owner)
    with pytest.raises(errors.InvalidValues):
        endpoints.request_replicas(other.model, minimum=0, maximum=2)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"options": ServingOptions(idle_minutes=1)}, [("idle_minutes", "out_of_range")]),
        ({"options": ServingOptions(idle_minutes=60), "shared_address": True}, [("idle_minutes", "not_offered")]),
        ({"options": ServingOptions(flex_start_hours=5), "spot": True}, [("flex_start_hours", "not_offered")]),
        ({"options": ServingOptions(flex_start_hours=5), "machine": None}, [("machine", "required")]),
        ({"location": "mars-1"}, [("location", "invalid_choice")]),
    ],
)
def test_what_is_refused(owner, values, found):
    with pytest.raises(errors.InvalidValues) as error:
        endpoints.deploy_model(owner, key=uuid4(), spec=base(**values))
    assert problems(error) == found


def test_one_beside_others_does_not_scale_to_zero(owner):
    spec = DeployedModelSpec(
        "Second", 10, publisher_model=factories.BASE_MODEL, machine=L4, options=ServingOptions(idle_minutes=60)
    )
    with pytest.raises(errors.InvalidValues) as error:
        deployed_models.add(factories.ready_endpoint(owner=owner), key=uuid4(), spec=spec)
    assert problems(error) == [("idle_minutes", "not_offered")]


def test_a_form_of_before_is_the_same_endpoint(owner):
    """Nothing was chosen that could not be chosen then, so the request is the same, too."""
    key = uuid4()
    made = endpoints.deploy_model(owner, key=key, spec=base())
    again = endpoints.deploy_model(owner, key=key, spec=base(location="us-central1", options=ServingOptions()))
    assert again == made
    with pytest.raises(errors.KeyReused):
        endpoints.deploy_model(owner, key=key, spec=base(location="us-west1"))


def test_deployed_again_it_has_the_same_region_and_options(owner, driver):
    options = ServingOptions(flex_start_hours=5)
    first = endpoints.deploy_model(owner, key=uuid4(), spec=base(location="us-west1", options=options))
    endpoints.request_delete(driver.until(first, state="READY"))
    driver.until(first, state="DELETED")
    again = endpoints.deploy_again(first)
    assert (again.location, again.model.location, again.model.serving_options) == (
        "us-west1", "us-west1", {"flex_start_hours": 5},
    )  # fmt: skip


def test_the_end_of_flex_start_is_told(owner, driver, fake_gateway):
    options = ServingOptions(flex_start_hours=1)
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=base(options=options)), state="READY")
    DeployedModel.objects.filter(pk=endpoint.pk).update(submit_started_at=factories.NOW)
    fake_gateway.deployment.undeploy(endpoint.resource_name, "4711", {})
    for name in list(fake_gateway.deployment.operations):
        fake_gateway.deployment.finish(name)
    driver.until(endpoint, state="UNDEPLOYED")
    assert endpoint.notice == "The time of its Flex-start machine, 1 h, is over. Vertex AI undeployed the model."
