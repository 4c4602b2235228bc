"""An imported model that an administrator removes: what keeps it, what the worker does, and what is left."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from jobs.errors import NotAllowedNow
from jobs.models import AuditEntry, ModelImport, ModelImportState as State, PublisherModel
from jobs.services.catalogue.hub import imports, removal
from jobs.vertex.errors import NotFound, Refused, Unavailable
from tests.fakes import FakeGateway
from tests.fakes.imports import FREED
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("with_imports")]
NAME = "hf-acme/tiny@001"
LATER = timedelta(seconds=30)


@pytest.fixture
def model(owner: User) -> PublisherModel:
    return factories.publisher_model(name=NAME, data={"imported_bytes": FREED})


def advance(row: ModelImport, after: timedelta = LATER) -> bool:
    changed = imports.advance(row.pk, timezone.now() + after)
    row.refresh_from_db()
    return changed


def make_tuned_job(**values: Any) -> Any:
    return factories.job(**{"base_model": NAME, "state": "SUCCEEDED", "phase": "CLOSED"} | values)


def deploy_model(**values: Any) -> Any:
    endpoint = factories.ready_endpoint(display_name="Mine")
    return factories.deployed_model(endpoint=endpoint, **{"base_model": NAME, "state": "READY"} | values)


def test_from_the_order_to_the_free_disk(owner: User, model: PublisherModel, fake_gateway: FakeGateway) -> None:
    row = factories.model_import(state="READY", model=NAME)
    assert removal.remove(owner, model) == row
    assert (ModelImport.objects.get().state, imports.due(timezone.now() + LATER)) == (State.REMOVING, [row.pk])
    assert (advance(row), row.state, row.done_bytes) == (True, State.REMOVED, FREED)
    assert (fake_gateway.imports.removed, imports.due(timezone.now() + LATER * 2)) == ([NAME], [])
    entry = AuditEntry.objects.get(action="model.remove")
    assert (entry.object_id, entry.facts) == (str(row.pk), {"model": NAME})


def test_an_import_that_is_forgotten_is_removed_by_the_name_of_its_model(
    owner: User, model: PublisherModel, fake_gateway: FakeGateway
) -> None:
    """Also that of another administrator, whose import then says that it is gone."""
    other = factories.model_import(owner=factories.team_mate(), state="READY", model=NAME, done_bytes=5_000_000)
    row = removal.remove(owner, model)
    assert (row.owner, row.source, row.state, row.title) == (owner, NAME, State.REMOVING, model.display_name)
    advance(row)
    other.refresh_from_db()
    assert (other.state, other.done_bytes) == (State.REMOVED, FREED)


def test_what_is_gone_already_was_removed(owner: User, model: PublisherModel, fake_gateway: FakeGateway) -> None:
    row = removal.remove(owner, model)
    fake_gateway.fail("imports.remove", NotFound("No such model.", "NOT_FOUND"))
    assert (advance(row), row.state, row.done_bytes) == (True, State.REMOVED, 0)


def test_an_order_is_repeated_until_the_server_takes_it(
    owner: User, model: PublisherModel, fake_gateway: FakeGateway
) -> None:
    row = removal.remove(owner, model)
    fake_gateway.fail("imports.remove", Unavailable("It is being made ready.", "UNAVAILABLE"))
    assert (advance(row), row.state, fake_gateway.imports.removed) == (False, State.REMOVING, [])
    assert (advance(row, LATER * 2), row.state) == (True, State.REMOVED)


def test_what_the_server_refuses_stays_and_says_why(
    owner: User, model: PublisherModel, fake_gateway: FakeGateway
) -> None:
    row = removal.remove(owner, model)
    fake_gateway.fail("imports.remove", Refused("It is used by the endpoint X.", "FAILED_PRECONDITION"))
    assert (advance(row), row.state, row.error) == (False, State.READY, "It is used by the endpoint X.")
    assert removal.remove(owner, model).error == ""


def test_a_double_click_removes_once(owner: User, model: PublisherModel) -> None:
    removal.remove(owner, model)
    with pytest.raises(NotAllowedNow, match="The model is already being removed."):
        removal.remove(owner, model)
    assert ModelImport.objects.count() == 1


@pytest.mark.parametrize(
    ("use", "name"),
    [
        (lambda: deploy_model(publisher_model=NAME), "the endpoint Mine"),
        (lambda: deploy_model(artifact_uri="gs://b/f", job=make_tuned_job(), state="DEPLOYING"), "the endpoint Mine"),
        (lambda: factories.job(base_model=NAME, display_name="Ahoy"), "the job Ahoy"),
    ],
)
def test_what_uses_it_keeps_it_and_is_named(
    owner: User, model: PublisherModel, fake_gateway: FakeGateway, use: Any, name: str
) -> None:
    use()
    with pytest.raises(NotAllowedNow, match=f"In use by {name}. Undeploy the model from endpoints"):
        removal.remove(owner, model)
    assert not ModelImport.objects.exists()


def test_what_others_do_with_it_keeps_it_and_is_not_named(owner: User, model: PublisherModel) -> None:
    factories.job(owner=factories.team_mate(), base_model=NAME, display_name="Secret")
    assert removal.uses_of(model).list_blocking(owner) == ["somebody else"]


@pytest.mark.parametrize(
    "use",
    [
        lambda: deploy_model(artifact_uri="gs://b/f", job=make_tuned_job(tuning_mode="FULL")),
        lambda: deploy_model(artifact_uri="gs://b/f", job=make_tuned_job(custom_base_model="gs://b/first")),
        lambda: deploy_model(publisher_model=NAME, state="UNDEPLOYED"),
        lambda: deploy_model(publisher_model="hf-acme/tiny@002", base_model="hf-acme/tiny@002"),
        make_tuned_job,
    ],
)
def test_what_has_ended_or_has_weights_of_its_own_does_not_keep_it(
    owner: User, model: PublisherModel, use: Any
) -> None:
    use()
    assert removal.why_not_remove(owner, model) == ""


def test_adapters_are_told_apart_from_merged_models(owner: User, model: PublisherModel) -> None:
    """A full tuning left all weights at each checkpoint, and so needs none of these."""
    adapter, merged = make_tuned_job(result_form="adapter"), make_tuned_job(result_form="whole")
    make_tuned_job(result_form="whole", tuning_mode="FULL")
    make_tuned_job(result_form="adapter", visibility=2)
    make_tuned_job(result_form="adapter", state="FAILED")
    uses = removal.uses_of(model)
    assert (uses.adapters, uses.merged) == ([adapter], [merged])


def test_only_what_was_imported_is_removed(owner: User) -> None:
    with pytest.raises(NotAllowedNow, match="Only models that were imported can be removed."):
        removal.remove(owner, factories.publisher_model())


def test_only_administrators_remove(model: PublisherModel) -> None:
    with pytest.raises(NotAllowedNow, match="Only an administrator can remove models."):
        removal.remove(factories.team_mate(), model)
