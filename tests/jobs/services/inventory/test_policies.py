import pytest

from jobs.models import FoundKind
from jobs.services.inventory import policies
from tests.support import factories

pytestmark = pytest.mark.django_db


def test_only_administrators_look():
    assert (policies.why_not_look(factories.owner()), bool(policies.why_not_look(factories.team_mate()))) == ("", True)


def test_only_an_endpoint_with_a_model_is_attached():
    owner, full, empty = factories.owner(), factories.found_resource(), factories.found_resource(facts={})
    others = [factories.found_resource(kind=kind) for kind in FoundKind if kind != FoundKind.ENDPOINT]
    assert policies.why_not_attach(owner, full) == ""
    assert policies.why_not_attach(owner, empty).startswith("No model is deployed")
    assert {policies.why_not_attach(owner, one) for one in others} == {"Only an endpoint can be attached."}
    assert policies.why_not_attach(factories.team_mate(), full) == policies.why_not_look(factories.team_mate())


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, ""),
        ({"state": "UNDEPLOYED"}, ""),
        ({"state": "UNDEPLOYING"}, "The endpoint is being changed. Wait until it's done."),
        ({"state": "DELETED"}, "The endpoint isn't in your list anymore."),
        ({"made_here": True}, "This endpoint was made here. Undeploy or delete it instead."),
    ],
)
def test_what_is_detached(values, reason):
    assert policies.why_not_detach(factories.ready_endpoint(**{"made_here": False} | values)) == reason


def test_what_has_a_model_that_comes_or_goes_is_not_detached():
    endpoint = factories.ready_endpoint(made_here=False)
    factories.deployed_model(endpoint=endpoint, state="DEPLOYING")
    assert policies.why_not_detach(endpoint) == "The endpoint is being changed. Wait until it's done."
