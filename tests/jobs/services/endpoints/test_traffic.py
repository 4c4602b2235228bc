"""Several models on one endpoint: put beside each other, their shares of traffic, and one taken away."""

from dataclasses import replace
from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import DeployedModel
from jobs.services.endpoints import deployed_models, endpoints, traffic
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.endpoints import DeploymentSpec, Machine
from jobs.vertex.errors import Unavailable
from jobs.vertex.values import MachineSpec, RemoteDeployedModel
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.share import each_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.automatic = True
    return Driver()


@pytest.fixture
def endpoint(owner, driver):
    spec = DeploymentSpec("Base", factories.BASE_MODEL, accepts_licence=True)
    return driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="READY")


def base(share=20, **values):
    return DeployedModelSpec(
        **{"display_name": "Other", "share": share, "publisher_model": factories.BASE_MODEL} | values
    )


def added(driver, endpoint, **values):
    model = driver.until(deployed_models.add(endpoint, key=uuid4(), spec=base(**values)), state="READY")
    driver.step(endpoint)
    return model


def split(gateway, endpoint):
    """As Vertex AI has it, by the models' names."""
    remote = gateway.deployment.endpoints[endpoint.resource_name]
    return {model.display_name: remote.traffic_split.get(model.id, 0) for model in remote.deployed_models}


def models_left(gateway):
    """In the registry, once the deletions that nobody waits for have ended."""
    for name, operation in list(gateway.deployment.operations.items()):
        if not operation.state.done and operation.by_itself:
            gateway.deployment.finish(name)
    return list(gateway.deployment.models.values())


def told(endpoint):
    return [event.message for event in endpoint.events.all()]


def settled(driver, endpoint):
    return driver.until(endpoint, traffic_asked_at=None, operation_name="")


def test_a_second_model_gets_its_share(driver, endpoint, fake_gateway):
    model = added(driver, endpoint, machine=Machine("n2-standard-8"), max_replicas=2)
    assert split(fake_gateway, endpoint) == {"Base": 80, "Other": 20}
    assert endpoint.traffic == {"4711": 80, model.deployed_model_id: 20}
    assert (model.phase, model.available_replicas, model.stage) == ("BOUND", 1, "SUCCESSFULLY_DEPLOYED")
    assert told(endpoint)[-3:] == [
        "You asked for Other with 20% of the traffic.",
        "Vertex AI accepted the request.",
        "Other is deployed and gets 20% of the traffic.",
    ]


def test_the_machine_that_was_chosen_for_it_is_kept(driver, endpoint, fake_gateway):
    model = driver.until(deployed_models.add(endpoint, key=uuid4(), spec=base()), phase="BOUND")
    fake_gateway.deployment.finish(model.operation_name)
    remote = fake_gateway.deployment.endpoints[endpoint.resource_name]
    first, second = remote.deployed_models
    second = replace(second, machine=MachineSpec("g2-standard-12", "NVIDIA_L4", 1))
    fake_gateway.deployment.endpoints[endpoint.resource_name] = replace(remote, deployed_models=(first, second))
    driver.until(model, state="READY")
    assert (model.machine_type, model.accelerator_type, model.accelerator_count) == ("g2-standard-12", "NVIDIA_L4", 1)


def test_a_third_takes_from_both(driver, endpoint, fake_gateway):
    added(driver, endpoint, share=50)
    added(driver, endpoint, share=10, display_name="Third")
    assert split(fake_gateway, endpoint) == {"Base": 45, "Other": 45, "Third": 10}


def test_a_tuned_model_comes_from_its_folder(owner, driver, endpoint, fake_gateway):
    job = factories.job(owner=owner, state="SUCCEEDED", phase="CLOSED", next_check_at=None)
    fake_gateway.storage.put_model(endpoints.artifact_uri(job))
    model = added(driver, endpoint, publisher_model="", job=job)
    assert (model.artifact_uri, model.base_model) == (endpoints.artifact_uri(job), job.base_model)
    assert job.events.last().message == "Other is deployed and gets 20% of the traffic."


