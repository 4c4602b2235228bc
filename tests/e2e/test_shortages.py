"""What cannot be saved for a while, in a browser: the sentence is in the banner, what was typed stays."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, remarks
from tests.support.running import Running

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.fault("F20")]
BUSY = "The database is busy with other changes. Try again in a moment."


@pytest.fixture
def page(visit: Visit, session: list[Any]) -> Iterator[Page]:
    """A browser writes down each 503 by itself."""
    visit.context.add_cookies(session)
    yield visit.page
    assert [problem for problem in visit.problems if "503" not in problem] == []


@contextmanager
def nobody_can_write(console: Running) -> Iterator[None]:
    with closing(sqlite3.connect(console.data_dir / "console.sqlite3", isolation_level=None, timeout=30)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


def test_a_step_of_a_form_is_kept_until_it_can_be_saved(visit: Visit, page: Page, console: Running) -> None:
    visit.open("/tuning/new/")
    name = page.locator("[name=display_name]")
    name.fill("Captain")
    with nobody_can_write(console):
        name.press("Enter")
        expect(page.locator("#banner")).to_contain_text(BUSY, timeout=60_000)
        expect(name).to_have_value("Captain")
        visit.picture("not-now")
        assert remarks(page) == []
    name.press("Enter")
    expect(page).to_have_url(re.compile("/base-model/"), timeout=30_000)


def test_without_scripts_the_whole_form_comes_back(visit: Visit, page: Page, console: Running) -> None:
    """A form that is sent as a page: the answer holds what was typed, and a button that sends it again."""
    visit.open("/settings/keys/")
    with nobody_can_write(console):
        page.locator("form[action='/settings/keys/'] button").click(timeout=60_000)
        expect(page.get_by_role("heading", name="Temporarily unavailable")).to_be_visible(timeout=60_000)
        expect(page.locator(".note.bad")).to_have_text(BUSY)
        assert remarks(page) == []
    page.get_by_role("button", name="Try again").click()
    expect(page).to_have_url(f"{visit.address}/settings/keys/", timeout=30_000)
