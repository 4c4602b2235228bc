"""Every address × every method that it does not have, as a browser asks for a page and as htmx asks for a fragment:
there is always something to read, and a way on that leads to a page."""

import re

import pytest

from tests.security.test_access import PLAIN, PUBLIC, ROUTES, THINGS, address
from tests.support.answers import status_of

pytestmark = pytest.mark.django_db
ALL = {**PLAIN, **PUBLIC, **ROUTES}
NO_GET = sorted(name for name, route in ALL.items() if "GET" not in route.methods)
NO_POST = sorted(name for name, route in ALL.items() if "POST" not in route.methods and not name.startswith("readyz"))
BROWSER = {"HTTP_ACCEPT": "text/html,application/xhtml+xml,*/*;q=0.8"}
HTMX = {"HTTP_HX_REQUEST": "true"}


@pytest.fixture
def visitor(client, owner):
    client.force_login(owner)
    return client


def urls(names, made):
    """`made`: the things that are there already."""
    for name in names:
        thing = ALL[name].thing
        if thing and thing not in made:
            made[thing] = THINGS[thing]().pk
        yield address(name, made.get(thing))


def test_opening_what_only_takes_forms_shows_the_way_to_a_page(visitor):
    answers = {url: visitor.get(url, **BROWSER) for url in urls(NO_GET, {})}
    texts = {url: answer.content.decode() for url, answer in answers.items()}
    assert {url for url, answer in answers.items() if answer.status_code != 405} == set()
    assert {url for url, text in texts.items() if 'id="nav"' not in text or "Nothing was changed." not in text} == set()
    ways = {re.findall(r'href="([^"]*)">Go to the page<', text)[0] for text in texts.values()}
    pages = {way: visitor.get(way) for way in ways}
    assert {way for way, page in pages.items() if page.status_code != 200 or b'id="nav"' not in page.content} == set()


def test_htmx_is_told_in_the_banner(visitor):
    made: dict[str, object] = {}
    answers = {url: visitor.get(url, **HTMX) for url in urls(NO_GET, made)}
    answers |= {url: visitor.post(url, **HTMX) for url in urls(NO_POST, made)}
    told = {
        url: (answer.status_code, answer["HX-Retarget"], 'class="note bad"' in answer.content.decode())
        for url, answer in answers.items()
    }
    assert {url: facts for url, facts in told.items() if facts != (405, "#banner", True)} == {}


def test_sending_to_what_only_shows_is_answered_with_a_page(visitor):
    answer = visitor.post("/tuning/compare/", **BROWSER)
    assert (answer.status_code, answer["Allow"], b'id="nav"' in answer.content) == (405, "GET, HEAD", True)


def test_a_bare_sentence_is_a_refusal_like_others(visitor):
    job = THINGS["job"]()
    answer = visitor.post(f"/tuning/jobs/{job.pk}/move/", {"to": "nowhere"}, **BROWSER)
    text = answer.content.decode()
    assert (answer.status_code, "Choose to move the job up, down or to the top." in text) == (400, True)
    assert f'href="/tuning/jobs/{job.pk}/">Go to the page<' in text


def test_who_has_to_sign_in_on_the_way_comes_to_the_page(client, owner):
    """The session ended while a button was about to be pressed."""
    url = f"/tuning/jobs/{THINGS['job']().pk}/cancel/"
    sign_in = client.post(url).url
    after = client.post(sign_in, {"username": "owner", "password": "correct horse battery"}).url
    assert after == url
    assert "Go to the page" in client.get(after, **BROWSER).content.decode()


def test_another_site_is_refused_on_a_page(visitor):
    answer = visitor.post("/settings/check/", HTTP_SEC_FETCH_SITE="cross-site", **BROWSER)
    text = answer.content.decode()
    assert (answer.status_code, "<!doctype html>" in text) == (403, True)
    assert "This request came from another site and was refused." in text
    assert status_of(visitor.post("/settings/check/", HTTP_SEC_FETCH_SITE="cross-site", **HTMX)) == 403
