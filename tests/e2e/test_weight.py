"""What the pages cost on the wire, in a browser that was never here and in one that was."""

from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.e2e.pages import PAGES, filled
from tests.e2e.weighing import Wire, weighed
from tests.support.running import Running

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]
HEAVIEST = ["chat", "compare", "job", "settings-appearance", "step-base-model", "tuning"]
KILOBYTE = 1000
FIRST, FIRST_WITH_CHART, AGAIN = 120 * KILOBYTE, 150 * KILOBYTE, 15 * KILOBYTE
# By how much a chapter of the documentation may be heavier.
CHAPTER = 15 * KILOBYTE


def visitor(browser: Browser, session: list[Any], locale: str) -> BrowserContext:
    """Somebody whose browser has kept nothing but the session."""
    context = browser.new_context(locale=locale)
    context.add_cookies(session)
    return context


def heaviest(wire: Wire) -> str:
    parts = sorted(wire.bytes.items(), key=lambda part: -part[1])
    return ", ".join(f"{size} {address.rpartition('/static/')[2][-60:]}" for address, size in parts)


@pytest.mark.parametrize("pages", [HEAVIEST, pytest.param([page.name for page in PAGES], marks=pytest.mark.slow)])
def test_pages_are_light(
    browser: Browser, console: Running, session: list[Any], seeded: dict[str, str], pages: list[str]
) -> None:
    found = []
    for page in (page for page in PAGES if page.name in pages):
        context = visitor(browser, session, "en-GB")
        address = console.address + filled(page.happy, seeded)
        first, again = weighed(context, address), weighed(context, address)
        print(f"{page.name:22}{first.total:8}{again.total:8}")
        context.close()
        more = CHAPTER if page.name.startswith("settings-about-") else 0
        if first.total > (FIRST_WITH_CHART if page.chart else FIRST) + more:
            found.append(f"{page.name}: {first.total} bytes at the first visit: {heaviest(first)}")
        if again.total > AGAIN + more:
            found.append(f"{page.name}: {again.total} bytes at the second visit: {heaviest(again)}")
    assert found == []


def test_hangul_comes_in_the_fonts_of_the_system(
    browser: Browser, console: Running, session: list[Any], seeded: dict[str, str]
) -> None:
    fonts = {}
    for locale in ("en-GB", "ko-KR"):
        context = visitor(browser, session, locale)
        wire = weighed(context, f"{console.address}/tuning/")
        fonts[locale] = sorted(address for address in wire.bytes if address.endswith(".woff2"))
        assert wire.total <= FIRST
        context.close()
    assert fonts["ko-KR"] == fonts["en-GB"]