def test_stages_are_kept(driver, endpoint):
    model = added(driver, endpoint)
    assert [stage for stage, _moment in model.stage_times][-1] == "SUCCESSFULLY_DEPLOYED"


@pytest.mark.parametrize(
    "values",
    [{"share": 101}, {"share": -1}, {"publisher_model": ""}, {"artifact_uri": "gs://b/c"}, {"min_replicas": 0}],
)
def test_what_makes_no_sense_is_refused(endpoint, values):
    with pytest.raises(errors.NotAllowedNow):
        deployed_models.add(endpoint, key=uuid4(), spec=base(**values))


def test_a_job_that_has_not_succeeded_is_refused(endpoint):
    with pytest.raises(errors.NotAllowedNow):
        deployed_models.add(endpoint, key=uuid4(), spec=base(publisher_model="", job=factories.job()))


def test_sent_twice_it_is_one(driver, endpoint, fake_gateway):
    key = uuid4()
    first = deployed_models.add(endpoint, key=key, spec=base())
    assert deployed_models.add(endpoint, key=key, spec=base()) == first
    with pytest.raises(errors.KeyReused):
        deployed_models.add(endpoint, key=key, spec=base(share=21))
    driver.until(first, state="READY")
    assert len(fake_gateway.creates("deployment")) == 2


def test_one_at_a_time(driver, endpoint):
    deployed_models.add(endpoint, key=uuid4(), spec=base())
    with pytest.raises(errors.NotAllowedNow, match="Wait until it's done"):
        deployed_models.add(endpoint, key=uuid4(), spec=base())
    with pytest.raises(errors.NotAllowedNow, match="Wait until it's done"):
        endpoints.request_traffic(endpoint, {"4711": 100})


def test_only_on_an_endpoint_that_is_ready():
    with pytest.raises(errors.NotAllowedNow, match="not ready"):
        deployed_models.add(factories.endpoint(), key=uuid4(), spec=base())


@pytest.mark.parametrize(
    ("call", "after"),
    each_once(
        ["upload_model", "deploy_to_existing", "get_endpoint", "get_operation", "find_deployment"], [False, True]
    ),
)
def test_death_while_it_is_deployed(driver, endpoint, fake_gateway, call, after):
    fake_gateway.crash(f"deployment.{call}", after=after)
    model = deployed_models.add(endpoint, key=uuid4(), spec=base())
    driver.until(model, state="READY")
    assert (len(fake_gateway.creates("deployment")), split(fake_gateway, endpoint)) == (2, {"Base": 80, "Other": 20})


@pytest.mark.parametrize(
    ("fault", "call"),
    each_once(
        ["drop_after", "drop_before", "not_sent", "over_quota", "unavailable"], ["upload_model", "deploy_to_existing"]
    ),
)
def test_a_request_that_goes_wrong(driver, endpoint, fake_gateway, call, fault):
    getattr(fake_gateway, fault)(f"deployment.{call}")
    driver.until(deployed_models.add(endpoint, key=uuid4(), spec=base()), state="READY")
    assert (len(fake_gateway.creates("deployment")), split(fake_gateway, endpoint)) == (2, {"Base": 80, "Other": 20})


def test_a_lost_reply_of_a_long_deployment_is_found_by_its_operation(driver, endpoint, fake_gateway):
    fake_gateway.automatic = False
    fake_gateway.drop_after("deployment.deploy_to_existing")
    model = driver.until(deployed_models.add(endpoint, key=uuid4(), spec=base()), phase="BOUND")
    fake_gateway.deployment.finish(model.operation_name)
    driver.until(model, state="READY")
    assert len(fake_gateway.creates("deployment")) == 2


