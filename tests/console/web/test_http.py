import json
from copy import deepcopy
from typing import Any

import pytest
from django.http import HttpResponse
from django.template import engines
from django.test import RequestFactory
from django_htmx.middleware import HtmxDetails

from console.web import http

HTMX = {"HX-Request": "true"}


@pytest.fixture
def request_for():
    def make(headers=None, method="GET", data=None):
        request: Any = RequestFactory().generic(method, "/tuning/", headers=headers or {})
        if data is not None:
            request = RequestFactory().post("/tuning/", data, headers=headers or {})
        request.htmx = HtmxDetails(request)
        return request

    return make


@pytest.fixture
def render(settings, tmp_path):
    """A page that has rows, without what is around every page."""
    (tmp_path / "page.html").write_text(
        "{% load partials %}{% partialdef rows inline %}{{ count }} rows{% endpartialdef %} of a page"
    )
    templates = deepcopy(settings.TEMPLATES)
    templates[0]["DIRS"] = [tmp_path]
    templates[0]["OPTIONS"]["context_processors"] = []
    settings.TEMPLATES = templates
    return lambda request: http.page_or_fragment(request, "page.html", "rows", {"count": 2}, status=422)


def test_a_browser_gets_the_page(request_for, render):
    response = render(request_for())
    assert (response.content, response.status_code, response["Vary"]) == (b"2 rows of a page", 422, "HX-Request")


def test_htmx_gets_the_fragment(request_for, render):
    assert render(request_for(HTMX)).content == b"2 rows"


def test_a_history_restore_gets_the_page(request_for, render):
    assert render(request_for(HTMX | {"HX-History-Restore-Request": "true"})).content == b"2 rows of a page"


def test_a_form_without_script_is_redirected(request_for):
    response = http.hx_redirect(request_for(), "/endpoints/")
    assert (response.status_code, response["Location"]) == (303, "/endpoints/")


def test_htmx_is_told_where_to_go(request_for):
    response = http.hx_redirect(request_for(HTMX), "tuning-list")
    assert (response.status_code, response["HX-Redirect"]) == (204, "/tuning/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/endpoints/", "/endpoints/"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example", "/"),
        ("", "/"),
        ("no-view", "/"),
    ],
)
def test_next_stays_on_this_site(request_for, url, expected):
    assert http.safe_next(request_for(data={"next": url}), "/") == expected


def test_an_address_fits_into_a_header(request_for):
    assert http.hx_redirect(request_for(HTMX), "/a\nb/선")["HX-Redirect"] == "/a%0Ab/%EC%84%A0"


def test_a_snackbar_travels_in_ascii():
    header = http.snackbar(HttpResponse(), "배포 시작", url="/endpoints/", label="View")["HX-Trigger"]
    assert header.isascii()
    assert json.loads(header) == {"snackbar": {"text": "배포 시작", "url": "/endpoints/", "label": "View"}}


def test_templates_can_be_rendered_without_a_request():
    assert "Something went wrong" in engines["django"].get_template("500.html").render({})
