"""Pages of an endpoint with several models."""

import pytest
from django.utils import timezone

from jobs.models import DeployedModel
from tests.support import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def shared():
    """Two models with 70 and 30 percent."""
    endpoint = factories.ready_endpoint(display_name="Shop", traffic={"4711": 70, "5001": 30})
    factories.deployed_model(endpoint=endpoint, display_name="Captain", machine_type="g2-standard-12")
    return endpoint


def words(response):
    return " ".join(response.content.decode().split())


def url(endpoint, rest=""):
    return f"/endpoints/{endpoint.pk}/{rest}"


def fresh(endpoint):
    endpoint.refresh_from_db()
    return endpoint


def rows(response):
    return [(one.name, one.share) for one in response.context["models"]]


def test_each_model_is_shown_with_its_share(visitor, shared):
    response = visitor.get(url(shared))
    assert rows(response) == [("Shop", 70), ("Captain", 30)]
    text = words(response)
    for shown in (
        "Models and traffic",
        "70%",
        "30%",
        "g2-standard-12",
        "Change traffic split",
        "Deploy another model",
    ):
        assert shown in text


def test_one_alone_has_no_shares_to_change(visitor):
    response = visitor.get(url(factories.ready_endpoint()))
    assert rows(response) == [("My endpoint", 100)]
    assert ("Deploy another model" in words(response), "Change traffic split" in words(response)) == (True, False)


def test_before_it_is_ready_there_is_no_traffic(visitor):
    assert "Models and traffic" not in words(visitor.get(url(factories.endpoint())))


def test_a_model_from_elsewhere_and_one_on_its_way(visitor):
    endpoint = factories.ready_endpoint(traffic={"4711": 100, "77": 0})
    factories.deployed_model(endpoint=endpoint, state="DEPLOYING", stage="PREPARING_MODEL", deployed_model_id="88")
    text = words(visitor.get(url(endpoint)))
    for shown in ("Deployed outside this console", "Preparing the model", "A model is being deployed"):
        assert shown in text
    assert "models/88/undeploy/" in text
    assert "models/4711/undeploy/" not in text


def test_one_that_failed_today_says_why(visitor):
    endpoint = factories.ready_endpoint()
    factories.deployed_model(endpoint=endpoint, state="FAILED", error_message="No quota.", ended_at=timezone.now())
    factories.deployed_model(endpoint=endpoint, state="FAILED", error_message="Long ago.", ended_at=factories.NOW)
    text = words(visitor.get(url(endpoint)))
    assert ("No quota." in text, "Long ago." in text) == (True, timezone.now().date() == factories.NOW.date())


@pytest.mark.parametrize("number", [1, 3])
def test_the_page_takes_the_same_queries_for_one_and_for_three(visitor, number, django_assert_num_queries):
    endpoint = factories.ready_endpoint()
    for _ in range(number):
        factories.deployed_model(endpoint=endpoint, machine_type="g2-standard-12")
    visitor.get(url(endpoint))
    with django_assert_num_queries(18):
        visitor.get(url(endpoint))


def test_the_list_counts_them_and_adds_their_costs(visitor, shared):
    text = words(visitor.get("/endpoints/"))
    assert "and 1 more model" in text
    shared.deployed_models.update(machine_type="g2-standard-12")
    assert "$2.30" in words(visitor.get("/endpoints/"))


@pytest.mark.parametrize("action", ["traffic/", "models/add/", "models/4711/undeploy/", "models/5001/undeploy/"])
def test_it_asks_in_a_dialog_or_on_a_page(visitor, shared, action):
    path = url(shared, action)
    dialog, page = words(visitor.get(path, **HTMX)), words(visitor.get(path))
    assert (dialog.startswith('<dialog class="confirm"'), "<html" in page) == (True, True)
    assert f'action="{path}"' in page


def test_shares_are_changed(visitor, shared):
    response = visitor.post(url(shared, "traffic/"), {"share-4711": 10, "share-5001": 90})
    assert (response.status_code, fresh(shared).traffic_wanted) == (303, {"4711": 10, "5001": 90})
    assert "Changing the traffic split" in words(visitor.get(url(shared)))


@pytest.mark.parametrize(
    ("first", "second", "problem"),
    [
        ("10", "80", "The traffic split must add up to 100%. It adds up to 90%."),
        ("", "100", "Enter a whole number from 0 to 100."),
        ("x", "100", "Enter a whole number from 0 to 100."),
        ("101", "-1", "Enter a whole number from 0 to 100."),
    ],
)
def test_shares_that_do_not_add_up(visitor, shared, first, second, problem):
    response = visitor.post(url(shared, "traffic/"), {"share-4711": first, "share-5001": second}, **HTMX)
    assert (response.status_code, problem in words(response)) == (422, True)
    assert f'value="{second}"' in words(response)
    assert fresh(shared).traffic_asked_at is None


def choice(text):
    return {"key": "0b0b0b0b-0000-4000-8000-000000000001", "model": text, "share": "25", "machine": ""}


def test_a_base_model_is_put_beside_the_others(visitor, shared):
    factories.publisher_model()
    response = visitor.post(url(shared, "models/add/"), choice(f"base {factories.BASE_MODEL}"))
    model = DeployedModel.objects.get(pk=choice("")["key"])
    assert (response.status_code, response.url, model.display_name, model.share) == (
        303,
        url(shared),
        "gemma-3-270m",
        25,
    )
    assert (model.publisher_model, model.state) == (factories.BASE_MODEL, "DEPLOYING")


