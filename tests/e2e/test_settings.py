"""Settings and status in a browser: by keyboard, in all sizes, with a part that fails."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, remarks
from tests.support.running import Running

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture
def page(visit: Visit, session: list[Any]) -> Iterator[Page]:
    visit.context.add_cookies(session)
    yield visit.page
    assert visit.problems == []


def test_a_new_console_works_and_shows_the_way(visit: Visit, page: Page) -> None:
    visit.open("/settings/")
    expect(page.locator(".overall")).to_have_text("All services working", timeout=60_000)
    visit.open("/")
    expect(page.locator(".setup [aria-current=step]")).to_contain_text("Dataset")
    visit.picture("dashboard-setup")
    assert remarks(page) == []


def test_a_part_that_fails_comes_first_and_recovers(visit: Visit, page: Page, console: Running) -> None:
    visit.open("/settings/")
    expect(page.locator(".overall")).to_have_text("All services working", timeout=60_000)
    page.wait_for_timeout(2500)
    os.kill(console.pids()["storage"], signal.SIGSTOP)
    try:
        page.get_by_role("button", name="Check now").click()
        expect(page.locator(".part").first).to_contain_text("Datasets can't be uploaded", timeout=45_000)
        expect(page.locator(".overall")).to_have_text("1 problem")
        visit.picture("settings-failing")
        assert remarks(page) == []
    finally:
        os.kill(console.pids()["storage"], signal.SIGCONT)
    page.wait_for_timeout(5000)
    page.get_by_role("button", name="Check now").click()
    expect(page.locator(".overall")).to_have_text("All services working", timeout=45_000)


def test_diagnostics_stay_open_while_the_page_refreshes(visit: Visit, page: Page) -> None:
    visit.open("/settings/")
    page.get_by_role("button", name="Diagnostics", exact=True).click()
    with page.expect_response(re.compile(r"/settings/$")):
        page.evaluate("document.body.dispatchEvent(new CustomEvent('live-refresh', {bubbles: true}))")
    page.wait_for_timeout(300)
    expect(page.locator("#diagnostics pre")).to_contain_text("Garden Console")
    assert ("redis://" in page.locator("#diagnostics").inner_text(), remarks(page)) == (False, [])
    page.keyboard.press("Escape")
    expect(page.locator("#diagnostics")).to_be_hidden()


def test_the_keys_lead_here_and_can_be_switched_off(visit: Visit, page: Page) -> None:
    visit.open("/")
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", name="Settings & status", level=1)).to_be_visible()
    visit.open("/settings/keys/")
    page.get_by_role("switch", name="Single-key shortcuts").focus()
    for key in ("Space", "Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".snack")).to_contain_text("Saved")
    for key in ("g", "t", "?", "/"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile("/settings/keys/$"))
    expect(page.locator("#shortcuts")).to_be_hidden()
    page.get_by_role("switch", name="Single-key shortcuts").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).not_to_have_attribute("data-keys", "off")


def test_looks_are_chosen(visit: Visit, page: Page) -> None:
    visit.open("/settings/appearance/")
    page.get_by_role("radio", name="Dark").check()
    page.get_by_role("radio", name="Compact").check()
    page.get_by_role("switch", name="Reduce motion").check()
    page.get_by_label("Time zone").select_option("Asia/Seoul")
    page.get_by_role("button", name="Save").click()
    tag = page.locator("html")
    for name, value in (("theme", "dark"), ("density", "compact"), ("motion", "reduced")):
        expect(tag).to_have_attribute(f"data-{name}", value)
    visit.open("/tuning/")
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--row-h')") == "32px"
    visit.open("/settings/appearance/")
    page.get_by_role("radio", name="System default").check()
    page.get_by_role("button", name="Save").click()
    expect(tag).not_to_have_attribute("data-theme", "dark")


def test_an_error_page_can_be_passed_on(visit: Visit, page: Page) -> None:
    visit.open("/tuning/")
    visit.problems.clear()
    page.evaluate("location.href = '/nothing-here/'")
    expect(page.get_by_role("link", name="Back")).to_have_attribute("href", re.compile("/tuning/$"))
    visit.picture("error-404")
    found = remarks(page)
    page.get_by_role("link", name="Back").click()
    expect(page.get_by_role("heading", name="Tuning", level=1)).to_be_visible()
    visit.problems[:] = [problem for problem in visit.problems if "404" not in problem]
    assert found == []


def test_the_sign_in_takes_a_pasted_password_and_says_what_is_wrong(visit: Visit) -> None:
    visit.open("/accounts/sign-in/")
    field = visit.page.get_by_label("Password")
    assert [field.get_attribute(name) for name in ("autocomplete", "onpaste")] == ["current-password", None]
    visit.page.get_by_role("button", name="Sign in").click()
    expect(visit.page.locator(".errors")).to_contain_text("2 things need your attention")
    visit.problems.clear()
    visit.picture("sign-in")
    assert remarks(visit.page) == []