@pytest.mark.parametrize("call", ["upload_model", "deploy_to_existing"])
def test_a_refusal_is_told_and_the_endpoint_goes_on(driver, endpoint, fake_gateway, call):
    fake_gateway.refuse(f"deployment.{call}", "Not on this machine.")
    model = driver.rest(deployed_models.add(endpoint, key=uuid4(), spec=base()))
    assert (model.state, model.error_message) == ("FAILED", "Not on this machine.")
    driver.step(endpoint)
    assert (endpoint.state, endpoint.traffic, split(fake_gateway, endpoint)) == ("READY", {"4711": 100}, {"Base": 100})


def test_a_deployment_that_fails_leaves_nothing(driver, endpoint, fake_gateway):
    model = driver.until(deployed_models.add(endpoint, key=uuid4(), spec=base()), phase="BOUND")
    fake_gateway.deployment.fail(model.operation_name)
    driver.rest(model)
    assert (model.state, model.error_message) == (
        "FAILED", "Model server never became ready. Choose another machine or region, or deploy again.",
    )  # fmt: skip
    assert models_left(fake_gateway) == ["Base"]
    added(driver, endpoint)


def test_shares_are_changed(driver, endpoint, fake_gateway):
    model = added(driver, endpoint)
    wanted = {"4711": 30, model.deployed_model_id: 70}
    for _click in range(2):
        endpoints.request_traffic(endpoint, wanted)
    settled(driver, endpoint)
    assert (endpoint.traffic, split(fake_gateway, endpoint)) == (wanted, {"Base": 30, "Other": 70})
    assert fake_gateway.calls.count("deployment.share_traffic") == 1
    assert told(endpoint)[-2:] == [
        "You asked for this traffic split: Base 30%, Other 70%.",
        "The traffic split is now: Base 30%, Other 70%.",
    ]


@pytest.mark.parametrize("wanted", [{"4711": 99}, {"4711": 100}, {}, {"4711": 50, "x": 50}])
def test_shares_that_do_not_fit_are_refused(driver, endpoint, wanted):
    added(driver, endpoint)
    with pytest.raises(errors.NotAllowedNow):
        endpoints.request_traffic(endpoint, wanted)


def test_vertex_ai_refuses_the_shares(driver, endpoint, fake_gateway):
    model = added(driver, endpoint)
    fake_gateway.refuse("deployment.share_traffic", "Not now.")
    endpoints.request_traffic(endpoint, {"4711": 30, model.deployed_model_id: 70})
    settled(driver, endpoint)
    assert (endpoint.state, endpoint.traffic["4711"], told(endpoint)[-1]) == (
        "READY", 80, "The traffic split wasn't changed: Not now.",
    )  # fmt: skip


@pytest.mark.parametrize("after", [False, True])
def test_a_change_whose_reply_is_lost_is_sent_again(driver, endpoint, fake_gateway, after):
    model = added(driver, endpoint)
    fake_gateway.fail("deployment.share_traffic", Unavailable("No answer.", "UNAVAILABLE"), after=after)
    endpoints.request_traffic(endpoint, {"4711": 30, model.deployed_model_id: 70})
    settled(driver, endpoint)
    assert split(fake_gateway, endpoint) == {"Base": 30, "Other": 70}


def test_asked_again_during_the_change_the_last_word_counts(driver, endpoint, fake_gateway):
    model = added(driver, endpoint)
    last = {"4711": 10, model.deployed_model_id: 90}
    asked = iter([lambda: endpoints.request_traffic(endpoint, last)])
    fake_gateway.during("deployment.share_traffic", lambda: next(asked, lambda: None)())
    endpoints.request_traffic(endpoint, {"4711": 30, model.deployed_model_id: 70})
    settled(driver, endpoint)
    assert (endpoint.traffic, split(fake_gateway, endpoint)) == (last, {"Base": 10, "Other": 90})


def test_changed_elsewhere_the_row_follows(driver, endpoint, fake_gateway):
    model = added(driver, endpoint)
    fake_gateway.deployment.share_traffic(endpoint.resource_name, {"4711": 5, model.deployed_model_id: 95})
    driver.step(endpoint)
    assert endpoint.traffic == {"4711": 5, model.deployed_model_id: 95}