def test_a_tuned_model_is_put_beside_the_others(visitor, shared):
    job = factories.job(state="SUCCEEDED", display_name="Tuned")
    visitor.post(url(shared, "models/add/"), {**choice(f"tuned {job.pk}"), "display_name": "Second try"})
    model = DeployedModel.objects.get(pk=choice("")["key"])
    assert (model.job, model.display_name, model.artifact_uri) == (
        job, "Second try", "gs://garden-local/output/my-model/postprocess/node-0/checkpoints/final",
    )  # fmt: skip
    page = words(visitor.get(f"/models/{job.pk}/"))
    assert ("Deployed alongside other models" in page, "Shop" in page) == (True, True)


def test_sent_twice_it_is_one(visitor, shared):
    factories.publisher_model()
    for _ in range(2):
        visitor.post(url(shared, "models/add/"), choice(f"base {factories.BASE_MODEL}"))
    assert DeployedModel.objects.filter(state="DEPLOYING").count() == 1


def test_a_checkpoint_that_can_be_served_is_offered(visitor, shared):
    checkpoints = [{"checkpoint_id": str(number), "epoch": number, "step": 10 * number} for number in (1, 2)]
    full = factories.job(state="SUCCEEDED", tuning_mode="FULL", adapter_size=None, checkpoints=checkpoints)
    adapter = factories.job(state="SUCCEEDED", checkpoints=checkpoints)
    text = words(visitor.get(url(shared, "models/add/")))
    assert [f'value="tuned {job.pk} 1"' in text for job in (full, adapter)] == [True, False]
    assert [f'value="tuned {job.pk}"' in text for job in (full, adapter)] == [True, True]
    assert f'value="tuned {full.pk} 2"' not in text


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"model": ""}, "Choose a model from the list."),
        ({"share": "120"}, "Enter a whole number from 0 to 100."),
        ({"machine": "cray-1"}, "This machine isn&#x27;t available."),
        ({"key": "x"}, "The form was incomplete."),
        ({}, "Read and accept the Gemma Terms of Use"),
    ],
)
def test_what_is_missing_is_said_and_nothing_is_lost(visitor, shared, values, problem):
    factories.publisher_model(licence_acknowledged=False)
    sent = {**choice(f"base {factories.BASE_MODEL}"), "display_name": "Kept", **values}
    response = visitor.post(url(shared, "models/add/"), sent, **HTMX)
    text = words(response)
    assert (response.status_code, problem in text, 'value="Kept"' in text) == (422, True, True)
    assert not DeployedModel.objects.filter(state="DEPLOYING").exists()


def test_with_the_licence_it_goes(visitor, shared):
    factories.publisher_model(licence_acknowledged=False)
    visitor.post(url(shared, "models/add/"), {**choice(f"base {factories.BASE_MODEL}"), "accepts_licence": "on"})
    assert DeployedModel.objects.get(pk=choice("")["key"]).accepts_licence


def test_while_one_is_deployed_no_other_is_asked_for(visitor, shared):
    factories.publisher_model()
    factories.deployed_model(endpoint=shared, state="DEPLOYING")
    assert visitor.get(url(shared, "models/add/")).status_code == 409
    response = visitor.post(url(shared, "models/add/"), choice(f"base {factories.BASE_MODEL}"), **HTMX)
    assert (response.status_code, "Wait until it&#x27;s done" in words(response)) == (422, True)


def test_one_of_two_goes_and_the_other_gets_all(visitor, shared):
    assert "Shop gets all of the traffic." in words(visitor.get(url(shared, "models/5001/undeploy/")))
    response = visitor.post(url(shared, "models/5001/undeploy/"))
    model = DeployedModel.objects.get(deployed_model_id="5001")
    assert (response.status_code, model.state, model.split_after) == (303, "UNDEPLOYING", {"4711": 100})


def test_the_first_one_goes_too(visitor, shared):
    visitor.post(url(shared, "models/4711/undeploy/"))
    assert (fresh(shared).model.deployed_model_id, shared.model.display_name, shared.display_name) == (
        "5001", "Captain", "Shop",
    )  # fmt: skip
    assert DeployedModel.objects.get(deployed_model_id="4711").display_name == "Shop"


def test_of_three_the_shares_are_asked_for(visitor, shared):
    factories.deployed_model(endpoint=shared, display_name="Third")
    shared.traffic = {"4711": 50, "5001": 30, "5002": 20}
    shared.save()
    path = url(shared, "models/4711/undeploy/")
    text = words(visitor.get(path))
    assert ('value="60"' in text, 'value="40"' in text, "Captain, percent" in text) == (True, True, True)
    assert visitor.post(path, {"share-5001": 60, "share-5002": 60}).status_code == 422
    visitor.post(path, {"share-5001": 55, "share-5002": 45})
    assert DeployedModel.objects.get(deployed_model_id="4711").split_after == {"5001": 55, "5002": 45}


def test_the_only_one_is_undeployed_with_the_endpoint(visitor):
    endpoint = factories.ready_endpoint()
    for method in ("get", "post"):
        assert getattr(visitor, method)(url(endpoint, "models/4711/undeploy/")).status_code == 409
    assert visitor.get(url(endpoint, "models/12/undeploy/")).status_code == 404
