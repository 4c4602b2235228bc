import json

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
        request = RequestFactory().generic(method, "/tuning/", headers=headers or {})
        if data is not None:
            request = RequestFactory().post("/tuning/", data, headers=headers or {})
        request.htmx = HtmxDetails(request)
        return request

    return make


def rendered(request, monkeypatch):
    asked: list[str] = []

    def render(_request, name, context, status):
        asked.append(name)
        return HttpResponse(status=status)

    monkeypatch.setattr(http, "render", render)
    return asked, http.page_or_fragment(request, "page.html", "rows", {})


def test_a_browser_gets_the_page(request_for, monkeypatch):
    asked, response = rendered(request_for(), monkeypatch)
    assert (asked, response["Vary"]) == (["page.html"], "HX-Request")


def test_htmx_gets_the_fragment(request_for, monkeypatch):
    asked, _ = rendered(request_for(HTMX), monkeypatch)
    assert asked == ["page.html#rows"]


def test_a_history_restore_gets_the_page(request_for, monkeypatch):
    asked, _ = rendered(request_for(HTMX | {"HX-History-Restore-Request": "true"}), monkeypatch)
    assert asked == ["page.html"]


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
