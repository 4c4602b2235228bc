from typing import Any
from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import Endpoint
from jobs.services.catalogue import publisher_models
from jobs.services.endpoints import endpoints
from jobs.services.endpoints.endpoints import DeploymentSpec, Machine
from tests.fakes import STAGES
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.automatic = True
    return Driver()


def base(**values):
    defaults: dict[str, Any] = {
        "display_name": "Base",
        "publisher_model": factories.BASE_MODEL,
        "accepts_licence": True,
    }
    return DeploymentSpec(**defaults | values)


def tuned(owner, **values):
    return factories.job(owner=owner, state="SUCCEEDED", phase="CLOSED", next_check_at=None, **values)


def test_the_base_model_goes_to_ready(owner, driver, fake_gateway):
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=base(machine=Machine("n2-standard-8")))
    driver.until(endpoint, state="READY")
    sent = fake_gateway.deployment.specs[endpoint.resource_name]
    assert (sent.publisher_model, sent.artifact_uri, sent.accept_eula) == (factories.BASE_MODEL, "", True)
    assert (sent.machine.machine_type, sent.endpoint_user_id) == ("n2-standard-8", f"garden-{endpoint.pk.hex}")
    assert (endpoint.model.deployed_model_id, endpoint.dedicated_dns != "", endpoint.model.stage) == (
        "4711", True, "SUCCESSFULLY_DEPLOYED",
    )  # fmt: skip


def test_stages_are_shown_while_it_deploys(owner, driver):
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=base())
    driver.until(endpoint, phase="BOUND")
    driver.step(endpoint)
    assert (endpoint.state, endpoint.model.stage) == ("DEPLOYING", "PREPARING_MODEL")


def test_the_time_of_each_stage_is_kept(owner, driver):
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=base()), state="READY")
    stages = [stage for stage, _moment in endpoint.model.stage_times]
    assert stages == ["STARTING_DEPLOYMENT", *STAGES[1:]] or stages == list(STAGES[1:])


def test_a_look_that_finds_nothing_new_is_no_update(owner, driver):
    endpoint = driver.step(driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=base()), state="READY"))
    updated = endpoint.updated_at
    assert driver.step(endpoint).updated_at == updated


def test_what_happened_is_told(owner, driver):
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=base()), state="READY")
    assert [event.message for event in endpoint.events.all()] == [
        "The endpoint Base was created to serve the model.",
        "Vertex AI accepted the request.",
        "The endpoint Base is ready.",
    ]


def test_deployed_again_with_the_same_settings(owner):
    first = factories.endpoint(
        state="FAILED", machine_type="m1", min_replicas=2, max_replicas=3, lease_kind="IDLE", lease_hours=4
    )
    second = endpoints.deploy_again(first)
    repeated = ("publisher_model", "machine_type", "min_replicas", "max_replicas")
    assert [getattr(second.model, name) for name in repeated] == [factories.BASE_MODEL, "m1", 2, 3]
    assert (second.lease_kind, second.lease_hours) == ("IDLE", 4)
    assert (second.state, second.phase, second.model.automatic) == ("DEPLOYING", "INTENT", False)
    assert second.endpoint_user_id not in {first.endpoint_user_id, ""}


def test_deployed_again_twice_is_once_until_that_one_is_over(owner):
    first = factories.endpoint(state="UNDEPLOYED")
    second = endpoints.deploy_again(first)
    assert endpoints.deploy_again(first) == second
    endpoints.request_delete(second)
    assert endpoints.deploy_again(first).pk not in {first.pk, second.pk}


def test_what_serves_is_not_deployed_again():
    with pytest.raises(errors.NotAllowedNow):
        endpoints.deploy_again(factories.ready_endpoint())


def test_a_tuned_model_is_deployed_from_its_folder(owner, driver, fake_gateway):
    job = tuned(owner)
    fake_gateway.storage.put_model(endpoints.artifact_uri(job))
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=DeploymentSpec("Bot", job=job))
    driver.until(endpoint, state="READY")
    assert endpoint.model.artifact_uri == "gs://garden-local/output/my-model/postprocess/node-0/checkpoints/final"
    assert [event.message for event in job.events.all()][-1] == "The endpoint Bot is ready."


def test_weights_in_a_folder_are_deployed_without_a_licence(owner, driver, fake_gateway):
    fake_gateway.storage.put_model("gs://bucket/weights")
    spec = DeploymentSpec("Mine", artifact_uri="gs://bucket/weights", model_display_name="Merged")
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="READY")
    sent = fake_gateway.deployment.specs[endpoint.resource_name]
    assert (sent.artifact_uri, sent.publisher_model, sent.machine) == ("gs://bucket/weights", "", None)
    assert (sent.model_display_name, sent.endpoint_display_name, endpoint.model.base_model) == ("Merged", "Mine", "")


