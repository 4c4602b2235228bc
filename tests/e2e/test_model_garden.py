"""Looking for a model, reading about it, deploying it and trying it out, in a real browser."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import WIDE, Visit, remarks

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]
MODEL = "/publishers/google/model-garden/gemma3/"
LATER = 60_000


@pytest.fixture
def page(visit: Visit, session: list[Any]) -> Page:
    """At the catalogue, which has been read."""
    visit.context.add_cookies(session)
    visit.open("/model-garden/")
    expect(visit.page.get_by_role("link", name="Gemma 3", exact=False).first).to_be_visible(timeout=LATER)
    return visit.page


def test_a_model_is_found_by_words_and_filters(visit: Visit, page: Page) -> None:
    found = remarks(page)
    page.get_by_role("searchbox", name="Search models").fill("gemma")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Search results for “gemma”")).to_be_visible()
    page.get_by_role("checkbox", name="Image", exact=False).first.check()
    expect(page).to_have_url(re.compile(r"\?task=vision&q=gemma$"))
    expect(page.get_by_role("list", name="Active filters")).to_contain_text("Image understanding")
    visit.picture("garden-found")
    found += remarks(page)
    page.get_by_role("link", name="Gemma 3 4B IT").click()
    expect(page.get_by_role("heading", level=2, name="Gemma 3 4B IT")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("searchbox", name="Search models")).to_have_value("gemma")
    page.get_by_role("link", name="Clear the search").click()
    expect(page).to_have_url(re.compile(r"/model-garden/\?task=vision$"))
    assert (found, visit.problems) == ([], [])


def test_the_filters_of_a_phone_are_a_panel(visit: Visit, page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 760})
    visit.open("/model-garden/?provider=google&feature=tune")
    page.get_by_role("button", name="Filters (2)").click()
    box = page.get_by_role("checkbox", name="Google", exact=False).first
    expect(box).to_be_in_viewport()
    page.get_by_role("button", name="Show models").click()
    expect(box).not_to_be_visible()
    assert visit.problems == []


def test_the_panels_of_a_model_are_addresses(visit: Visit, page: Page) -> None:
    visit.open(f"{MODEL}?variant=gemma-3-270m")
    expect(page.get_by_role("link", name="Overview")).to_have_attribute("aria-current", "true")
    found = remarks(page)
    visit.picture("model-detail")
    page.get_by_role("link", name="Pricing").click()
    expect(page.get_by_role("link", name="Pricing")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="View code").click()
    panel = page.get_by_role("dialog", name="View code")
    expect(panel.get_by_text("model_garden.OpenModel")).to_be_visible()
    panel.get_by_role("link", name="OpenAI client").click()
    expect(panel.get_by_text("from openai import OpenAI")).to_be_visible()
    found += remarks(page)
    visit.picture("model-code")
    page.keyboard.press("Escape")
    expect(panel).not_to_be_visible()
    expect(page.get_by_role("main").get_by_role("link", name="View code")).to_be_focused()
    expect(page).to_have_url(re.compile(r"\?variant=gemma-3-270m$"))
    page.get_by_role("link", name="Deploy model with").or_(
        page.get_by_role("link", name="Deploy", exact=True)
    ).first.click()
    expect(page.get_by_role("button", name="Deploy", exact=True)).to_be_visible()
    found += remarks(page)
    visit.picture("model-deploy")
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="needs your attention")).to_be_visible()
    visit.problems = [problem for problem in visit.problems if "422" not in problem]
    assert (found, visit.problems) == ([], [])


def test_a_panel_stays_open_while_live_updates_fail(visit: Visit, page: Page) -> None:
    """Nobody asked for them, so what they are refused closes nothing."""
    page.route("**/streams/live*", lambda route: route.fulfill(status=503, body='<p class="note">Later</p>'))
    with page.expect_response("**/streams/live*"):
        page.goto(f"{visit.address}{MODEL}?variant=gemma-3-270m&action=deploy")
    expect(page.get_by_text("Live updates paused").first).to_be_attached()
    page.wait_for_function("document.querySelector('#banner').textContent.includes('Later')")
    expect(page.get_by_role("dialog", name="Deploy model")).to_be_visible()


def test_a_model_is_deployed_and_tried_out(visit: Visit, page: Page) -> None:
    visit.open(f"{MODEL}?variant=gemma-3-270m&action=deploy")
    page.get_by_label("Endpoint name").fill("Base model")
    page.get_by_label(re.compile("I accept")).check()
    page.get_by_text("Advanced", exact=True).click()
    idle = page.get_by_label("Scale to zero after (minutes)")
    idle.fill("2")
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="Enter a whole number of minutes")).to_be_focused()
    expect(idle).to_be_visible()
    visit.problems = [problem for problem in visit.problems if "422" not in problem]
    idle.fill("5")
    page.get_by_role("button", name="Deploy", exact=True).click()
    expect(page).to_have_url(re.compile("/endpoints/"))
    expect(page.get_by_text("Scale to zero after (minutes)")).to_be_visible()
    expect(page.get_by_text("Ready", exact=True).first).to_be_visible(timeout=LATER)
    visit.open(f"{MODEL}?variant=gemma-3-270m")
    expect(page.get_by_role("link", name="Open in chat")).to_have_attribute("href", re.compile("endpoint="))
    assert remarks(page) == []
    page.get_by_label("Prompt").fill("Ahoy there")
    page.get_by_role("button", name="Submit").click()
    expect(page).to_have_url(re.compile("/studio/chat/.+"))
    expect(page.get_by_role("log").get_by_text("Ahoy there")).to_be_visible()
    assert visit.problems == []


def test_one_search_finds_everything(visit: Visit, page: Page) -> None:
    visit.open("/tuning/")
    page.keyboard.press("/")
    page.keyboard.type("gemma")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Search results for “gemma”")
    expect(page.get_by_role("main").get_by_role("heading", name="Models")).to_be_visible()
    visit.picture("search")
    assert (remarks(page), visit.problems) == ([], [])


def test_weights_of_ones_own_have_a_panel(visit: Visit, page: Page) -> None:
    page.get_by_role("link", name="Deploy model with custom weights").click()
    panel = page.get_by_role("dialog", name="Deploy model with custom weights")
    expect(panel.get_by_label("Model source")).to_be_visible()
    visit.picture("weights")
    assert remarks(page) == []
    panel.get_by_role("link", name="Cancel").click()
    expect(page).to_have_url(re.compile("/model-garden/$"))
    expect(page.get_by_role("link", name="Deploy model with custom weights")).to_be_focused()
    assert visit.problems == []


def test_without_javascript_it_all_works(browser: Browser, visit: Visit, page: Page) -> None:
    """The cookies of the visit, in a browser that runs no scripts."""
    context = browser.new_context(java_script_enabled=False, viewport=WIDE, storage_state=visit.context.storage_state())
    plain = context.new_page()
    plain.goto(f"{visit.address}/model-garden/")
    plain.get_by_role("checkbox", name="Meta", exact=False).check()
    plain.get_by_role("button", name="Apply filters").click()
    expect(plain).to_have_url(f"{visit.address}/model-garden/?provider=meta&q=")
    plain.goto(f"{visit.address}{MODEL}?variant=gemma-3-270m&action=deploy")
    plain.get_by_label("Endpoint name").fill("")
    plain.get_by_role("button", name="Deploy", exact=True).click()
    expect(plain.get_by_text("Enter a name.")).to_have_count(2)
    context.close()
