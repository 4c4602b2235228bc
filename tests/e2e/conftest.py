import json
import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from tests.support.browser import program
from tests.support.running import ROOT, Running, running, with_tiny_model

SCREENSHOTS = ROOT / "screenshots"
WIDE: ViewportSize = {"width": 1280, "height": 860}
NARROW: ViewportSize = {"width": 375, "height": 760}
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update"]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RULES = {"type": "tag", "values": TAGS}
LOOK = """(options) => axe.run(options).then(({ violations }) =>
  violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`)))"""
USUAL = 15_000  # Five seconds are too few where more tests run than there are cores.
expect.set_options(timeout=USUAL)
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
LOADED = "addEventListener('load', () => document.documentElement.setAttribute('data-loaded', ''))"


@dataclass
class Visit:
    """One person's browser, and all that went wrong in it."""

    context: BrowserContext
    page: Page
    address: str
    problems: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("request", self._asked)

    def _heard(self, message: ConsoleMessage) -> None:
        """A row that asks for itself after it was deleted is told 404, and goes."""
        url = message.location["url"]
        if message.type in {"error", "warning"} and not (url.endswith("/row/") and "404" in message.text):
            self.problems.append(f"{url}: {message.text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.problems.append(f"asked for {request.url}")

    def open(self, path: str) -> None:
        self.page.goto(f"{self.address}{path}")

    def overflow(self) -> int:
        """Pixels that the page is too wide, once charts had the time to follow the window."""
        for _ in range(30):
            too_much = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            if too_much <= 0:
                return 0
            self.page.wait_for_timeout(100)
        return int(too_much)

    def picture(self, name: str) -> None:
        """Three pictures for people, if `CONSOLE_SCREENSHOTS` is set. A phone's width is tried always."""
        wanted = "CONSOLE_SCREENSHOTS" in os.environ
        SCREENSHOTS.mkdir(exist_ok=True)
        for scheme in ("light", "dark") if wanted else ():
            self.page.emulate_media(color_scheme=scheme)
            self.page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png")
        self.page.emulate_media(color_scheme="light")
        self.page.set_viewport_size(NARROW)
        if wanted:
            self.page.screenshot(path=SCREENSHOTS / f"{name}-375.png")
        if overflow := self.overflow():
            self.problems.append(f"{self.page.url}: {overflow} px too wide at 375 px")
        self.page.set_viewport_size(WIDE)


def remarks(seen: Visit | Page, rules: dict[str, Any] = RULES) -> list[str]:
    """What axe finds wrong with the page: what a machine can tell of WCAG 2.2 AA and of good practice."""
    page = seen.page if isinstance(seen, Visit) else seen
    page.wait_for_load_state()
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate(LOOK, {"runOnly": rules, "resultTypes": ["violations"]})
    return [f"{page.url}: {one}" for one in found]


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("e2e") / "data", with_tiny_model()) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with the module: its event loop would be in the way of Django's tests."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program(playwright), args=QUIET)
        yield opened
        opened.close()


def new_page(context: BrowserContext) -> Page:
    """Used once its scripts are there: before, a link leads to a page of its own instead of a dialog."""
    page = context.new_page()
    if "CONSOLE_SLOW_BROWSER" in os.environ:
        slow_down(page)
    page.add_init_script(LOADED)
    page.add_locator_handler(page.locator("html:not([data-loaded])"), lambda: None)
    return page


def slow_down(page: Page) -> None:
    """As on a busy machine with a slow line, where tests fail that look too soon."""
    browser = page.context.new_cdp_session(page)
    line = {"offline": False, "latency": 250, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.send("Network.enable")
    browser.send("Network.setCacheDisabled", {"cacheDisabled": True})
    browser.send("Network.emulateNetworkConditions", line)
    browser.send("Emulation.setCPUThrottlingRate", {"rate": 2})


def enter(context: BrowserContext, console: Running) -> None:
    """By the link, which works once."""
    page = new_page(context)
    page.goto(console.link)
    expect(page).to_have_url(f"{console.address}/", timeout=30_000)


@pytest.fixture(scope="module")
def session(browser: Browser, console: Running) -> list[Any]:
    """The cookies of somebody who used the link, which works once."""
    context = browser.new_context(locale="en-GB")
    enter(context, console)
    cookies = context.cookies()
    context.close()
    return list(cookies)


@pytest.fixture(scope="module")
def seeded(console: Running) -> dict[str, str]:
    """Ids by name of what tests/e2e/seed.py made."""
    environment = {**os.environ, "CONSOLE_DATA_DIR": str(console.data_dir), "VERTEX_PROJECT": "garden-local"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "tests.e2e.seed"]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return dict(json.loads(answer.stdout))


@pytest.fixture
def visit(browser: Browser, console: Running, request: pytest.FixtureRequest) -> Iterator[Visit]:
    # What turns on a page is drawn sixty times a second, without a graphics processor by the cores that the tests need.
    context = browser.new_context(viewport=WIDE, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(USUAL)
    page = new_page(context)
    started = Visit(context, page, console.address)
    started.watch(page)
    yield started
    if request.node.stash.get(FAILED, False):
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"failed-{request.node.name}.png", full_page=True)
    context.close()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when != "teardown":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def tune_data() -> Path:
    return ROOT / "tests/fixtures/tiny-tune"