def test_a_folder_and_a_model_are_two(owner):
    with pytest.raises(errors.NotAllowedNow):
        endpoints.deploy_model(owner, key=uuid4(), spec=base(artifact_uri="gs://bucket/weights"))


def test_what_is_chosen_is_asked_for(owner, driver, fake_gateway):
    options = {"min_replicas": 2, "max_replicas": 3, "spot": True, "shared_address": True}
    spec = base(machine=Machine("g2-standard-12", "NVIDIA_L4", 1), **options)
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="READY")
    sent = fake_gateway.deployment.specs[endpoint.resource_name]
    assert {name: getattr(sent, name) for name in options} == options


def test_an_endpoint_without_an_address_of_its_own_is_not_looked_at_in_haste(owner, driver):
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=base(shared_address=True))
    driver.until(endpoint, state="READY")
    for _ in range(2):
        assert (endpoint.dedicated_dns, (endpoint.next_check_at - driver.now).seconds) == ("", 60)
        driver.step(endpoint)


def test_a_job_that_has_not_succeeded_is_not_deployed(owner):
    with pytest.raises(errors.NotAllowedNow):
        endpoints.deploy_model(owner, key=uuid4(), spec=DeploymentSpec("Bot", job=factories.job()))


def test_the_same_key_is_the_same_endpoint(owner):
    key = uuid4()
    assert endpoints.deploy_model(owner, key=key, spec=base()) == endpoints.deploy_model(owner, key=key, spec=base())
    with pytest.raises(errors.KeyReused):
        endpoints.deploy_model(owner, key=key, spec=base(display_name="Other"))


def test_automatic_endpoints_are_one_a_job(owner):
    job = tuned(owner, endpoint_display_name="Bot")
    assert endpoints.deploy_for_job(job) == endpoints.deploy_for_job(job)
    assert Endpoint.objects.count() == 1


def test_the_machine_comes_with_its_accelerators(owner, driver):
    publisher_models.sync(driver.now)
    job = tuned(owner, machine_type="g2-standard-12")
    endpoint = endpoints.deploy_for_job(job)
    assert (endpoint.model.accelerator_type, endpoint.model.accelerator_count) == ("NVIDIA_L4", 1)


def test_without_the_licence_it_fails_with_the_remedy(owner, driver):
    endpoint = endpoints.deploy_model(owner, key=uuid4(), spec=base(accepts_licence=False))
    driver.rest(endpoint)
    assert endpoint.state == "FAILED"
    assert "Accept the terms on the page of" in endpoint.error_message


def test_undeploy_and_then_delete(owner, driver, fake_gateway):
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=base()), state="READY")
    endpoints.request_undeploy(endpoint)
    endpoints.request_undeploy(endpoint)
    assert (endpoint.state, endpoint.wanted) == ("UNDEPLOYING", "UNDEPLOYED")
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.resource_name in fake_gateway.deployment.endpoints) == ("UNDEPLOYED", True)
    endpoints.request_delete(endpoint)
    driver.rest(endpoint)
    assert (endpoint.state, fake_gateway.deployment.endpoints, fake_gateway.deployment.models) == ("DELETED", {}, {})


def test_a_model_that_cannot_be_deleted_does_not_keep_the_endpoint(owner, driver, fake_gateway):
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=base()), state="READY")
    fake_gateway.refuse("deployment.delete_model", "It is used elsewhere.")
    endpoints.request_delete(endpoint)
    driver.rest(endpoint)
    assert (endpoint.state, endpoint.notice) == ("DELETED", "Its model remains in Vertex AI: It is used elsewhere.")


def test_a_failed_endpoint_cannot_be_undeployed(owner):
    failed = factories.endpoint(state="FAILED", phase="CLOSED", next_check_at=None)
    with pytest.raises(errors.NotAllowedNow):
        endpoints.request_undeploy(failed)
    endpoints.request_delete(failed)
    assert failed.state == "DELETED"


def test_a_folder_that_no_model_server_starts_from_costs_nothing(owner, driver, fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT = ""
    fake_gateway.storage.put_adapter("gs://garden-local/mine")
    spec = DeploymentSpec("Mine", artifact_uri="gs://garden-local/mine")
    endpoint = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="FAILED")
    assert "Vertex AI deploys whole models only" in endpoint.model.error_message
    assert (fake_gateway.creates("deployment"), endpoint.model.error_code) == ([], "FAILED_PRECONDITION")


def test_what_writes_no_text_is_refused_by_the_service_too(owner):
    name = "stability-ai/stable-diffusion-2-1@001"
    factories.publisher_model(name=name)
    with pytest.raises(errors.NotAllowedNow, match="chat or write text"):
        endpoints.deploy_model(owner, key=uuid4(), spec=base(publisher_model=name))
    assert Endpoint.objects.count() == 0
