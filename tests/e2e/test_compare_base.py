"""A tuned model compared with its base model, which no endpoint serves yet: offered, deployed, waited for, asked."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, enter, remarks
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, Running

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(400)]
SOON = 90_000


def tuned(console: Running, cookies: Any, tune_data: Path) -> str:
    """The endpoint of a tuning job."""
    with Visitor(console.address) as person:
        for cookie in cookies:
            person.client.cookies.set(cookie["name"], cookie["value"])
        journey.wait_for_catalogue(person)
        tune = journey.Tune(GEMMA, "Ahoy", tune_data / "train.jsonl", tune_data / "validation.jsonl")
        endpoint = journey.endpoint_of(person, journey.start(person, journey.fill_in(person, tune), tune), 200)
        journey.wait_until_ready(person, endpoint, 120)
    return endpoint


def ask(page: Page) -> None:
    page.get_by_label("Message to all columns").fill("Tell me about the sea")
    page.keyboard.press("Enter")


def test_the_base_is_deployed_for_the_comparison(visit: Visit, console: Running, tune_data: Path) -> None:
    enter(visit.context, console)
    endpoint, page = tuned(console, visit.context.cookies(), tune_data), visit.page
    visit.open(f"/endpoints/{endpoint}/")
    page.get_by_role("button", name="Compare with base").click()
    expect(page.get_by_role("heading", name="to compare with it")).to_be_visible()
    expect(page.locator("#base-cost")).to_contain_text("No charge: it runs on this computer")
    assert remarks(visit) == []
    visit.picture("compare-base")
    page.get_by_role("spinbutton", name="Hours").fill("3")
    if (box := page.get_by_label(re.compile("^I accept the"))).count():
        box.check()
    page.get_by_role("button", name="Deploy and compare").click()
    expect(page.locator(".column")).to_have_count(2)
    visit.picture("compare-waiting")
    expect(page.get_by_label("Message to all columns")).to_be_visible(timeout=SOON)
    expect(page.locator("#waiting")).to_have_count(0)
    expect(page.get_by_text("Output token limit 512")).to_have_count(2)
    ask(page)
    expect(page.locator("#compare-status")).to_have_text("All answers are complete", timeout=SOON)
    expect(page.locator(".column .turn.model")).to_have_count(2)
    assert remarks(visit) == []
    assert visit.problems == []