def test_a_model_of_somebody_else_is_seen(driver, endpoint, fake_gateway):
    remote = fake_gateway.deployment.endpoints[endpoint.resource_name]
    theirs = RemoteDeployedModel("77", "projects/1/locations/l/models/m", "Theirs", 1, 1, 1)
    fake_gateway.deployment.endpoints[endpoint.resource_name] = replace(
        remote, deployed_models=(*remote.deployed_models, theirs)
    )
    driver.step(endpoint)
    assert (endpoint.traffic, DeployedModel.objects.count()) == ({"4711": 100, "77": 0}, 1)
    with pytest.raises(errors.NotAllowedNow, match="outside this console"):
        deployed_models.undeploy(endpoint, "4711", {"77": 100})


def test_another_one_is_undeployed(driver, endpoint, fake_gateway):
    model = added(driver, endpoint)
    for _click in range(2):
        model = deployed_models.undeploy(endpoint, model.deployed_model_id, {"4711": 100})
    driver.rest(model)
    driver.step(endpoint)
    assert (model.state, endpoint.state, endpoint.traffic) == ("UNDEPLOYED", "READY", {"4711": 100})
    assert split(fake_gateway, endpoint) == {"Base": 100}
    assert models_left(fake_gateway) == ["Base"]


def test_its_traffic_goes_where_it_was_said(driver, endpoint, fake_gateway):
    model, third = added(driver, endpoint, share=50), added(driver, endpoint, share=10, display_name="Third")
    wanted = {"4711": 1, third.deployed_model_id: 99}
    driver.rest(deployed_models.undeploy(endpoint, model.deployed_model_id, wanted))
    assert split(fake_gateway, endpoint) == {"Base": 1, "Third": 99}


@pytest.mark.parametrize("wanted", [{}, {"4711": 90}, {"x": 100}])
def test_who_gets_the_traffic_must_be_said(driver, endpoint, wanted):
    model = added(driver, endpoint)
    with pytest.raises(errors.NotAllowedNow):
        deployed_models.undeploy(endpoint, model.deployed_model_id, wanted)


def test_the_first_one_is_undeployed_and_the_other_stays(driver, endpoint, fake_gateway):
    model = added(driver, endpoint)
    old, own_id = endpoint.model.model_user_id, model.deployed_model_id
    gone = deployed_models.undeploy(endpoint, "4711", {own_id: 100})
    driver.rest(gone)
    driver.step(endpoint)
    assert (endpoint.state, endpoint.model.deployed_model_id, endpoint.model.display_name) == (
        "READY", own_id, "Other",
    )  # fmt: skip
    assert (gone.state, gone.deployed_model_id, gone.model_user_id, gone.display_name) == (
        "UNDEPLOYED", "4711", old, "Base",
    )  # fmt: skip
    assert (split(fake_gateway, endpoint), endpoint.traffic) == ({"Other": 100}, {own_id: 100})
    endpoints.request_delete(endpoint)
    driver.rest(endpoint)
    assert (endpoint.state, fake_gateway.deployment.endpoints, models_left(fake_gateway)) == ("DELETED", {}, [])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["undeploy", "get_endpoint", "get_operation", "delete_model"])
def test_death_while_the_first_one_goes(driver, endpoint, fake_gateway, call, after):
    model = added(driver, endpoint)
    gone = deployed_models.undeploy(endpoint, "4711", {model.deployed_model_id: 100})
    fake_gateway.crash(f"deployment.{call}", after=after)
    driver.rest(gone)
    assert (gone.state, split(fake_gateway, endpoint)) == ("UNDEPLOYED", {"Other": 100})


