"""Every address that names a thing: the owner gets in, others learn nothing, nobody gets in without signing in."""

import uuid
from dataclasses import dataclass, field

import pytest
from django.urls import get_resolver, reverse

from jobs.models import Delivery
from jobs.services import chat_share
from tests import factories

pytestmark = pytest.mark.django_db
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Route:
    """What the id names, the methods there are, and the rest of the address."""

    thing: str
    methods: tuple[str, ...] = ("GET", "HEAD")
    rest: dict[str, str | int] = field(default_factory=dict)


POST = ("POST",)
ROUTES = {
    "tuning-job": Route("job"),
    "tuning-row": Route("job"),
    "tuning-status": Route("job"),
    "tuning-job-dataset": Route("job"),
    "tuning-job-logs": Route("job"),
    "tuning-job-details": Route("job"),
    "tuning-metrics": Route("job"),
    "tuning-metrics-csv": Route("job"),
    "tuning-events": Route("job"),
    "tuning-log": Route("job"),
    "tuning-cancel": Route("job", POST),
    "tuning-decide": Route("job", POST),
    "tuning-deploy": Route("job", POST),
    "tuning-clone": Route("job", POST),
    "tuning-retry": Route("job", POST),
    "tuning-job-file": Route("job"),
    "tuning-draft-file": Route("draft"),
    "tuning-output-check": Route("draft", ("GET", "HEAD", "POST")),
    "tuning-move": Route("job", POST),
    "tuning-default-checkpoint": Route("job", POST),
    "tuning-start": Route("draft", ("GET", "HEAD", "POST")),
    "tuning-discard": Route("draft", POST),
    "tuning-draft": Route("draft", ("GET", "HEAD", "POST"), {"step": "name"}),
    "endpoint-detail": Route("endpoint"),
    "endpoint-row": Route("endpoint"),
    "endpoint-status": Route("endpoint"),
    "endpoint-undeploy": Route("endpoint", ("GET", "HEAD", "POST")),
    "endpoint-delete": Route("endpoint", ("GET", "HEAD", "POST")),
    "endpoint-replicas": Route("endpoint", ("GET", "HEAD", "POST")),
    "endpoint-lease": Route("endpoint", ("GET", "HEAD", "POST")),
    "endpoint-extend": Route("endpoint", POST),
    "endpoint-again": Route("endpoint", POST),
    "endpoint-traffic": Route("endpoint", ("GET", "HEAD", "POST")),
    "endpoint-model-add": Route("endpoint", ("GET", "HEAD", "POST")),
    "endpoint-model-undeploy": Route("endpoint", ("GET", "HEAD", "POST"), {"deployed": "4711"}),
    "tuned-model": Route("tuned"),
    "dataset-detail": Route("dataset"),
    "dataset-problems": Route("dataset"),
    "dataset-rows": Route("dataset"),
    "dataset-row": Route("dataset", rest={"line": 1}),
    "dataset-versions": Route("dataset"),
    "dataset-download": Route("dataset"),
    "dataset-edit": Route("dataset", POST),
    "dataset-check": Route("dataset", POST),
    "dataset-convert": Route("dataset", POST),
    "dataset-split": Route("dataset", POST),
    "dataset-delete": Route("dataset", POST),
    "session-end": Route("session", POST),
    "notification": Route("notification"),
    "notification-read": Route("notification", POST),
    "notification-delivery-again": Route("delivery", POST),
    "chat-conversation": Route("conversation"),
    "chat-send": Route("conversation", POST),
    "chat-draft": Route("conversation", POST),
    "chat-options": Route("conversation", POST),
    "chat-delete": Route("conversation", POST),
    "chat-turn": Route("answer"),
    "chat-stop": Route("answer", POST),
    "chat-retry": Route("answer", POST),
    "chat-picture": Route("picture"),
    "chat-picture-remove": Route("picture", POST),
    "chat-picture-alt": Route("picture", POST),
    "chat-row": Route("answer", ("GET", "HEAD", "POST")),
    "chat-drop-oldest": Route("answer", POST),
    "chat-send-all": Route("conversation", POST),
    "chat-continue": Route("answer", POST),
    "chat-edit": Route("question", ("GET", "HEAD", "POST")),
    "chat-show": Route("answer", POST),
    "chat-branch": Route("answer", POST),
    "chat-rate": Route("answer", POST),
    "chat-turn-delete": Route("question", ("GET", "HEAD", "POST")),
    "chat-rename": Route("conversation", ("GET", "HEAD", "POST")),
    "chat-pin": Route("conversation", POST),
    "chat-endpoint": Route("conversation", POST),
    "chat-export": Route("conversation", rest={"form": "md"}),
    "chat-share": Route("conversation", ("GET", "HEAD", "POST")),
    "chat-link-revoke": Route("link", POST),
    "chat-waiting": Route("answer"),
    "chat-code": Route("conversation"),
    "chat-preset-save": Route("conversation", POST),
    "chat-preset-use": Route("conversation", POST),
    "chat-preset-delete": Route("conversation", POST),
    "compare-detail": Route("comparison"),
    "compare-export": Route("comparison", rest={"form": "json"}),
    "compare-send": Route("comparison", POST),
    "compare-draft": Route("comparison", POST),
    "compare-stop-all": Route("comparison", POST),
    "compare-blind": Route("comparison", POST),
    "compare-again": Route("comparison", POST),
    "compare-rename": Route("comparison", ("GET", "HEAD", "POST")),
    "compare-delete": Route("comparison", POST),
    "compare-vote": Route("comparison", POST),
    "compare-reveal": Route("comparison", POST),
    "compare-add": Route("comparison", POST),
    "compare-column-endpoint": Route("column", POST),
    "compare-column-options": Route("column", ("GET", "HEAD", "POST")),
    "compare-column-remove": Route("column", POST),
    "compare-column-send-all": Route("column", POST),
    "compare-drop-oldest": Route("compared", POST),
    "compare-answer": Route("compared"),
    "compare-answer-stop": Route("compared", POST),
    "compare-answer-retry": Route("compared", POST),
    "compare-answer-continue": Route("compared", POST),
    "compare-answer-show": Route("compared", POST),
    "compare-answer-branch": Route("compared", POST),
    "compare-answer-row": Route("compared", ("GET", "HEAD", "POST")),
}


