"""The list of tuning jobs, a job's tabs and the comparison, by keyboard and in all sizes."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, remarks

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def jobs(seeded: dict[str, str]) -> dict[str, str]:
    return seeded


@pytest.fixture
def page(visit: Visit, session: list[Any], jobs: dict[str, str]) -> Iterator[Page]:
    visit.context.add_cookies(session)
    yield visit.page
    assert visit.problems == []


# It comes after the page; what is typed before is not heard.
ROWS_SCRIPT = """new Promise((heard) => setTimeout(() => heard(
  performance.getEntriesByType("resource").some((one) => one.name.includes("/controllers/rows")))))"""


def refreshed(page: Page) -> None:
    """As after a gap in the live stream: everything on the page asks for itself."""
    with page.expect_response(re.compile(r"/tuning/(\?|$)")):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('live-refresh', {bubbles: true}))")
    page.wait_for_timeout(300)


def test_rows_are_walked_and_ticked_by_keyboard_and_stay_so(visit: Visit, page: Page, jobs: dict[str, str]) -> None:
    visit.open("/tuning/?sort=name")
    page.wait_for_function(ROWS_SCRIPT)
    for key in "jjkjx":
        page.keyboard.press(key)
    focused = page.evaluate("document.activeElement.textContent")
    expect(page.locator("#chosen [role=status]")).to_have_text("1 job selected")
    refreshed(page)
    assert page.evaluate("document.activeElement.textContent") == focused == "Other"
    expect(page.locator(f"#pick-{jobs['Other']}")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Other", level=1)).to_be_visible()


def test_the_list_is_filtered_sorted_and_arranged(visit: Visit, page: Page) -> None:
    visit.open("/tuning/")
    page.get_by_label("Filter by property and value").fill("status:queued")
    page.keyboard.press("Enter")
    rows = page.locator("tbody th")
    expect(rows).to_have_text(["Waiting 2", "Waiting 1", "Waiting 0"])
    page.get_by_role("link", name="Model name").click()
    expect(rows).to_have_text(["Waiting 0", "Waiting 1", "Waiting 2"])
    page.get_by_role("link", name="Remove the filter status:queued").click()
    expect(rows).to_have_count(7)
    page.get_by_role("button", name="Columns, density and rows").click()
    page.get_by_label("Region").check()
    page.get_by_label("Compact").check()
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("columnheader", name="Region")).to_be_visible()


def test_a_waiting_job_is_moved(visit: Visit, page: Page) -> None:
    visit.open("/tuning/?filter=status:queued&sort=name")
    expect(page.locator("tbody tr").last).to_contain_text("Number 3 in the queue")
    page.get_by_role("button", name="Actions for Waiting 2").click()
    page.get_by_role("button", name="Move to the top").click()
    expect(page.locator("tbody tr", has_text="Waiting 2")).to_contain_text("Next in the queue")


def test_charts_are_read_by_keyboard(visit: Visit, page: Page, jobs: dict[str, str]) -> None:
    visit.open(f"/tuning/jobs/{jobs['Running']}/")
    expect(page.locator("#chart-loss canvas")).to_be_visible()
    page.locator("#chart-loss .plot").focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(page.locator("[data-charts-target=status]")).to_have_text(re.compile(r"^step 3 · Training [\d.]+$"))
    page.locator("[data-charts-target=smoothing]").fill("0.9")
    page.get_by_label("Logarithmic").check()
    page.get_by_label("Horizontal axis").select_option("time")
    expect(page.locator("#chart-loss canvas")).to_be_visible()
    page.locator("#chart-loss summary").click()
    expect(page.locator("#chart-loss tbody th").first).to_have_text("0:00")
    page.get_by_label("Filter metrics").fill("accuracy")
    expect(page.locator("#chart-loss")).to_be_hidden()
    assert remarks(page) == []


def test_a_log_stays_where_it_was_scrolled_to(visit: Visit, page: Page, jobs: dict[str, str]) -> None:
    visit.open(f"/tuning/jobs/{jobs['Running']}/logs/")
    log = page.locator("#training-log")
    assert log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight < 24")
    log.evaluate("log => { log.scrollTop = 0; }")
    expect(page.get_by_label("Follow")).not_to_be_checked()
    log.evaluate("log => { log.append('\\none more'); }")
    page.get_by_role("button", name="New lines").click()
    expect(page.get_by_label("Follow")).to_be_checked()
    page.get_by_role("searchbox", name="Search the log").fill("step 29")
    page.keyboard.press("Enter")
    expect(page.locator("#log-found")).to_contain_text("11 matches for “step 29”.")


def test_two_jobs_are_compared_from_the_list(visit: Visit, page: Page, jobs: dict[str, str]) -> None:
    visit.open("/tuning/?sort=name")
    for name in ("Tuned", "Other"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_role("button", name="Compare selected").click()
    expect(page.get_by_role("heading", name="Compare 2 jobs")).to_be_visible()
    expect(page.locator("#chart-train-loss canvas")).to_be_visible()
    expect(page.locator("#settings tbody th")).to_have_text(["Learning rate"])
    visit.picture("compare")
    assert remarks(page) == []


def test_a_sweep_is_made_in_the_form_and_compared_on_its_page(visit: Visit, page: Page, jobs: dict[str, str]) -> None:
    """The size of the adapter in the draft is not the recommended one."""
    visit.open(f"/tuning/drafts/{jobs['draft']}/training/")
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
    visit.open(f"/tuning/sweeps/{jobs['sweep']}/")
    expect(page.locator("#sweep-jobs tbody tr")).to_have_count(2)
    expect(page.locator("#sweep-jobs .badge")).to_have_text("Best")
    visit.picture("sweep")
    assert remarks(visit) == []


def test_the_queue_is_paused_and_resumed(visit: Visit, page: Page) -> None:
    visit.open("/tuning/")
    page.get_by_role("button", name="Pause the queue").click()
    expect(page.get_by_text("paused the queue")).to_be_visible()
    visit.picture("queue-paused")
    page.get_by_role("button", name="Resume the queue").click()
    expect(page.get_by_text("paused the queue")).to_have_count(0)
