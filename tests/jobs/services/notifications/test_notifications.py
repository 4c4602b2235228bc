"""One end, one notification, whatever is repeated on the way; and what of it goes out."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone, translation

from jobs.models import Delivery, DeployedModel, Endpoint, Notification, NotificationKind, TuningJob
from jobs.models.notification import bell_of
from jobs.services.datasets import derive
from jobs.services.endpoints import deployed_models, endpoints, lifetime
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.endpoints import DeploymentSpec, Machine
from jobs.services.notifications import notifications
from jobs.services.notifications.notifications import End
from jobs.services.tuning import jobs
from tests.support import factories
from tests.support.row_driver import Driver

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(fake_gateway):
    fake_gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    return Driver()


def job(driver, **values):
    return factories.job(next_check_at=driver.now, **values)


def deployed(owner, driver, gateway, **values):
    gateway.automatic = True
    spec = DeploymentSpec("Base", factories.BASE_MODEL, accepts_licence=True, **values)
    return driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="READY")


def told(row):
    found = Notification.objects.filter(subject_id=row.pk).order_by("created_at")
    return [(one.kind, one.title, one.detail) for one in found]


def test_a_job_that_succeeds(driver, fake_gateway):
    fake_gateway.automatic = True
    row = driver.rest(job(driver))
    assert told(row) == [("tuning.succeeded", "Tuning My model succeeded", "")]
    assert Notification.objects.get().read_at is None


def test_a_job_that_fails_says_why(driver, fake_gateway):
    row = driver.until(job(driver), phase="BOUND")
    fake_gateway.tuning.fail(row.resource_name, "RESOURCE_EXHAUSTED", "Out of memory.")
    driver.rest(row)
    assert told(row) == [("tuning.failed", "Tuning My model failed", row.error_message)]
    assert Notification.objects.get().facts["code"] == "RESOURCE_EXHAUSTED"


@pytest.mark.parametrize(
    ("state", "title"),
    [("PARTIALLY_SUCCEEDED", "Tuning My model partially succeeded"), ("EXPIRED", "Tuning My model expired"),
     ("CANCELLED", "Tuning My model was cancelled")],
)  # fmt: skip
def test_the_other_ends(driver, fake_gateway, state, title):
    row = driver.until(job(driver), phase="BOUND")
    fake_gateway.tuning.set_state(row.resource_name, state)
    driver.rest(row)
    assert [one.title for one in Notification.objects.all()] == [title]


def test_a_cancel_that_vertex_ai_carries_out(driver, fake_gateway):
    row = driver.until(job(driver), phase="BOUND")
    jobs.request_cancel(row)
    driver.rest(row)
    assert [(one.kind, one.read_at) for one in Notification.objects.all()] == [("tuning.cancelled", None)]


def test_what_a_click_ends_at_once_is_read_already(driver):
    row = job(driver)
    jobs.request_cancel(row)
    assert [(one.kind, one.read_at is None) for one in Notification.objects.all()] == [("tuning.cancelled", False)]


def test_an_outcome_that_nobody_knows_asks_for_a_decision_each_time(driver, fake_gateway):
    row = job(driver)
    for _ in range(2):
        fake_gateway.drop_before("tuning.create")
        driver.until(row, phase="NEEDS_DECISION")
        driver.step(row)
        jobs.decide(row, again=True)
    fake_gateway.drop_before("tuning.create")
    driver.until(row, phase="NEEDS_DECISION")
    jobs.decide(row, again=False)
    assert [kind for kind, _title, _detail in told(row)] == ["tuning.undecided"] * 3 + ["tuning.failed"]


def test_an_endpoint_that_is_ready_and_deleted(owner, driver, fake_gateway):
    row = deployed(owner, driver, fake_gateway)
    endpoints.request_delete(row)
    driver.rest(row)
    assert told(row) == [
        ("endpoint.ready", "The endpoint Base is ready", ""), ("endpoint.deleted", "The endpoint Base was deleted", ""),
    ]  # fmt: skip


def test_an_endpoint_that_fails(owner, driver, fake_gateway):
    fake_gateway.refuse("deployment.deploy", "No quota for machines.")
    spec = DeploymentSpec("Base", factories.BASE_MODEL, accepts_licence=True)
    row = driver.until(endpoints.deploy_model(owner, key=uuid4(), spec=spec), state="FAILED")
    assert told(row) == [("endpoint.failed", "The endpoint Base failed", row.error_message)]


@pytest.mark.parametrize(
    ("kind", "detail"),
    [("FIXED", "Time limit reached."), ("IDLE", "Time limit reached: no requests for 2 hours.")],
)
def test_a_lease_that_is_over(owner, driver, fake_gateway, kind, detail):
    row = deployed(owner, driver, fake_gateway, lease_hours=2, lease_kind=kind)
    assert lifetime.end(row.pk, row.undeploy_at)
    driver.until(row, state="UNDEPLOYED")
    assert told(row)[-1] == ("endpoint.undeployed", "The endpoint Base was undeployed", detail)


def test_undeployed_by_its_owner_needs_no_reason(owner, driver, fake_gateway):
    row = deployed(owner, driver, fake_gateway)
    endpoints.request_undeploy(row)
    driver.until(row, state="UNDEPLOYED")
    assert told(row)[-1] == ("endpoint.undeployed", "The endpoint Base was undeployed", "")


def test_undeployed_by_somebody_else(owner, driver, fake_gateway):
    row = deployed(owner, driver, fake_gateway)
    fake_gateway.deployment.finish(fake_gateway.deployment.undeploy(row.resource_name, row.model.deployed_model_id, {}))
    driver.until(row, state="UNDEPLOYED")
    assert told(row)[-1][2] == "It was done outside this console."


def test_replicas_that_were_changed_and_that_were_not(owner, driver, fake_gateway):
    row = deployed(owner, driver, fake_gateway, machine=Machine("n2-standard-8"))
    endpoints.request_replicas(row.model, minimum=1, maximum=4)
    driver.until(row.model, replicas_asked_at=None, operation_name="")
    fake_gateway.refuse("deployment.scale", "No quota.")
    endpoints.request_replicas(row.model, minimum=9, maximum=9)
    driver.until(row.model, replicas_asked_at=None, operation_name="")
    assert [found[1:] for found in told(row)[1:]] == [
        ("The replicas of the endpoint Base were changed", "Current number of replicas: 1–4."),
        ("The replicas of the endpoint Base were not changed", "No quota."),
    ]


def added(endpoint, driver):
    spec = DeployedModelSpec(display_name="Other", share=20, publisher_model=factories.BASE_MODEL)
    return driver.until(deployed_models.add(endpoint, key=uuid4(), spec=spec), state="READY")


def test_a_model_beside_others_has_ends_of_its_own(owner, driver, fake_gateway):
    row = deployed(owner, driver, fake_gateway)
    model = added(row, driver)
    driver.step(row)
    deployed_models.undeploy(row, model.deployed_model_id, {row.model.deployed_model_id: 100})
    driver.until(model, state="UNDEPLOYED")
    assert [title for _kind, title, _detail in told(row)[1:]] == [
        "The model Other is ready on the endpoint Base", "The model Other was undeployed from the endpoint Base",
    ]  # fmt: skip


def test_a_model_that_cannot_be_added_says_why(owner, driver, fake_gateway):
    row = deployed(owner, driver, fake_gateway)
    fake_gateway.refuse("deployment.deploy_to_existing", "No quota for machines.")
    spec = DeployedModelSpec(display_name="Other", share=20, publisher_model=factories.BASE_MODEL)
    model = driver.until(deployed_models.add(row, key=uuid4(), spec=spec), state="FAILED")
    assert told(row)[1:] == [
        ("model.failed", "The model Other could not be deployed on the endpoint Base", model.error_message)
    ]


def test_models_that_go_with_their_endpoint_are_one_end(owner, driver, fake_gateway):
    row = deployed(owner, driver, fake_gateway)
    model = added(row, driver)
    driver.step(row)
    endpoints.request_undeploy(row)
    driver.until(model, state="UNDEPLOYED")
    driver.until(row, state="UNDEPLOYED")
    assert [kind for kind, _title, _detail in told(row)] == ["endpoint.ready", "model.ready", "endpoint.undeployed"]


def test_a_dataset_that_was_split_is_known_to_who_waited_for_it(owner):
    parts = derive.split(factories.dataset(owner=owner), share=20, seed=1)
    found = Notification.objects.filter(kind="dataset.made")
    assert {one.subject_id for one in found} == {part.pk for part in parts}
    assert found.unread().count() == 0


def test_an_upload_ends_nothing(owner):
    factories.dataset(owner=owner)
    assert Notification.objects.count() == 0


def test_what_does_not_commit_tells_nothing(driver, fake_gateway):
    fake_gateway.automatic = True
    row = driver.until(job(driver), state="RUNNING")

    def refuse_events(execute, sql, params, many, context):
        if sql.startswith('INSERT INTO "jobs_jobevent"'):
            raise RuntimeError("no disk")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse_events):
        driver.step(row)
    assert (row.state, Notification.objects.count()) == ("RUNNING", 0)
    driver.rest(row)
    assert len(told(row)) == 1


def test_the_same_end_again_is_the_same_and_sends_nothing_more(owner):
    factories.notification_choice(user=owner)
    end, pk = End("tuning.failed", "FAILED", {"name": "My model"}), uuid4()
    first, second = (notifications.tell(owner.pk, "tuning_job", pk, end) for _ in range(2))
    assert (first, Delivery.objects.count()) == (second, 1)


def test_only_what_is_wanted_goes_out_where_there_is_an_address(owner, settings):
    settings.EMAIL_HOST = "mail.example"
    factories.notification_choice(user=owner, ways={"tuning.failed": ["email"], "endpoint.deleted": ["webhook"]})
    ways = {kind.value: notifications.list_ways(owner.pk, kind) for kind in NotificationKind}
    assert (ways["tuning.failed"], ways["endpoint.deleted"]) == (["email"], ["webhook"])
    assert (ways["tuning.succeeded"], ways["tuning.cancelled"]) == (["email", "webhook"], [])


def test_without_a_mail_server_no_email_is_even_tried(owner):
    factories.notification_choice(user=owner)
    assert notifications.list_ways(owner.pk, "tuning.failed") == ["webhook"]


def test_nobody_has_chosen_anything(owner):
    assert notifications.list_ways(owner.pk, "tuning.failed") == []


def test_marking_all_leaves_what_came_meanwhile(owner, stranger):
    old, new = factories.notification(), factories.notification()
    theirs = factories.notification(owner=stranger, created_at=old.created_at)
    assert notifications.mark_all_read(owner, old.created_at) == 1
    assert set(Notification.objects.unread()) == {new, theirs}


def test_the_old_ones_are_forgotten(owner):
    now = timezone.now()
    factories.notification(created_at=now - timedelta(days=91))
    kept = factories.notification(created_at=now - timedelta(days=89))
    notifications.prune(now)
    assert list(Notification.objects.all()) == [kept]


def test_the_bell_counts_ones_own_in_one_query(owner, stranger, django_assert_num_queries):
    for who in (owner, owner, stranger):
        factories.notification(owner=who)
    factories.notification(read_at=factories.NOW)
    with django_assert_num_queries(1):
        bell = bell_of(owner)
    assert (bell.unread, bell.runs) == (2, False)


def adding():
    return factories.deployed_model(endpoint=factories.ready_endpoint(), state="DEPLOYING")


@pytest.mark.parametrize("make", [factories.job, factories.endpoint, adding])
def test_the_bell_turns_while_something_runs(owner, make):
    make()
    assert bell_of(owner).runs
    for model in (TuningJob, Endpoint, DeployedModel):
        model.objects.update(state="FAILED")
    assert not bell_of(owner).runs


@pytest.mark.parametrize("kind", NotificationKind)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_kind_has_its_sentence(kind, language):
    made = factories.notification(kind=kind, facts={"name": "A 100 % model", "hours": 1})
    with translation.override(language):
        assert "%" not in made.title.replace("100 %", "")


def test_created_by_a_double_click_it_is_one(owner):
    row = jobs.create(owner, key=uuid4(), spec=factories.tuning_spec())
    jobs.request_cancel(row)
    with pytest.raises(Exception, match="already ended"):
        jobs.request_cancel(row)
    assert Notification.objects.count() == 1
