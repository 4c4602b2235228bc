import logging
import re

import pytest
from django.http import Http404, HttpResponse, HttpResponseRedirect, JsonResponse
from django.test import Client
from django.urls import path

from console.urls.pages import handler404, handler500, urlpatterns  # noqa: F401
from console.web.middleware import CONTENT_SECURITY_POLICY, etag
from jobs.errors import DatasetRejected, InvalidTransition, NotAllowedNow

HTMX = {"HX-Request": "true"}
CALM = "This job has already finished."


def raises(error):
    def view(request):
        raise error

    return view


urlpatterns = [
    path("page/", lambda request: HttpResponse("<p>page")),
    path("data/", lambda request: JsonResponse({"a": 1})),
    path("moved/", lambda request: HttpResponseRedirect("/page/")),
    path("not-now/", raises(NotAllowedNow(CALM))),
    path("bad-file/", raises(DatasetRejected("Line 3 is not JSON."))),
    path("transition/", raises(InvalidTransition("FAILED", "RUNNING"))),
    path("gone/", raises(Http404())),
    path("boom/", raises(RuntimeError("boom"))),
    *urlpatterns,
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def visitor():
    return Client(raise_request_exception=False)


@pytest.fixture
def signed_in(owner, visitor):
    visitor.force_login(owner)
    return visitor


@pytest.mark.parametrize("url", ["/page/", "/gone/", "/boom/", "/not-now/", "/nowhere/"])
def test_every_answer_carries_the_policy(signed_in, url):
    response = signed_in.get(url)
    names = ("Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy")
    expected = [CONTENT_SECURITY_POLICY, "nosniff", "same-origin", "same-origin"]
    assert [response[name] for name in names] == expected
    response.close()


def test_a_file_of_ours_carries_only_what_counts_for_a_file(signed_in):
    response = signed_in.get("/static/console.css")
    assert (response["X-Content-Type-Options"], "Content-Security-Policy" in response) == ("nosniff", False)
    response.close()


def test_the_policy_allows_nothing_inline():
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'; script-src 'self'; style-src 'self';")


def test_a_page_is_not_stored(signed_in):
    response = signed_in.get("/page/")
    assert (response["Cache-Control"], "ETag" in response) == ("no-store", False)


def test_an_unchanged_fragment_costs_no_body(signed_in):
    first = signed_in.get("/page/", headers=HTMX)
    second = signed_in.get("/page/", headers=HTMX | {"If-None-Match": first["ETag"]})
    assert (first["Cache-Control"], second.status_code, second.content) == ("private, no-cache", 304, b"")


def test_unchanged_data_costs_no_body(signed_in):
    first = signed_in.get("/data/")
    assert signed_in.get("/data/", headers={"If-None-Match": first["ETag"]}).status_code == 304


def test_a_new_mask_of_the_form_token_is_not_a_change():
    form = '<input type="hidden" name="csrfmiddlewaretoken" value="{}"><p>{}'
    assert etag(form.format("a1", "x").encode()) == etag(form.format("b2", "x").encode())
    assert etag(form.format("a1", "x").encode()) != etag(form.format("a1", "y").encode())


def test_a_visitor_is_sent_to_sign_in(visitor):
    response = visitor.get("/page/")
    assert (response.status_code, response["Location"]) == (302, "/accounts/sign-in/?next=/page/")


def test_an_expired_sign_in_takes_htmx_to_the_sign_in_page_and_back(visitor):
    headers = HTMX | {"HX-Current-URL": "http://testserver/tuning/?q=a"}
    response = visitor.get("/page/", headers=headers)
    assert (response.status_code, response["HX-Redirect"]) == (286, "/accounts/sign-in/?next=/tuning/%3Fq%3Da")


def test_an_address_of_another_site_is_not_a_way_back(visitor):
    response = visitor.get("/page/", headers=HTMX | {"HX-Current-URL": "https://elsewhere.example/x"})
    assert response["HX-Redirect"] == "/accounts/sign-in/?next=/"


def test_htmx_follows_a_redirect_with_the_whole_page(signed_in):
    response = signed_in.get("/moved/", headers=HTMX)
    assert (response.status_code, response["HX-Redirect"]) == (204, "/page/")


def test_a_refusal_is_shown_in_the_banner(signed_in):
    response = signed_in.post("/not-now/", headers=HTMX)
    assert (response.status_code, response["HX-Retarget"], response["HX-Reswap"]) == (409, "#banner", "innerHTML")
    assert CALM in response.content.decode()


def test_a_refusal_without_script_is_a_page(signed_in):
    response = signed_in.post("/not-now/")
    assert (response.status_code, [each.name for each in response.templates][0]) == (409, "refused.html")


@pytest.mark.parametrize(("url", "status"), [("/bad-file/", 422), ("/transition/", 409)])
def test_each_kind_of_refusal_has_its_status(signed_in, url, status):
    assert signed_in.post(url).status_code == status


def test_an_element_that_is_gone_takes_itself_off_the_page(signed_in):
    response = signed_in.get("/gone/", headers=HTMX)
    assert (response.status_code, response["HX-Reswap"], response.content) == (404, "delete", b"")


def test_an_action_on_something_gone_is_explained(signed_in):
    response = signed_in.post("/gone/", headers=HTMX)
    assert (response.status_code, response["HX-Retarget"]) == (404, "#banner")


def test_a_failure_names_the_request_in_the_answer_and_in_the_log(signed_in, caplog):
    with caplog.at_level(logging.ERROR, "console.web.middleware"):
        response = signed_in.get("/boom/")
    number = response["X-Request-ID"]
    assert (response.status_code, number in response.content.decode()) == (500, True)
    assert f"Request {number}: GET /boom/ → 500" in caplog.messages


def test_a_failure_is_answered_even_when_the_shell_cannot_be_drawn(signed_in, settings):
    del settings.VERTEX_API_ENDPOINT
    response = signed_in.get("/boom/")
    assert (response.status_code, "Something went wrong" in response.content.decode()) == (500, True)


@pytest.mark.parametrize("before", ["/settings/security/", ""])
def test_reloading_after_a_refused_form_leads_to_the_page_with_the_form(owner, before):
    """Its own address may take no more than forms."""
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    headers = {"Referer": f"http://testserver{before}"} if before else {}
    page = strict.post("/page/", headers=headers).content.decode()
    reload = re.findall(r'href="([^"]*)">Reload</a>', page)
    assert (reload, page.count(">Back</a>")) == ([f"http://testserver{before}" if before else "/page/"], 0)


def test_a_form_that_was_open_too_long_is_explained(owner):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(owner)
    response = strict.post("/page/", headers=HTMX)
    assert (response.status_code, response["HX-Retarget"]) == (403, "#banner")
