"""A name is text: wherever it came from, no page makes elements or attributes of it."""

from html.parser import HTMLParser

import pytest
from django import forms
from django.http import HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone

from console.web import streams
from console.web.middleware import CONTENT_SECURITY_POLICY, SecurityHeadersMiddleware
from tests.support import factories

pytestmark = [pytest.mark.django_db, pytest.mark.threat("T5")]
ATTACK = '<i id=planted hx-post=/settings/password/ hx-trigger=load hx-vals=\'{"new_password1": "mine"}\'>'


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.ids = []
        self.feed(page)

    def handle_starttag(self, _tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


@pytest.mark.parametrize("action", ["undeploy", "delete"])
@pytest.mark.parametrize("headers", [{}, {"HTTP_HX_REQUEST": "true"}], ids=["page", "dialog"])
def test_the_name_of_an_endpoint_does_nothing_where_it_is_to_be_typed(visitor, action, headers):
    """A job file can name the endpoint; its owner trains, deploys, asks it something and wants to undeploy it."""
    talk = factories.conversation(endpoint=factories.ready_endpoint(display_name=ATTACK))
    factories.message(conversation=talk, role="assistant", created_at=timezone.now())
    answer = visitor.get(f"/endpoints/{talk.endpoint_id}/{action}/", **headers)
    page = answer.content.decode()
    assert ("id_confirm" in Tags(page).ids, "planted" in Tags(page).ids) == (True, False)
    assert "To confirm, type &lt;i id=planted" in page


def test_the_help_of_a_field_is_text():
    class Form(forms.Form):
        number = forms.IntegerField(help_text=ATTACK, min_value=1)

    field = Form()["number"]
    drawn = [str(field.as_field_group()), render_to_string("components/slider.html", {"field": field})]
    assert [("planted" in Tags(html).ids, "&lt;i id=planted" in html) for html in drawn] == [(False, True)] * 2


@pytest.mark.parametrize(
    ("before", "leads_back"),
    [("http://testserver/tuning/", True), ("https://evil.example/", False), ("//evil.example/", False)],
)
def test_a_refusal_leads_back_to_a_page_of_ours_only(visitor, before, leads_back):
    endpoint = factories.endpoint(state="UNDEPLOYED", phase="CLOSED")
    page = visitor.get(f"/endpoints/{endpoint.pk}/undeploy/", HTTP_REFERER=before).content.decode()
    assert ('<h1 tabindex="-1">Request refused' in page, f'href="{before}"' in page) == (True, leads_back)


@pytest.mark.threat("T7")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200), ("/forbidden/", 403), ("/nowhere/", 404), ("/boom/", 500),
        ("/static/nothing.js", 404), ("/healthz", 200), ("/accounts/sign-in/?next=x", 303),
    ],
)  # fmt: skip
def test_every_answer_but_a_script_a_style_and_a_font_of_ours_has_the_policy(visitor, settings, path, status):
    if status in {403, 404, 500}:
        settings.ROOT_URLCONF = "tests.console.views.test_errors"
    visitor.raise_request_exception = False
    answer = visitor.get(path)
    policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
    assert (answer.status_code, policy["default-src"], answer["X-Content-Type-Options"]) == (
        status,
        "'none'",
        "nosniff",
    )
    assert "unsafe" not in answer["Content-Security-Policy"]


@pytest.mark.threat("T7")
def test_a_drawing_of_ours_is_no_document_that_could_do_anything():
    answer = SecurityHeadersMiddleware.bare(HttpResponse("<svg/>", content_type="image/svg+xml"))
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.threat("T7")
def test_the_policy_of_a_page_leaves_no_way_out():
    policy = dict(part.partition(" ")[::2] for part in CONTENT_SECURITY_POLICY.split("; "))
    assert {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action", "font-src")} == {
        "'self'"
    }
    assert {policy[name] for name in ("default-src", "base-uri", "frame-ancestors")} == {"'none'"}
    assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "htmx")
    assert b"default-src 'none'" in dict(streams.HEADERS)[b"content-security-policy"]
