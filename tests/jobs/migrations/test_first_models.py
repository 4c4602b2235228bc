"""A database of before deployed models had rows of their own: pages, states and next steps stay as they were.

The rows in `endpoints_before_deployed_models.json` were written by the code of then, with endpoints in every state, one
with several models, operations under way, leases and a chat. Beside them stands what Vertex AI had at that moment, and
what that code made of each endpoint afterwards.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core import serializers
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import BooleanField, DateTimeField, Field, JSONField
from django.utils import timezone

from jobs.models import Conversation, DeployedModel, Endpoint
from jobs.vertex.values import (
    DeploySpec,
    DeployToExistingSpec,
    MachineSpec,
    RemoteDeployedModel,
    RemoteEndpoint,
    RemoteError,
    RemoteOperation,
)
from tests.fakes import FakeGateway
from tests.fakes.deployment import FakeDeployment, FakeOperation
from tests.support.row_driver import Driver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
BEFORE = ("jobs", "0032_tuning_by_state")
TABLES = (
    "auth_user", "jobs_publishermodel", "jobs_dataset", "jobs_tuningjob", "jobs_jobevent", "jobs_endpoint",
    "jobs_furthermodel", "jobs_endpointevent", "jobs_conversation", "jobs_message", "jobs_notification",
)  # fmt: skip
OURS: list[Any] = [User, *apps.get_app_config("jobs").get_models()]
STORED = json.loads(Path("tests/fixtures/endpoints_before_deployed_models.json").read_text())


def migrate(target: list[Any]) -> Any:
    executor = MigrationExecutor(connection)
    executor.migrate(target)
    return MigrationExecutor(connection).loader.project_state(target).apps


def newest() -> list[Any]:
    return [node for node in MigrationExecutor(connection).loader.graph.leaf_nodes() if node[0] == "jobs"]


def value_of(field: "Field[Any, Any]", stored: Any) -> Any:
    if field.is_relation:
        field = field.target_field
    if stored is None or isinstance(field, BooleanField):
        return stored if stored is None else bool(stored)
    if isinstance(field, DateTimeField):
        return datetime.fromisoformat(stored).replace(tzinfo=UTC)
    return json.loads(stored) if isinstance(field, JSONField) else field.to_python(stored)


def insert(apps: Any, table: str) -> None:
    (model,) = [one for one in apps.get_models() if one._meta.db_table == table]
    fields = {field.column: field for field in model._meta.concrete_fields}
    columns = STORED["tables"][table]["columns"]
    for row in STORED["tables"][table]["rows"]:
        known = {name: value for name, value in zip(columns, row, strict=True) if name in fields}
        model(**{fields[name].attname: value_of(fields[name], value) for name, value in known.items()}).save_base(
            raw=True, force_insert=True
        )


@pytest.fixture
def then(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The moment in which the rows were written."""
    moment = datetime.fromisoformat(STORED["world"]["now"])
    monkeypatch.setattr(timezone, "now", lambda: moment)
    return moment


@pytest.fixture(scope="module")
def migrated_rows() -> list[Any]:
    """What the old rows have become, once a test has migrated them."""
    return []


@pytest.fixture
def migrated(transactional_db: None, then: datetime, migrated_rows: list[Any]) -> None:
    """The newest tables, with what the old rows have become."""
    if not migrated_rows:
        migrate_old_rows()
        migrated_rows += [row for model in OURS for row in serializers.serialize("python", model._base_manager.all())]
        return
    with transaction.atomic():
        for row in serializers.deserialize("python", deepcopy(migrated_rows)):
            row.save()


def migrate_old_rows() -> None:
    old = migrate([BEFORE])
    try:
        with transaction.atomic():
            for table in TABLES:
                insert(old, table)
    finally:
        migrate(newest())


def deployed(told: dict[str, Any]) -> RemoteDeployedModel:
    machine = MachineSpec(**told["machine"]) if told["machine"] else None
    return RemoteDeployedModel(**told | {"machine": machine})


def spec_of(kind: Callable[..., Any], told: dict[str, Any]) -> Any:
    return kind(**told | {"machine": MachineSpec(**told["machine"]) if told["machine"] else None})


def finish(world: FakeDeployment, told: dict[str, Any]) -> Callable[[], Any]:
    """What the operation does at its end, by the name of the fake's function."""
    given = told["with"]
    match told["does"][0]:
        case "_serve":
            return lambda: world._serve(given["name"], given["model"])
        case "_serve_too":
            spec = spec_of(DeployToExistingSpec, given["spec"])
            return lambda: world._serve_too(spec, given["traffic_split"])
        case "_undeployed":
            return lambda: world._undeployed(given["endpoint"], given["deployed_model_id"], given["traffic_split"])
        case "_scaled":
            low, high = given["min_replicas"], given["max_replicas"]
            return lambda: world._scaled(given["endpoint"], given["deployed_model_id"], low, high)
        case _:
            return lambda: world.models.pop(given["name"], None)


