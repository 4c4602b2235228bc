"""Every page in each of its states: what a machine can tell of WCAG 2.2 AA and of good practice, in light, dark and on
a phone; all widths, both languages, slow and failing answers."""

import re
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import CONTRAST, NARROW, WIDE, Visit, remarks
from tests.e2e.pages import CHAT, addresses, filled
from tests.support.running import Running
from tests.support.share import one_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
# 320 px is what 1280 px become at 400 %, 640 px at 200 %.
WIDTHS = (320, 375, 640, 840, 1024, 1200, 1600)
FEW_WIDTHS = (320, 1024)
CLIPPED = """() => [...document.querySelectorAll(
    "h1, h2, h3, th, label, legend, dt, .btn, .chip, .badge, .st, .tabs a, .nav a, .note")]
  .filter((one) => one.checkVisibility() && !one.closest(".sr") && getComputedStyle(one).display !== "inline")
  .filter((one) => !one.closest("thead") || getComputedStyle(one.closest("thead")).position !== "absolute")
  .filter((one) => one.scrollWidth > one.clientWidth + 1)
  .map((one) => `${location.pathname} cuts ${one.outerHTML.slice(0, 120)}`)"""
WITHOUT_COMMANDS = """delete HTMLButtonElement.prototype.command;
  addEventListener("command", (event) => { if (event.isTrusted) event.preventDefault(); }, true);"""
SEND_A_WRONG_TOKEN = """() => {
  const form = document.querySelector("form[action$='/sample/']");
  form.querySelector("[name=csrfmiddlewaretoken]").value = "wrong";
  HTMLFormElement.prototype.submit.call(form);
}"""
TO_THE_TOP = "scrollTo(0, 0)"
FAILED_ANSWERS = (
    "404 (Not Found)",
    "403 (Forbidden)",
    "500 (Internal Server Error)",
    "422 (Unprocessable",
    "ERR_FAILED",
)

Look = Callable[[Visit, str, str], list[str]]


@pytest.fixture
def page(visit: Visit, session: list[Any]) -> Iterator[Page]:
    visit.context.add_cookies(session)
    yield visit.page
    assert [problem for problem in visit.problems if not any(text in problem for text in FAILED_ANSWERS)] == []


def wait_for_the_catalogue(visit: Visit) -> None:
    visit.open("/model-garden/")
    expect(visit.page.get_by_role("link", name="Gemma 3", exact=False).first).to_be_visible(timeout=60_000)


def looked_at(visit: Visit, name: str, path: str = "") -> list[str]:
    """Structure is looked at in both sizes, contrast in both schemes. Without a path: the page that is open."""
    page = visit.page
    if path:
        visit.open(path)
    found = remarks(page, CONTRAST) if path == "/" else []
    visit.picture(name)
    page.emulate_media(color_scheme="dark")
    found += remarks(page)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(NARROW)
    page.evaluate(TO_THE_TOP)
    found += remarks(page) + too_wide(visit, WIDTHS)
    page.set_viewport_size(WIDE)
    return found


def glanced_at(visit: Visit, name: str, path: str) -> list[str]:
    """In a third of the time: as on a phone in the dark, and how wide it becomes."""
    page = visit.page
    visit.open(path)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    found = remarks(page) + too_wide(visit, FEW_WIDTHS)
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(WIDE)
    return found


def too_wide(visit: Visit, widths: tuple[int, ...]) -> list[str]:
    found = []
    for width in widths:
        visit.page.set_viewport_size({"width": width, "height": 800})
        if overflow := visit.overflow():
            found.append(f"{visit.page.url}: {overflow} px too wide at {width} px")
    return found


@pytest.mark.usefixtures("page")
@pytest.mark.slow
def test_pages_with_nothing_to_show(visit: Visit) -> None:
    wait_for_the_catalogue(visit)
    found = []
    for name, path in addresses("empty", {}):
        found += looked_at(visit, f"{name}-empty", path)
    assert found == []