def answer():
    talk = factories.conversation()
    factories.message(conversation=talk)
    return factories.message(conversation=talk, role="assistant", state="FAILED")


def column():
    return factories.conversation(comparison=factories.comparison())


def compared():
    talk = column()
    factories.message(conversation=talk)
    return factories.message(conversation=talk, role="assistant", content="Arr")


def link():
    talk = answer().conversation
    return chat_share.share(talk)[0]


THINGS = {
    "question": lambda: answer().parent,
    "link": link,
    "comparison": factories.comparison,
    "column": column,
    "compared": compared,
    "job": factories.job,
    "tuned": lambda: factories.job(state="SUCCEEDED"),
    "draft": factories.draft,
    "endpoint": factories.ready_endpoint,
    "dataset": factories.dataset,
    "conversation": factories.conversation,
    "answer": answer,
    "picture": factories.picture,
    "notification": factories.notification,
    "session": factories.session,
    "delivery": lambda: Delivery.objects.create(notification=factories.notification(), way="email", state="FAILED"),
}


def routes_with_an_id():
    return {pattern.name for pattern in get_resolver().url_patterns if "pk" in pattern.pattern.converters}


def address(name, pk):
    return reverse(name, kwargs={"pk": pk, **ROUTES[name].rest})


def each_route():
    return pytest.mark.parametrize("name", sorted(ROUTES))


def test_every_route_with_an_id_is_listed_here():
    assert routes_with_an_id() == set(ROUTES)


@each_route()
def test_the_owner_gets_in(client, owner, name):
    url = address(name, THINGS[ROUTES[name].thing]().pk)
    client.force_login(owner)
    statuses = [client.generic(method, url).status_code for method in ROUTES[name].methods]
    assert [status for status in statuses if status in {401, 403, 404, 405, 500}] == []


@each_route()
@pytest.mark.parametrize("who", ["team_mate", "stranger"])
def test_somebody_else_learns_nothing(client, owner, name, who):
    url = address(name, THINGS[ROUTES[name].thing]().pk)
    client.force_login(getattr(factories, who)())
    refusals = {method: {404} if method in ROUTES[name].methods else {404, 405} for method in METHODS}
    answers = {method: client.generic(method, url).status_code for method in METHODS}
    assert {method: status for method, status in answers.items() if status not in refusals[method]} == {}


@each_route()
def test_nobody_has_to_sign_in_first(client, owner, name):
    url = address(name, THINGS[ROUTES[name].thing]().pk)
    answers = [client.generic(method, url) for method in METHODS]
    found = [(answer.status_code, answer.url) for answer in answers]
    assert found == [(302, f"/accounts/sign-in/?next={url}")] * len(METHODS)


@each_route()
def test_what_is_not_there_looks_like_what_is_somebody_elses(client, owner, name):
    client.force_login(owner)
    assert client.generic(ROUTES[name].methods[0], address(name, uuid.uuid4())).status_code == 404


@each_route()
def test_a_fragment_is_told_to_sign_in_as_a_whole_page(client, owner, name):
    url = address(name, THINGS[ROUTES[name].thing]().pk)
    response = client.generic(ROUTES[name].methods[0], url, HTTP_HX_REQUEST="true")
    assert (response.status_code, response["HX-Redirect"][:19]) == (286, "/accounts/sign-in/?")
