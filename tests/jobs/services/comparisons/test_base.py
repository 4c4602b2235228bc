from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import AuditEntry, Comparison, DeployedModel, Endpoint
from jobs.services.comparisons import base, comparisons
from jobs.services.endpoints.endpoints import Machine
from tests.support import factories

pytestmark = pytest.mark.django_db

HERE = base.Deployment(Machine("local-cpu"), lease_hours=2)


@pytest.fixture
def tuned(owner):
    return factories.ready_endpoint(job=factories.job(), artifact_uri="gs://bucket/final", display_name="Tuned")


def test_the_base_is_an_endpoint_of_mine_that_serves_it_or_is_about_to(owner, team_mate, tuned):
    factories.ready_endpoint(owner=team_mate)
    factories.endpoint(state="FAILED")
    factories.ready_endpoint(wanted="UNDEPLOYED")
    assert base.find(tuned) is None
    coming = factories.endpoint()
    assert base.find(tuned) == coming
    ready = factories.ready_endpoint()
    assert base.find(tuned) == ready


def test_what_is_deployed_is_the_base_model_with_its_end_and_one_however_often_it_is_asked_for(owner, tuned):
    factories.publisher_model()
    key = uuid4()
    made = [base.deploy(owner, key=key, tuned=tuned, deployment=HERE) for key in (key, key, uuid4())]
    new = Endpoint.objects.with_model().exclude(pk=tuned.pk).get()
    assert (new.model.publisher_model, new.model.machine_type) == (factories.BASE_MODEL, "local-cpu")
    assert (new.lease_kind, new.lease_hours, new.state) == ("FIXED", 2, "DEPLOYING")
    assert (made[0], Comparison.objects.count()) == (made[1], 2)
    for one in made:
        assert [column.endpoint for column in one.columns.order_by("column")] == [new, tuned]
    assert [row.action for row in AuditEntry.objects.order_by("number")][:1] == ["endpoint.deploy"]


def test_the_first_question_waits_for_the_deployment(owner, tuned):
    factories.publisher_model()
    made = base.deploy(owner, key=uuid4(), tuned=tuned, deployment=HERE)
    with pytest.raises(errors.NotAllowedNow, match="is being deployed. Ask when it is ready"):
        comparisons.send(made, key=uuid4(), text="Ahoy")
    Endpoint.objects.update(state="READY")
    assert [answer.state for answer in comparisons.send(made, key=uuid4(), text="Ahoy")] == ["WAITING", "WAITING"]


@pytest.mark.parametrize(
    ("listed", "changed", "reason"),
    [
        ({}, {"main_model__base_model": ""}, "no tuned model whose base model is known"),
        ({}, {"state": "UNDEPLOYED"}, "Retry when it is ready"),
        ({"can_deploy": False}, {}, "doesn't offer deployment"),
        ({"data": {}}, {}, "doesn't offer deployment"),
        (None, {}, "catalogue does not have the base model gemma-3-270m"),
    ],
)
def test_what_cannot_be_deployed_is_refused_with_the_reason(owner, tuned, listed, changed, reason):
    if listed is not None:
        factories.publisher_model(**listed)
    for name, value in changed.items():
        rows = DeployedModel.objects.all() if name.startswith("main_model__") else Endpoint.objects.all()
        rows.update(**{name.removeprefix("main_model__"): value})
    with pytest.raises(errors.NotAllowedNow, match=reason):
        base.deploy(owner, key=uuid4(), tuned=tuned, deployment=HERE)
    assert (Comparison.objects.count(), Endpoint.objects.count()) == (0, 1)


def test_nothing_is_kept_when_the_lease_is_wrong(owner, tuned):
    factories.publisher_model()
    wrong = base.Deployment(Machine("local-cpu"), lease_hours=100_000)
    with pytest.raises(errors.NotAllowedNow, match="from 1 to 720"):
        base.deploy(owner, key=uuid4(), tuned=tuned, deployment=wrong)
    assert (Comparison.objects.count(), Endpoint.objects.count()) == (0, 1)