@pytest.mark.usefixtures("page")
@pytest.mark.parametrize("look", [glanced_at, pytest.param(looked_at, marks=pytest.mark.slow)])
@pytest.mark.parametrize("state", one_of(4, ["happy", "empty", "failed", "waiting"]))
@pytest.mark.timeout(300)
def test_pages_with_everything(visit: Visit, seeded: dict[str, str], state: str, look: Look) -> None:
    wait_for_the_catalogue(visit)
    found, seen = [], {path for _name, path in addresses("empty", {})}
    for name, path in addresses(state, seeded):
        if state == "empty" and path in seen and look is looked_at:
            continue
        found += look(visit, f"{name}-{state}", path)
    assert found == []


@pytest.mark.slow
def test_nothing_is_cut_in_korean_on_a_phone(
    browser: Browser, console: Running, session: list[Any], seeded: dict[str, str]
) -> None:
    context = browser.new_context(viewport=NARROW, locale="ko-KR", reduced_motion="reduce")
    context.add_cookies(session)
    visit = Visit(context, context.new_page(), console.address)
    found = []
    for name, path in addresses("happy", seeded):
        visit.open(path)
        visit.picture(f"{name}-ko")
        visit.page.set_viewport_size(NARROW)
        found += visit.page.evaluate(CLIPPED)
    assert (visit.page.locator("html").get_attribute("lang"), found, visit.problems) == ("ko", [], [])
    context.close()


# Pages that fetch a part of themselves again, and what must still be there when that fails.
LIVE = (
    ("/", "#main .stats"),
    ("/tuning/", "#tuning-table tbody tr"),
    ("/tuning/jobs/{Running}/", "#job-bar"),
    ("/endpoints/", "#endpoint-table tbody tr"),
    ("/endpoints/{endpoint-ready}/", "#endpoint-bar"),
    ("/models/", "#model-table tbody tr"),
    ("/settings/", ".parts"),
)


def fetched(page: Page) -> None:
    """As after a gap in the live stream: everything on the page asks for itself."""
    page.evaluate("document.body.dispatchEvent(new CustomEvent('live-refresh', {bubbles: true}))")


def of_htmx(answer: Any) -> Any:
    """Pages and their live stream come; what they fetch afterwards is answered so."""

    def handle(route: Route) -> None:
        if "hx-request" in route.request.headers and "/streams/" not in route.request.url:
            answer(route)
        else:
            route.continue_()

    return handle


@pytest.mark.parametrize("answer", ["fails", "does not come"])
def test_a_refresh_that_fails_takes_nothing_away(visit: Visit, page: Page, seeded: dict[str, str], answer: str) -> None:
    refuse = of_htmx(
        lambda route: route.fulfill(status=500, body="<h1>No</h1>") if answer == "fails" else route.abort()
    )
    page.route("**", refuse)
    for path, kept in LIVE:
        visit.open(filled(path, seeded))
        shown = page.locator(kept).first.inner_text()
        with page.expect_event("requestfinished" if answer == "fails" else "requestfailed"):
            fetched(page)
        page.wait_for_timeout(100)
        assert (page.locator(kept).first.inner_text(), page.locator(".snack").count()) == (shown, 0), path
    visit.problems[:] = [problem for problem in visit.problems if "Failed to fetch" not in problem]


def test_the_first_paragraph_of_an_answer_is_seen_while_it_is_written(
    visit: Visit, page: Page, seeded: dict[str, str]
) -> None:
    """Before there is a second one, the place of those that are finished is empty."""
    visit.open(filled(CHAT % "busy", seeded))
    page.locator(".turn[aria-busy] .tail").evaluate("(tail) => tail.append('The sea is')")
    expect(page.get_by_text("The sea is")).to_be_visible()


def test_each_row_of_the_review_is_seen_whole_on_a_phone(visit: Visit, page: Page, seeded: dict[str, str]) -> None:
    page.set_viewport_size(NARROW)
    visit.open(filled("/tuning/drafts/{draft}/deployment/", seeded))
    table = page.locator(".tw", has=page.locator("caption", has_text="Review"))
    assert table.evaluate("(frame) => frame.scrollWidth - frame.clientWidth") == 0