@pytest.fixture
def world(fake_gateway: FakeGateway) -> FakeGateway:
    """Vertex AI as it was then; deployments go on."""
    stored, known = STORED["world"], fake_gateway.deployment
    for name, told in stored["endpoints"].items():
        models = tuple(map(deployed, told["deployed_models"]))
        known.endpoints[name] = RemoteEndpoint(**told | {"deployed_models": models})
    known.models.update(stored["models"])
    known.specs.update({name: spec_of(DeploySpec, told) for name, told in stored["specs"].items()})
    known.coming.update({name: set(ids) for name, ids in stored["coming"].items()})
    for told in stored["operations"]:
        error = RemoteError(**told["state"]["error"]) if told["state"]["error"] else None
        state = RemoteOperation(**told["state"] | {"error": error})
        known.operations[told["name"]] = FakeOperation(state, finish(known, told), told["by_itself"], told["deploys"])
    fake_gateway.storage.objects.update(dict.fromkeys(stored["objects"], b"x"))
    fake_gateway.automatic = True
    return fake_gateway


def seen(endpoint: Endpoint) -> dict[str, Any]:
    model = endpoint.model
    return {
        "id": str(endpoint.pk),
        "state": endpoint.state,
        "label": endpoint.label,
        "base_model": model.base_model,
        "machine": model.machine_type,
        "model_name": model.display_name,
        "replicas": [model.min_replicas, model.max_replicas],
        "stage": model.stage,
        "traffic": endpoint.traffic,
        "undeploy_at": endpoint.undeploy_at and endpoint.undeploy_at.isoformat(),
        "events": [str(event.message) for event in endpoint.events.all()],
    }


# Events are stored as a kind and its facts, so they are read in today's words.
REWORDED = {
    " % of the traffic.": "% of the traffic.",
    "You asked for these shares of traffic:": "You asked for this traffic split:",
    "You asked for 1–4 replicas.": "You requested this number of replicas: 1–4.",
    "You asked for 2–3 replicas.": "You requested this number of replicas: 2–3.",
    "no answer came back. Looking for it in Vertex AI first.": (
        "no response came back. The console looks for it in Vertex AI first."
    ),
    "The endpoint id ": "The endpoint ID ",
    "is taken by another endpoint.": "is already in use.",
}


def reword(sentence: str) -> str:
    for then, today in REWORDED.items():
        sentence = sentence.replace(then, today)
    return sentence


def test_each_endpoint_is_what_it_was(migrated):
    names = seen(Endpoint.objects.with_model().first())
    before = {name: {key: told[key] for key in names} for name, told in STORED["before"].items()}
    for told in before.values():
        told["events"] = [reword(sentence) for sentence in told["events"]]
    assert {endpoint.display_name: seen(endpoint) for endpoint in Endpoint.objects.with_model()} == before


def test_each_model_has_a_row(migrated):
    known = {(model.endpoint.display_name, model.display_name): model.state for model in DeployedModel.objects.all()}
    assert known == {
        ("Unsent", "Unsent"): "DEPLOYING",
        ("Deploying", "A model of its own"): "DEPLOYING",
        ("Ambiguous", "Ambiguous"): "DEPLOYING",
        ("Leased", "Leased"): "READY",
        ("Asked for replicas", "Asked for replicas"): "READY",
        ("Changing replicas", "Changing replicas"): "READY",
        ("Shared", "Shared"): "READY",
        ("Shared", "Second"): "READY",
        ("Shared", "Third"): "DEPLOYING",
        ("Exchanged", "Heir"): "READY",
        ("Exchanged", "Exchanged"): "UNDEPLOYED",
        ("Traffic asked", "Traffic asked"): "READY",
        ("Traffic asked", "Other"): "READY",
        ("Given up while deploying", "Given up while deploying"): "UNDEPLOYING",
        ("Undeploying", "Undeploying"): "UNDEPLOYING",
        ("Deleting", "Deleting"): "UNDEPLOYING",
        ("Undeployed", "Undeployed"): "UNDEPLOYED",
        ("Failed", "Failed"): "FAILED",
        ("Taken", "Taken"): "FAILED",
        ("Deleted", "Deleted"): "UNDEPLOYED",
        ("Captain", "Captain"): "READY",
    }


def test_pages_show_them(migrated, client):
    client.force_login(Endpoint.objects.first().owner)
    listed = client.get("/endpoints/").content.decode()
    for endpoint in Endpoint.objects.not_deleted().with_model():
        assert endpoint.display_name in listed
        page = client.get(f"/endpoints/{endpoint.pk}/")
        assert (page.status_code, endpoint.display_name in page.content.decode()) == (200, True)
    for talk in Conversation.objects.all():
        assert client.get(f"/studio/chat/{talk.pk}/").status_code == 200
    assert "Captain" in client.get("/models/").content.decode()


def final(world: FakeGateway, endpoint: Endpoint) -> dict[str, Any]:
    remote = world.deployment.endpoints.get(endpoint.resource_name)
    models = remote and sorted([one.display_name, one.min_replicas, one.max_replicas] for one in remote.deployed_models)
    return {
        "state": endpoint.state, "phase": endpoint.phase, "traffic": endpoint.traffic, "models": models,
        "replicas": [endpoint.model.min_replicas, endpoint.model.max_replicas],
    }  # fmt: skip


def test_the_next_steps_lead_where_they_led(migrated, world, then):
    driver = Driver()
    assert driver.now == then
    for _ in range(40):
        for endpoint in Endpoint.objects.exclude(next_check_at=None, deployed_models__next_check_at=None).distinct():
            driver.step(endpoint)
    after = {name: {key: told[key] for key in ("state", "phase", "traffic", "models", "replicas")}
             for name, told in STORED["after"].items()}  # fmt: skip
    assert {one.display_name: final(world, one) for one in Endpoint.objects.with_model()} == after
    unsent = Endpoint.objects.get(display_name="Unsent")
    assert [creation.name for creation in world.ledger] == [unsent.resource_name]
