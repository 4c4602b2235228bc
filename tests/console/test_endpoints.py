import re
from datetime import timedelta

import pytest

from tests import factories

pytestmark = pytest.mark.django_db
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def words(response):
    return " ".join(response.content.decode().split())


def names(response):
    return re.findall(r'<th scope="row"><a href="/endpoints/[^"]+">([^<]+)</a>', words(response))


def url(endpoint, rest=""):
    return f"/endpoints/{endpoint.pk}/{rest}"


def test_an_empty_list_says_what_to_do(visitor):
    text = words(visitor.get("/endpoints/"))
    assert ("No endpoints" in text, "Go to Model Garden" in text) == (True, True)


def test_a_row_says_what_is_deployed_where(visitor):
    endpoint = factories.ready_endpoint(
        machine_type="g2-standard-12", accelerator_type="NVIDIA_L4", accelerator_count=1
    )
    text = words(visitor.get("/endpoints/"))
    for shown in ("My endpoint", "Ready", "gemma-3-270m", "g2-standard-12, 1 × NVIDIA L4"):
        assert shown in text
    assert f"/studio/chat/?endpoint={endpoint.pk}" in text


@pytest.mark.parametrize(
    ("stage", "shown"),
    [("PREPARING_MODEL", "Preparing the model"), ("SOMETHING_NEW", "Something new"), ("", "Deploying")],
)
def test_a_deployment_says_how_far_it_is(visitor, stage, shown):
    assert shown in words(visitor.get(url(factories.endpoint(stage=stage), "row/"), **HTMX))


def test_a_stage_is_not_shown_any_more_when_it_is_over(visitor):
    endpoint = factories.ready_endpoint(stage="FINISHING_UP")
    assert "Finishing up" not in words(visitor.get(url(endpoint)))


def test_deleted_and_other_peoples_endpoints_are_not_listed(visitor, team_mate):
    factories.endpoint(state="DELETED")
    factories.endpoint(owner=team_mate)
    factories.endpoint(display_name="Mine")
    assert names(visitor.get("/endpoints/")) == ["Mine"]


def test_pages_of_fifty_follow_each_other_without_gap(visitor):
    for number in range(51):
        factories.endpoint(display_name=f"E{number:02}", created_at=factories.NOW - timedelta(minutes=number))
    first = visitor.get("/endpoints/")
    assert names(visitor.get(f"/endpoints/{first.context['page'].older}")) == ["E50"]


def test_an_unchanged_row_costs_nothing(visitor):
    path = url(factories.endpoint(), "row/")
    assert visitor.get(path, HTTP_IF_NONE_MATCH=visitor.get(path, **HTMX)["ETag"], **HTMX).status_code == 304


def test_a_ready_endpoint_shows_how_a_program_asks_it(visitor, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:8085"
    endpoint = factories.ready_endpoint()
    text = words(visitor.get(url(endpoint)))
    assert f"curl http://127.0.0.1:8085/v1beta1/{endpoint.resource_name}/chat/completions" in text
    assert ("from openai import OpenAI" in text, "gcloud auth" in text) == (True, False)


def test_on_the_cloud_the_request_carries_a_login_and_the_dedicated_address(visitor):
    endpoint = factories.ready_endpoint(dedicated_dns="abc.us-central1-1.prediction.vertexai.goog")
    text = words(visitor.get(url(endpoint)))
    assert "curl https://abc.us-central1-1.prediction.vertexai.goog/v1beta1/projects/" in text
    assert "gcloud auth print-access-token" in text


def test_an_endpoint_that_does_not_answer_shows_no_request(visitor):
    assert "Sample request" not in words(visitor.get(url(factories.endpoint())))


def test_a_failed_endpoint_says_why(visitor):
    endpoint = factories.endpoint(
        state="FAILED", error_code="RESOURCE_EXHAUSTED", error_message="No free machine. Choose another one."
    )
    text = words(visitor.get(url(endpoint)))
    assert ("No free machine. Choose another one." in text, "RESOURCE_EXHAUSTED" in text) == (True, True)


@pytest.mark.parametrize(("state", "polls"), [("DEPLOYING", True), ("READY", False), ("FAILED", False)])
def test_only_an_endpoint_that_changes_polls(visitor, state, polls):
    text = words(visitor.get(url(factories.endpoint(state=state), "status/"), **HTMX))
    assert ("every 10s" in text) == polls


def test_an_update_renews_the_buttons_as_well(visitor):
    text = words(visitor.get(url(factories.endpoint(), "status/"), **HTMX))
    assert '<hx-partial hx-target="#endpoint-bar" hx-swap="outerMorph">' in text
    assert "hx-partial" not in words(visitor.get(url(factories.endpoint())))


def test_undeploying_keeps_the_endpoint(visitor):
    endpoint = factories.ready_endpoint()
    response = visitor.post(url(endpoint, "undeploy/"))
    endpoint.refresh_from_db()
    assert (response.status_code, response.url, endpoint.state) == (303, url(endpoint), "UNDEPLOYING")


def test_undeploying_nothing_is_refused_in_words(visitor):
    response = visitor.post(url(factories.endpoint(state="FAILED"), "undeploy/"), **HTMX)
    assert (response.status_code, "Nothing is deployed" in words(response)) == (409, True)


def test_deleting_leads_back_to_the_list(visitor):
    endpoint = factories.ready_endpoint()
    response = visitor.post(url(endpoint, "delete/"))
    endpoint.refresh_from_db()
    assert (response.status_code, response.url, endpoint.state) == (303, "/endpoints/", "DELETING")


def test_a_deleted_endpoint_takes_itself_off_the_page(visitor):
    endpoint = factories.endpoint(state="DELETED")
    response = visitor.get(url(endpoint, "row/"), **HTMX)
    assert (response.status_code, response["HX-Reswap"], response.content) == (200, "delete", b"")
    assert visitor.get(url(endpoint, "status/"), **HTMX)["HX-Redirect"] == "/endpoints/"
    assert visitor.get(url(endpoint)).status_code == 404


def test_what_is_lost_is_said_before(visitor):
    talk = factories.conversation()
    text = words(visitor.get(url(talk.endpoint)))
    assert "stops answering at once, for chats and for every program that uses it" in text
    assert "1 chat with it stays readable but cannot go on." in text


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("UNDEPLOYED", "No model is deployed here."),
        ("UNDEPLOYING", "The model is undeployed or about to be."),
        ("FAILED", "No model is deployed here."),
    ],
)
def test_why_undeploy_is_off_is_said(visitor, state, reason):
    assert f'title="{reason}"' in words(visitor.get(url(factories.endpoint(state=state))))


def test_a_tuned_model_leads_to_its_job(visitor):
    job = factories.job(state="SUCCEEDED")
    endpoint = factories.ready_endpoint(job=job, artifact_uri="gs://b/final")
    assert f"/tuning/jobs/{job.pk}/" in words(visitor.get(url(endpoint)))


@pytest.mark.parametrize("rows", [1, 3])
def test_the_list_takes_the_same_queries_for_one_row_and_for_three(visitor, django_assert_num_queries, rows):
    for _ in range(rows):
        factories.ready_endpoint()
    with django_assert_num_queries(3):
        visitor.get("/endpoints/")