def test_what_a_person_asked_for_is_shown_to_be_on_its_way(visit: Visit, page: Page, seeded: dict[str, str]) -> None:
    waiting: list[Route] = []
    visit.open("/datasets/")
    page.route("**", of_htmx(waiting.append))
    page.get_by_role("link", name="Rows", exact=True).click()
    expect(page.locator("#datasets")).to_have_attribute("aria-busy", "true")
    bar = "getComputedStyle(document.querySelector('main'), '::before').animationName"
    page.wait_for_function(f"{bar} === 'slide, late'")
    assert remarks(page) == []
    for each in waiting:
        each.continue_()
    page.unroute("**")
    expect(page.locator("#datasets [aria-sort]")).to_have_text("Rows")
    expect(page.locator("#datasets")).not_to_have_attribute("aria-busy", "true")
    assert page.evaluate(bar) == "none"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda route: route.fulfill(status=500), "That did not work. Try again in a moment."),
        (lambda route: route.abort(), "The console cannot be reached. Check that it is running."),
    ],
)
def test_an_act_that_fails_is_said_once_and_loses_nothing(visit: Visit, page: Page, answer: Any, said: str) -> None:
    visit.open("/datasets/")
    page.locator("#id_name").fill("Typed")
    page.route("**", of_htmx(answer))
    page.get_by_role("button", name="Add the sample dataset").click()
    expect(page.locator(".snack")).to_have_text(re.compile(re.escape(said)))
    expect(page.locator("#id_name")).to_have_value("Typed")
    assert remarks(page) == []
    visit.problems[:] = [problem for problem in visit.problems if "Failed to fetch" not in problem]


def test_dialogs_open_in_a_browser_that_knows_no_commands(visit: Visit, page: Page, seeded: dict[str, str]) -> None:
    page.add_init_script(WITHOUT_COMMANDS)
    visit.open(filled("/datasets/{dataset-questions}/", seeded))
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name="Edit").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)


def test_error_pages_stand_in_the_shell(visit: Visit, page: Page, console: Running) -> None:
    found = []
    with sqlite3.connect(console.data_dir / "console.sqlite3") as database:
        database.execute("ALTER TABLE jobs_sharelink RENAME TO jobs_sharelink_away")
    try:
        found += error_page(visit, "500", "/studio/chat/links/", "The console could not complete the request")
    finally:
        with sqlite3.connect(console.data_dir / "console.sqlite3") as database:
            database.execute("ALTER TABLE jobs_sharelink_away RENAME TO jobs_sharelink")
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Shared links")
    visit.open("/datasets/")
    page.evaluate(SEND_A_WRONG_TOKEN)
    expect(page.locator("main h2")).to_have_text("Request refused")
    found += remarks(page)
    assert found == []


def error_page(visit: Visit, name: str, path: str, heading: str) -> list[str]:
    found = looked_at(visit, f"error-{name}", path)
    expect(visit.page.locator("main h2")).to_have_text(heading)
    expect(visit.page.get_by_role("navigation", name="Main")).to_be_visible()
    return found


def test_the_way_in_and_out(visit: Visit, session: list[Any]) -> None:
    page = visit.page
    found = looked_at(visit, "sign-in", "/accounts/sign-in/")
    found += looked_at(visit, "sign-in-link-used", "/accounts/link/used/")
    visit.open("/tuning/?filter=status:failed")
    page.get_by_label("Username").fill("owner")
    page.get_by_label("Password").fill("wrong")
    page.get_by_label("Password").press("Enter")
    expect(page.get_by_role("alert")).to_be_focused()
    found += looked_at(visit, "sign-in-refused")
    visit.context.add_cookies(session)
    visit.open("/accounts/sign-in/?next=/tuning/%3Ffilter=status:failed")
    expect(page).to_have_url(re.compile(r"/tuning/\?filter=status:failed$"))
    assert (found, [problem for problem in visit.problems if "422" not in problem and "410" not in problem]) == ([], [])
