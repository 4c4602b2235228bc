"""Settings that count themselves, a sweep, and a pause of the queue, as a person meets them."""

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import remarks

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def test_a_sweep_is_made_in_the_form_and_compared_on_its_page(visit, session, seeded):
    """The size of the adapter in the draft is not the recommended one."""
    page = visit.page
    visit.context.add_cookies(session)
    step = f"/tuning/drafts/{seeded['draft']}"
    visit.open(f"{step}/training/")
    page.locator("#advanced > summary").click()
    page.get_by_label("Seed", exact=True).fill("7")
    page.get_by_label("Learning rate schedule").select_option("linear")
    expect(page.locator("#advanced-count")).to_have_text("(3 changed)")
    page.get_by_text("Try several values").click()
    page.get_by_label("Setting 1").select_option("epochs")
    page.locator("[name=sweep_1_values]").fill("1, 2")
    visit.picture("sweep-form")
    page.get_by_role("button", name="Continue").last.click()
    expect(page.get_by_role("button", name="Start 2 jobs")).to_be_visible()
    visit.picture("sweep-review")
    assert remarks(visit) == []
    visit.open(f"/tuning/sweeps/{seeded['sweep']}/")
    expect(page.locator("#sweep-jobs tbody tr")).to_have_count(2)
    expect(page.locator("#sweep-jobs .badge")).to_have_text("Best")
    visit.picture("sweep")
    assert remarks(visit) == []
    visit.open("/tuning/")
    page.get_by_role("button", name="Pause the queue").click()
    expect(page.get_by_text("paused the queue")).to_be_visible()
    visit.picture("queue-paused")
    page.get_by_role("button", name="Resume the queue").click()
    expect(page.get_by_text("paused the queue")).to_have_count(0)
