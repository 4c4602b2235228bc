"""403, 404 and 500 inside the shell, with what a person can pass on and the way back."""

import re

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.urls import path

from console.urls.pages import handler400, handler403, handler404, handler500, urlpatterns  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


def raises(error):
    def view(request):
        raise error

    return view


urlpatterns = [
    path("forbidden/", raises(PermissionDenied())),
    path("confusing/", raises(SuspiciousOperation())),
    path("boom/", raises(RuntimeError("hunter2"))),
    *urlpatterns,
]
PAGES = [("/forbidden/", 403), ("/nowhere/", 404), ("/boom/", 500)]


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize(("url", "status"), PAGES)
def test_it_is_inside_the_shell_and_names_the_request(visitor, url, status):
    response = visitor.get(url, {"text": "typed"})
    text = response.content.decode()
    assert (response.status_code, 'id="nav"' in text, f"GET {url} → {status}" in text) == (status, True, True)
    assert (f"Request {response['X-Request-ID']}" in text, "typed" in text.split("<pre")[1]) == (True, False)
    assert "hunter2" not in text


@pytest.mark.parametrize(("url", "status"), PAGES)
@pytest.mark.parametrize(
    ("before", "shown"),
    [
        ("http://testserver/tuning/", True),
        ("https://evil.example/", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_back_leads_to_a_page_of_ours_only(visitor, url, status, before, shown):
    text = visitor.get(url, headers={"Referer": before}).content.decode()
    assert (re.findall(r'href="([^"]*)">Back<', text) == [before]) is shown


def test_a_page_that_leads_to_itself_is_no_way_back(visitor):
    assert ">Back<" not in visitor.get("/nowhere/", headers={"Referer": "http://testserver/nowhere/"}).content.decode()


def test_without_a_sign_in_there_is_no_navigation(client):
    text = client.get("/nowhere/").content.decode()
    assert ('id="nav"' in text, "There is nothing here" in text) == (False, True)


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_too_much_text_for_a_form_is_named(visitor, headers):
    response = visitor.post("/studio/chat/", {"text": "a" * 2_700_000}, headers=headers)
    assert (response.status_code, response.get("HX-Retarget")) == (413, "#banner" if headers else None)
    assert "A form can have at most 2.5\xa0MB of text" in response.content.decode()


def test_what_cannot_be_understood_is_said_inside_the_shell(visitor):
    response = visitor.post("/confusing/")
    text = response.content.decode()
    assert (response.status_code, 'id="nav"' in text) == (400, True)
    assert "The console could not understand the request." in text