def test_undeployed_elsewhere_the_rows_follow(driver, endpoint, fake_gateway):
    model = added(driver, endpoint)
    fake_gateway.deployment.finish(
        fake_gateway.deployment.undeploy(endpoint.resource_name, "4711", {model.deployed_model_id: 100})
    )
    driver.step(endpoint)
    assert (endpoint.state, endpoint.model.deployed_model_id) == ("READY", model.deployed_model_id)
    first = DeployedModel.objects.get(pk=endpoint.pk)
    assert (first.state, first.deployed_model_id, told(endpoint)[-1]) == (
        "UNDEPLOYED", "4711", "Base was undeployed outside this console.",
    )  # fmt: skip


def test_another_one_undeployed_elsewhere(driver, endpoint, fake_gateway):
    model = added(driver, endpoint)
    fake_gateway.deployment.finish(
        fake_gateway.deployment.undeploy(endpoint.resource_name, model.deployed_model_id, {"4711": 100})
    )
    driver.step(endpoint)
    model.refresh_from_db()
    assert (endpoint.state, endpoint.model.deployed_model_id, model.state) == ("READY", "4711", "UNDEPLOYED")


def test_undeploying_the_endpoint_takes_all_of_them(driver, endpoint, fake_gateway):
    model = added(driver, endpoint, share=40)
    endpoints.request_undeploy(endpoint)
    for _turn in range(20):
        for row in (endpoint, model):
            if row.next_check_at:
                driver.step(row)
            row.refresh_from_db()
    assert (endpoint.state, model.state, endpoint.traffic) == ("UNDEPLOYED", "UNDEPLOYED", {})
    assert fake_gateway.deployment.endpoints[endpoint.resource_name].deployed_models == ()


@pytest.mark.parametrize("ask", [endpoints.request_undeploy, endpoints.request_delete])
def test_it_does_not_end_before_a_deployment_under_way(driver, endpoint, fake_gateway, ask):
    fake_gateway.automatic = False
    model = driver.until(deployed_models.add(endpoint, key=uuid4(), spec=base()), phase="BOUND")
    ask(endpoint)
    for _turn in range(8):
        driver.step(endpoint)
    assert (endpoint.is_transient, endpoint.notice) == (True, "Waiting for Vertex AI to finish the deployment first.")
    model.refresh_from_db()
    fake_gateway.automatic = True
    driver.rest(model)
    driver.rest(endpoint)
    assert (endpoint.state, model.state) == (endpoint.wanted, "UNDEPLOYED")
    assert not any(remote.deployed_models for remote in fake_gateway.deployment.endpoints.values())


def test_what_was_not_sent_is_given_up_with_the_endpoint(endpoint, fake_gateway):
    model = deployed_models.add(endpoint, key=uuid4(), spec=base())
    endpoints.request_undeploy(endpoint)
    model.refresh_from_db()
    assert (model.state, model.phase, model.next_check_at) == ("UNDEPLOYED", "CLOSED", None)


def test_given_up_while_it_is_deployed(driver, endpoint, fake_gateway):
    fake_gateway.automatic = False
    model = driver.until(deployed_models.add(endpoint, key=uuid4(), spec=base()), phase="BOUND")
    deployed_models.undeploy(endpoint, model.deployed_model_id, {})
    driver.step(model)
    assert model.notice == "Waiting for Vertex AI to finish the deployment first."
    fake_gateway.automatic = True
    driver.rest(model)
    assert (model.state, split(fake_gateway, endpoint)) == ("UNDEPLOYED", {"Base": 100})


def test_which_model_answered():
    endpoint = factories.ready_endpoint(display_name="Shop", traffic={"4711": 60, "5001": 30, "9": 10})
    factories.deployed_model(endpoint=endpoint, display_name="Captain")
    assert [traffic.answering_model(endpoint, one) for one in ("4711", "5001", "9", "")] == [
        "Shop · Shop", "Shop · Captain", "Shop · 9", "Shop",
    ]  # fmt: skip
    assert traffic.answering_model(factories.ready_endpoint(), "4711") == ""
