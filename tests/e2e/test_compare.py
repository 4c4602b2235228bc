"""Two models asked the same, in a real browser with a tiny real model: columns, a blind vote, a row for a dataset."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import NARROW, Visit, enter, remarks
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, Running

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(240)]
SOON = 60_000


@pytest.fixture(scope="module")
def signed_in(browser: Browser, console: Running) -> Any:
    context = browser.new_context()
    enter(context, console)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="module")
def endpoints(console: Running, signed_in: Any) -> list[str]:
    with Visitor(console.address) as person:
        for cookie in signed_in["cookies"]:
            person.client.cookies.set(cookie["name"], cookie["value"])
        journey.wait_for_catalogue(person)
        made = [journey.deploy_base(person, GEMMA) for _ in range(2)]
        for each in made:
            journey.wait_until_ready(person, each, 120)
    return made


@pytest.fixture
def started(visit: Visit, signed_in: Any, endpoints: list[str]) -> Iterator[Visit]:
    """Two columns that answer with two tokens and with three."""
    visit.context.add_cookies(signed_in["cookies"])
    visit.open("/studio/compare/")
    visit.page.get_by_label("Column A").select_option(endpoints[0])
    visit.page.get_by_label("Column B").select_option(endpoints[1])
    visit.page.get_by_role("button", name="Start comparing").click()
    for letter, tokens in (("A", "2"), ("B", "3")):
        set_limit(visit.page, letter, tokens)
    yield visit
    assert visit.problems == []


def set_limit(page: Page, letter: str, tokens: str) -> None:
    page.get_by_role("link", name=f"Parameters of column {letter}").click()
    page.locator("#id_max_tokens").fill(tokens)
    saved(page, letter, f"Output token limit {tokens}")


def saved(page: Page, letter: str, words: str) -> None:
    page.get_by_role("dialog").get_by_role("button", name="Save").last.click()
    column = page.locator(".column").nth("AB".index(letter))
    expect(column.get_by_text(words, exact=True)).to_be_visible()


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message to all columns").fill(text)
    page.keyboard.press("Enter")


def answers(page: Page) -> Locator:
    return page.locator(".column .turn.model")


def finished(page: Page, count: int = 2) -> None:
    expect(answers(page)).to_have_count(count, timeout=SOON)
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=SOON)
    expect(page.get_by_role("button", name="Send to all")).to_be_visible(timeout=SOON)


def test_two_columns_answer_several_questions(started: Visit) -> None:
    page = started.page
    ask(page, "Tell me about the sea")
    finished(page)
    expect(page.locator("#compare-status")).to_have_text("All answers are complete")
    expect(page.get_by_label("Message to all columns")).to_be_focused()
    ask(page, "And the land?")
    finished(page, 4)
    feet = page.locator(".column .turn-foot").all_inner_texts()
    assert ["2 out" in foot for foot in feet] == [True, True, False, False]
    assert ["3 out" in foot for foot in feet] == [False, False, True, True]
    tops = page.locator(".turn.user").evaluate_all("turns => turns.map((turn) => Math.round(turn.offsetTop))")
    assert (tops[0], tops[1]) == (tops[2], tops[3])
    assert remarks(started) == []
    started.picture("compare")


def test_one_column_is_answered_again(started: Visit) -> None:
    page = started.page
    ask(page, "Tell me about the sea")
    finished(page)
    page.get_by_role("button", name="Generate another answer").first.click()
    expect(page.locator(".column").first.locator(".versions")).to_contain_text("2/2", timeout=SOON)
    finished(page)
    expect(page.locator(".column").last.locator(".versions")).to_have_count(0)


def test_a_draft_for_all_columns_is_there_in_another_browser(started: Visit, signed_in: Any, browser: Browser) -> None:
    page = started.page
    page.get_by_label("Message to all columns").fill("Begun at the desk")
    page.wait_for_function("() => document.getElementById('id_text').defaultValue === 'Begun at the desk'")
    with browser.new_context() as phone:
        phone.add_cookies(signed_in["cookies"])
        other = phone.new_page()
        other.goto(page.url)
        expect(other.get_by_label("Message to all columns")).to_have_value("Begun at the desk")
        other.keyboard.press("Enter")
        finished(other)
    page.reload()
    expect(page.get_by_label("Message to all columns")).to_have_value("")


def test_a_blind_vote_by_keyboard_becomes_a_row(started: Visit) -> None:
    page = started.page
    page.get_by_label("Blind comparison").check()
    expect(page.get_by_label("Blind comparison")).to_be_checked()
    ask(page, "Tell me about the sea")
    finished(page)
    expect(page.locator(".column h2")).to_have_text(["A Model A", "B Model B"])
    expect(page.get_by_text("gemma-3-270m")).to_have_count(0)
    assert remarks(started) == []
    started.picture("compare-blind")
    page.get_by_role("button", name="B is best").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#vote-result")).to_contain_text("B was best: Base")
    expect(page.locator("#vote-result")).to_be_focused()
    expect(page.locator(".column h2").first).to_contain_text("gemma-3-270m")
    assert remarks(started) == []
    started.picture("compare-voted")
    into_a_dataset(started)


def into_a_dataset(started: Visit) -> None:
    page = started.page
    page.get_by_role("link", name="Add this answer to a dataset").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Answer that a model should learn").fill("The sea is wide and blue.")
    assert remarks(started) == []
    started.picture("compare-row")
    dialog.get_by_role("button", name="Add row").dblclick()
    page.get_by_role("link", name="A row of “Compared answers”, version 1").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Compared answers")
    page.get_by_role("link", name="All rows").click()
    expect(page.get_by_text("The sea is wide and blue.").first).to_be_visible()
    expect(page.get_by_text("Tell me about the sea").first).to_be_visible()
    started.open("/studio/compare/")
    expect(page.get_by_role("table")).to_contain_text("Base")
    assert remarks(started) == []
    started.picture("compare-list")


def test_up_to_four_columns_are_prepared(started: Visit) -> None:
    page = started.page
    assert remarks(started) == []
    expect(page.locator("#pictures-input")).to_be_disabled()
    expect(page.locator("#pictures-reason")).to_have_text("gemma-3-270m accepts text only, not images.")
    page.get_by_role("link", name="Parameters of column A").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert remarks(started) == []
    started.picture("compare-parameters")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Parameters of column A")).to_be_focused()
    for count in (3, 4):
        page.get_by_role("button", name="Add column").click()
        expect(page.locator(".column")).to_have_count(count)
    expect(page.get_by_role("button", name="Add column")).to_have_count(0)
    assert remarks(started) == []
    started.picture("compare-four")
    page.get_by_role("button", name="Remove column B").click()
    expect(page.locator(".column")).to_have_count(3)
    ask(page, "Tell me about the sea")
    finished(page, 3)
    page.get_by_role("link", name="Rename").click()
    page.get_by_label("Title").fill("The sea")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("The sea")
    page.get_by_role("button", name="Compare these again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Untitled comparison")
    expect(page.locator(".column")).to_have_count(3)
    page.get_by_role("button", name="Delete").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare models")


def test_without_a_script(browser: Browser, signed_in: Any, endpoints: list[str], console: Running) -> None:
    context = browser.new_context(java_script_enabled=False, viewport=NARROW, storage_state=signed_in)
    page = context.new_page()
    page.goto(f"{console.address}/studio/compare/?endpoint={endpoints[0]}")
    page.get_by_label("Blind comparison").check()
    page.get_by_role("button", name="Start comparing").click()
    page.get_by_label("Message to all columns").fill("Tell me about the sea")
    page.get_by_role("button", name="Send to all").click()
    for _ in range(60):
        if page.get_by_role("button", name="A is best").count():
            break
        page.get_by_role("link", name="Refresh").first.click()
        page.wait_for_timeout(500)
    page.get_by_role("button", name="A is best").click()
    expect(page.locator("#vote-result")).to_contain_text("A was best: Base")
    page.get_by_role("link", name="Add this answer to a dataset").click()
    page.get_by_label("Dataset", exact=True).select_option("")
    page.get_by_label("Name of the new dataset").fill("Without a script")
    page.get_by_role("button", name="Add row").click()
    expect(page.get_by_role("link", name="A row of “Without a script”, version 1")).to_be_visible()
    context.close()


def test_a_column_that_fails_leaves_the_other_running(started: Visit, endpoints: list[str]) -> None:
    page = started.page
    address = page.url
    started.open(f"/endpoints/{endpoints[1]}/")
    page.locator("#endpoint-bar").get_by_role("link", name="Undeploy").click()
    page.locator("#ask").get_by_label("Name of the endpoint").fill("Base")
    page.locator("#ask").get_by_role("button", name="Undeploy").click()
    expect(page.locator("#endpoint-bar")).to_contain_text("Undeployed", timeout=SOON)
    page.goto(address)
    ask(page, "Tell me about the sea")
    finished(page)
    expect(page.locator(".column").last.locator(".note.bad")).to_contain_text("undeployed")
    expect(page.locator(".column").first.locator(".turn-foot")).to_contain_text("2 out")
    expect(page.locator("#compare-status")).to_have_text("The answers are complete, 1 model gave none")
    assert remarks(started) == []
    started.picture("compare-failed")
