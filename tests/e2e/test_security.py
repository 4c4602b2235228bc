"""The sign-in by a link of the terminal, the step that asks who somebody is, and the list of sessions, in a browser."""

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, new_page, remarks
from tests.support.running import ROOT, Running, environment

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]
PASS_PHRASE = "a longer pass phrase"


@pytest.fixture
def page(visit: Visit, session: list[Any]) -> Iterator[Page]:
    visit.context.add_cookies(session)
    yield visit.page
    assert visit.problems == []


def link(console: Running) -> str:
    """As the command in the page prints it."""
    command = [sys.executable, "manage.py", "sign-in-link", "--data-dir", str(console.data_dir)]
    answer = subprocess.run(command, cwd=ROOT, env=environment({}), capture_output=True, text=True, check=True)
    assert answer.stdout.startswith(console.address)
    return answer.stdout.strip()


def another_browser(visit: Visit, console: Running) -> Page:
    browser = visit.context.browser
    assert browser
    page = new_page(browser.new_context(locale="en-GB"))
    page.goto(link(console))
    expect(page).to_have_url(f"{console.address}/")
    return page


@pytest.mark.threat("T19")
def test_another_browser_is_listed_and_ended_by_keyboard(visit: Visit, page: Page, console: Running) -> None:
    other = another_browser(visit, console)
    visit.open("/settings/security/")
    rows = page.locator(".links li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("this session")
    expect(rows.first).to_contain_text("Chrome on Linux")
    visit.picture("security")
    assert remarks(page) == []
    rows.nth(1).get_by_role("button", name=re.compile("End the session of Chrome on Linux")).focus()
    page.keyboard.press("Enter")
    expect(page.locator(".snack")).to_contain_text("Session ended")
    expect(rows).to_have_count(1)
    other.reload()
    expect(other).to_have_url(re.compile("/accounts/sign-in/"))
    other.context.close()


@pytest.mark.threat("T19")
def test_an_account_that_a_link_opens_sets_a_password_after_a_new_link(
    visit: Visit, page: Page, console: Running
) -> None:
    visit.open("/settings/security/")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    expect(page.locator(".copy code")).to_contain_text(f"manage.py sign-in-link --data-dir {console.data_dir}")
    visit.picture("confirm-link")
    assert remarks(page) == []
    visit.page.goto(link(console))
    expect(page).to_have_url(f"{console.address}/settings/security/")
    page.locator("[name=new_password1]").fill(PASS_PHRASE)
    page.locator("[name=new_password2]").fill(PASS_PHRASE)
    page.get_by_role("button", name="Set the password").click()
    expect(page.locator(".snack")).to_contain_text("Password changed")
    visit.open("/")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    # The page that was left asked for its stream once more, with the key that the proof or the password replaced.
    visit.problems[:] = [problem for problem in visit.problems if "/streams/live" not in problem]


@pytest.mark.threat("T19")
def test_the_password_is_asked_for_and_the_form_is_then_sent(visit: Visit, console: Running) -> None:
    """After the test before, which set the password; a session of 16 minutes ago."""
    visit.page.goto(link(console))
    age_sessions(console)
    page = visit.page
    visit.open("/settings/notifications/")
    page.get_by_label("Webhook", exact=False).first.fill("https://hook.example/here")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    visit.picture("confirm-password")
    assert remarks(page) == []
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.locator(".errors")).to_contain_text("This password is incorrect.")
    visit.problems.clear()
    page.get_by_label("Password").fill(PASS_PHRASE)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{console.address}/settings/notifications/")
    expect(page.locator(".note")).to_contain_text(["whsec_"])
    assert visit.problems == []


AGE = """
import django
django.setup()
from console.web.sessions import SIGNED_IN_AT, SessionStore
from jobs.models import SignedInSession
for row in SignedInSession.objects.exclude(data=""):
    data = SessionStore().decode(row.data)
    for name in (SIGNED_IN_AT, "proved_at"):
        if name in data:
            data[name] -= 16 * 60
    row.data = SessionStore().encode(data)
    row.save(update_fields=["data"])
"""


def age_sessions(console: Running) -> None:
    given = environment({"CONSOLE_DATA_DIR": str(console.data_dir), "DJANGO_SETTINGS_MODULE": "console.settings"})
    subprocess.run([sys.executable, "-c", AGE], cwd=ROOT, env=given, check=True)


def test_who_waits_is_told_how_long(visit: Visit) -> None:
    visit.open("/accounts/sign-in/")
    page = visit.page
    said = page.locator(".errors").filter(has_text=re.compile(r"Wait \d+ seconds?, then try again\."))
    tries = 0  # on a slow machine the first waits, of a second or two, are over before they are told
    while tries < 5 or (tries < 12 and not said.count()):
        tries += 1
        page.get_by_label("Username").fill("somebody")
        page.get_by_label("Password").fill("wrong")
        with page.expect_navigation():
            page.get_by_role("button", name="Sign in").click()
    expect(said).to_be_visible()
    visit.picture("sign-in-wait")
    assert remarks(page) == []
