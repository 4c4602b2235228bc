"""Attaching asks Vertex AI for nothing; and nothing that was attached is taken down by itself."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from jobs.errors import NotAllowedNow
from jobs.models import AuditEntry, DeployedModel, Endpoint, FoundKind, FoundResource
from jobs.services.endpoints import deployed_models, endpoints, lifetime
from jobs.services.inventory import attachment, looks
from jobs.vertex.found import ENDPOINT, MODEL, Found, FoundModel, Machines
from jobs.vertex.values import MachineSpec, RemoteDeployedModel, RemoteEndpoint
from tests.fakes import GEMMA_270M, LOCATION, PARENT
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db
NOW = factories.NOW
NAME = f"{PARENT}/endpoints/by-hand"


def put_elsewhere(gateway, *ids, dns="1.example"):
    """An endpoint as somebody's program makes it: with models of the registry on it."""
    models = tuple(
        RemoteDeployedModel(number, f"{PARENT}/models/m{number}", f"Model {number}", 1, 1, 2, machine=MachineSpec("x"))
        for number in ids
    )
    shares = {number: 100 // len(ids) for number in ids}
    gateway.deployment.endpoints[NAME] = RemoteEndpoint(NAME, "By hand", {}, dns, models, shares)
    gateway.deployment.models |= {model.model: model.display_name for model in models}
    looks.look(LOCATION, NOW)
    return FoundResource.objects.get(kind=FoundKind.ENDPOINT)


def test_an_attached_endpoint_is_one_of_this_person(fake_gateway):
    fake_gateway.inventory.add(MODEL, Found(f"{PARENT}/models/m77", "M", {}, NOW, base_model=GEMMA_270M))
    found = put_elsewhere(fake_gateway, "77", "78")
    calls = len(fake_gateway.calls)
    endpoint = attachment.attach(factories.owner(), found)
    assert (endpoint.state, endpoint.phase, endpoint.made_here, endpoint.resource_name, endpoint.endpoint_user_id) == (
        "READY", "BOUND", False, NAME, "by-hand",
    )  # fmt: skip
    assert (endpoint.dedicated_dns, endpoint.shared_address, endpoint.traffic) == (
        "1.example",
        False,
        {"77": 50, "78": 50},
    )
    rows = endpoint.deployed_models.order_by("deployed_model_id").values_list(
        "deployed_model_id",
        "display_name",
        "publisher_model",
        "base_model",
        "machine_type",
        "max_replicas",
        "made_here",
    )
    assert list(rows) == [
        ("77", "Model 77", GEMMA_270M, GEMMA_270M, "x", 2, False),
        ("78", "Model 78", "", "", "x", 2, False),
    ]
    assert (endpoint.label, len(fake_gateway.calls)) == ("By hand (gemma-3-270m)", calls)
    assert AuditEntry.objects.filter(action="endpoint.attach").count() == 1


def test_twice_is_once_and_each_person_has_a_row(fake_gateway):
    found, other = put_elsewhere(fake_gateway, "77"), factories.user(username="other", is_superuser=True)
    first = attachment.attach(factories.owner(), found)
    assert attachment.attach(factories.owner(), found) == first
    assert attachment.attach(other, found) != first
    assert attachment.find_attached(other, [found])[NAME].owner == other


def test_one_without_an_address_of_its_own_answers_on_that_of_its_region(fake_gateway):
    assert attachment.attach(factories.owner(), put_elsewhere(fake_gateway, "77", dns="")).shared_address is True


def test_an_empty_endpoint_and_a_person_without_rights_are_refused(fake_gateway):
    empty = put_elsewhere(fake_gateway)
    with pytest.raises(NotAllowedNow, match="No model is deployed"):
        attachment.attach(factories.owner(), empty)
    full = put_elsewhere(fake_gateway, "77")
    with pytest.raises(NotAllowedNow, match="Only an administrator"):
        attachment.attach(factories.team_mate(), full)
    assert Endpoint.objects.count() == 0


def test_undeploying_it_leaves_the_registry_alone(fake_gateway):
    endpoint = attachment.attach(factories.owner(), put_elsewhere(fake_gateway, "77", "78"))
    endpoints.request_undeploy(endpoint)
    Driver().rest(endpoint)
    endpoint.refresh_from_db()
    assert (endpoint.state, fake_gateway.deployment.endpoints[NAME].deployed_models) == ("UNDEPLOYED", ())
    assert sorted(fake_gateway.deployment.models) == [f"{PARENT}/models/m77", f"{PARENT}/models/m78"]
    assert set(endpoint.deployed_models.values_list("model_resource_name", flat=True)) == {""}
    endpoints.request_delete(endpoint)
    Driver().rest(endpoint)
    endpoint.refresh_from_db()
    assert (endpoint.state, NAME in fake_gateway.deployment.endpoints) == ("DELETED", False)
    assert sorted(fake_gateway.deployment.models) == [f"{PARENT}/models/m77", f"{PARENT}/models/m78"]
    assert "deployment.delete_model" not in fake_gateway.calls


def test_deleting_one_that_others_undeployed_leaves_the_registry_alone(fake_gateway):
    endpoint = attachment.attach(factories.owner(), put_elsewhere(fake_gateway, "77"))
    there = fake_gateway.deployment.endpoints[NAME]
    fake_gateway.deployment.endpoints[NAME] = replace(there, deployed_models=(), traffic_split={})
    Driver().until(endpoint, state="UNDEPLOYED")
    endpoints.request_delete(endpoint)
    Driver().until(endpoint, state="DELETED")
    assert (list(fake_gateway.deployment.models), NAME in fake_gateway.deployment.endpoints) == (
        [f"{PARENT}/models/m77"], False,
    )  # fmt: skip


def test_one_of_its_models_goes_and_stays_in_the_registry(fake_gateway):
    endpoint = attachment.attach(factories.owner(), put_elsewhere(fake_gateway, "77", "78"))
    gone = deployed_models.undeploy(endpoint, "77", {"78": 100})
    Driver().until(gone, state="UNDEPLOYED")
    left = [model.id for model in fake_gateway.deployment.endpoints[NAME].deployed_models]
    assert (left, "deployment.delete_model" in fake_gateway.calls) == (["78"], False)


def test_no_lease_ends_it(fake_gateway):
    endpoint = attachment.attach(factories.owner(), put_elsewhere(fake_gateway, "77"))
    with pytest.raises(NotAllowedNow, match="only a person undeploys it"):
        lifetime.set_lease(endpoint, kind="FIXED", hours=1)
    later = NOW + timedelta(days=365)
    assert (lifetime.due(later), lifetime.end(endpoint.pk, later)) == ([], False)
    with pytest.raises(Exception, match="no_lease_on_attached"):
        Endpoint.objects.filter(pk=endpoint.pk).update(undeploy_at=NOW)


def test_detaching_changes_nothing_in_vertex_ai(fake_gateway):
    found = put_elsewhere(fake_gateway, "77")
    endpoint = attachment.attach(factories.owner(), found)
    calls = len(fake_gateway.calls)
    attachment.detach(endpoint)
    attachment.detach(endpoint)
    Driver().rest(endpoint)
    assert (endpoint.state, endpoint.phase, len(fake_gateway.calls)) == ("DELETED", "CLOSED", calls)
    assert len(fake_gateway.deployment.endpoints[NAME].deployed_models) == 1
    assert AuditEntry.objects.filter(action="endpoint.detach").count() == 1
    again = attachment.attach(factories.owner(), found)
    assert (again.pk != endpoint.pk, again.state) == (True, "READY")


def test_a_step_that_is_under_way_ends_with_detaching(fake_gateway):
    endpoint = attachment.attach(factories.owner(), put_elsewhere(fake_gateway, "77"))
    endpoints.request_replicas(endpoint.deployed_models.get(), minimum=1, maximum=1)
    endpoint.deployed_models.update(lease_token=uuid4(), lease_until=NOW, operation_name="operations/1")
    attachment.detach(endpoint)
    row = endpoint.deployed_models.get()
    assert (row.state, row.phase, row.operation_name) == ("UNDEPLOYED", "CLOSED", "")
    assert (row.lease_token, row.lease_until, row.replicas_asked_at, row.next_check_at) == (None, None, None, None)


def test_what_was_made_here_and_what_is_being_changed_is_not_detached(fake_gateway):
    with pytest.raises(NotAllowedNow, match="was made here"):
        attachment.detach(factories.ready_endpoint())
    endpoint = attachment.attach(factories.owner(), put_elsewhere(fake_gateway, "77"))
    endpoints.request_undeploy(endpoint)
    with pytest.raises(NotAllowedNow, match="is being changed"):
        attachment.detach(endpoint)


def test_who_is_no_administrator_any_more_changes_nothing(fake_gateway):
    endpoint = attachment.attach(factories.owner(), put_elsewhere(fake_gateway, "77"))
    factories.owner().__class__.objects.filter(pk=endpoint.owner_id).update(is_superuser=False)
    for ask in (endpoints.request_undeploy, endpoints.deploy_again):
        with pytest.raises(NotAllowedNow, match="wasn't made here"):
            ask(Endpoint.objects.get(pk=endpoint.pk))
    endpoints.request_delete(Endpoint.objects.get(pk=endpoint.pk))
    with pytest.raises(NotAllowedNow, match="Only an administrator"):
        endpoints.request_replicas(DeployedModel.objects.get(endpoint=endpoint), minimum=1, maximum=1)
    assert Endpoint.objects.get(pk=endpoint.pk).state == "READY"


def test_machines_that_no_column_takes_are_attached(fake_gateway):
    wild = Machines("x" * 99, "y" * 99, -1, 2**31, -5, 2**31)
    model = FoundModel("7" * 64, "m" * 999, "", wild, None, 700)
    fake_gateway.inventory.add(ENDPOINT, Found(f"{PARENT}/endpoints/{'e' * 200}", "", {}, NOW, models=(model, model)))
    looks.look(LOCATION, NOW)
    endpoint = attachment.attach(factories.owner(), FoundResource.objects.get(kind=ENDPOINT))
    row = endpoint.deployed_models.get()
    assert (endpoint.endpoint_user_id, row.min_replicas, row.max_replicas, row.share, row.display_name) == (
        "e" * 63, 9999, 9999, 100, "7" * 64,
    )  # fmt: skip


def test_what_went_while_the_page_was_open_is_refused(fake_gateway):
    found = put_elsewhere(fake_gateway, "77")
    FoundResource.objects.all().delete()
    with pytest.raises(NotAllowedNow, match="in the project anymore"):
        attachment.attach(factories.owner(), found)
