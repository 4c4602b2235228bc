"""The audit log and the spending limits in a browser: what is done appears, in all sizes and in Korean."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, remarks

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def page(visit: Visit, session: list[Any]) -> Iterator[Page]:
    visit.context.add_cookies(session)
    yield visit.page
    assert visit.problems == []


def test_a_limit_is_set_and_the_log_says_so(visit: Visit, page: Page) -> None:
    visit.open("/settings/spending/")
    page.get_by_label("Per person, in US dollars per day").fill("50")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#main")).to_contain_text("$0.00 of $50.00")
    visit.picture("settings-spending")
    assert remarks(page) == []
    visit.open("/settings/audit/")
    expect(page.locator("tbody tr").first).to_contain_text("spending.set_limits")
    visit.picture("settings-audit")
    assert remarks(page) == []


def test_the_log_is_filtered_and_taken_away(visit: Visit, page: Page) -> None:
    visit.open("/settings/audit/")
    page.locator("summary", has_text="Filter").click()
    page.get_by_label("Action").fill("session")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.locator("tbody tr code").first).to_have_text("session.sign_in")
    with page.expect_download() as found:
        page.get_by_role("link", name="Download CSV").click()
    lines = found.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert (lines[0].startswith("number,created_at,actor"), {"session.sign_in" in line for line in lines[1:]}) == (
        True,
        {True},
    )


def test_nothing_found_shows_the_way_back(visit: Visit, page: Page) -> None:
    visit.open("/settings/audit/?action=nothing.like.that")
    visit.picture("settings-audit-nothing")
    page.locator(".empty").get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr").first).to_be_visible()
