"""A chat as a tree, in a real browser with a tiny real model: versions, edits, continued answers, links for others."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import WIDE, Visit, enter, remarks
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, Running

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]
SOON = 60_000


@pytest.fixture(scope="module")
def signed_in(browser: Browser, console: Running) -> Any:
    context = browser.new_context()
    enter(context, console)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture(scope="module")
def endpoint(console: Running, signed_in: Any) -> str:
    with Visitor(console.address) as person:
        for cookie in signed_in["cookies"]:
            person.client.cookies.set(cookie["name"], cookie["value"])
        journey.wait_for_catalogue(person)
        made = journey.deploy_base(person, GEMMA)
        journey.wait_until_ready(person, made, 120)
    return made


@pytest.fixture
def talk(visit: Visit, signed_in: Any, endpoint: str) -> Iterator[Visit]:
    """A chat with two answers of two tokens, all that the tiny model is given to say."""
    visit.context.add_cookies(signed_in["cookies"])
    visit.open(f"/studio/chat/?endpoint={endpoint}")
    visit.page.get_by_label("Message", exact=True).fill("Tell me about the sea")
    visit.page.get_by_role("button", name="Send").click()
    visit.page.locator("#id_max_tokens").fill("2")
    visit.page.keyboard.press("Tab")
    visit.page.get_by_text("Saved", exact=True).wait_for()
    stop = visit.page.get_by_role("button", name="Stop", exact=True)
    if stop.is_visible():
        stop.click()
    finished(visit.page)
    visit.page.get_by_role("button", name="Generate another answer").click()
    finished(visit.page, versions="2/2")
    yield visit
    assert visit.problems == []


def finished(page: Page, versions: str = "") -> None:
    if versions:
        expect(page.locator(".versions").last).to_contain_text(versions, timeout=SOON)
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=SOON)
    expect(page.locator(".turn-acts").last).to_be_visible()


def answers(page: Page) -> Locator:
    return page.locator(".turn.model")


def test_versions_are_switched_by_keyboard_and_announced(talk: Visit) -> None:
    page = talk.page
    before = page.get_by_role("button", name="Previous version")
    before.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".versions")).to_contain_text("1/2")
    expect(page.locator("#chat-status")).to_have_text("Version 1 of 2")
    expect(before).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".versions")).to_contain_text("2/2")
    page.reload()
    expect(page.locator(".versions")).to_contain_text("2/2")


def test_an_edited_question_keeps_the_old_one(talk: Visit) -> None:
    page = talk.page
    page.get_by_role("link", name="Edit and send again").click()
    expect(page.get_by_label("Question")).to_be_focused()
    assert remarks(talk) == []
    page.evaluate("document.body.dispatchEvent(new Event('live-refresh'))")
    page.wait_for_timeout(700)
    page.get_by_label("Question").fill("Tell me about the land")
    page.locator(".editing").get_by_role("button", name="Send").click()
    expect(page.locator(".turn.user")).to_contain_text("Tell me about the land")
    finished(page)
    page.get_by_role("button", name="Previous version").first.click()
    expect(page.locator(".turn.user")).to_contain_text("Tell me about the sea")


def test_an_edited_answer_is_kept_by_keyboard_and_continued_by_the_model(talk: Visit) -> None:
    page = talk.page
    mine = page.get_by_role("textbox", name="Answer")
    page.get_by_role("link", name="Edit the answer").click()
    expect(mine).to_be_focused()
    assert remarks(talk) == []
    mine.press("Escape")
    expect(mine).to_have_count(0)
    page.get_by_role("link", name="Edit the answer").click()
    mine.fill("The sea:")
    mine.press("Enter")
    mine.press_sequentially("It is")
    mine.press("Control+Enter")
    finished(page, versions="3/3")
    expect(page.locator("#chat-status")).to_have_text("Your version of the answer is saved")
    expect(page.locator(".turn-foot")).to_contain_text("Edited by you")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.get_by_role("link", name="Edit the answer").click()
    expect(mine).to_have_value("The sea:\nIt is")
    page.get_by_role("button", name="Save and continue").click()
    finished(page, versions="4/4")
    expect(page.locator(".turn-foot")).to_contain_text("2 out")
    continued = answers(page).locator(".md").first.inner_text()
    assert (continued.startswith("The sea: It is"), len(continued) > len("The sea: It is")) == (True, True)


def test_an_answer_cut_at_the_limit_is_continued(talk: Visit) -> None:
    page = talk.page
    expect(page.locator(".turn-foot")).to_contain_text("stopped at the output limit")
    text = answers(page).locator(".md").first.inner_text().strip()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator(".turn-foot")).to_contain_text("2 requests", timeout=SOON)
    continued = answers(page).locator(".md").first.inner_text()
    assert (continued.startswith(text[:4]), len(continued) > len(text)) == (True, True)


def test_a_link_to_a_turn_leads_there_and_one_to_the_chat_to_its_end(talk: Visit) -> None:
    page, chat = talk.page, urlsplit(talk.page.url)._replace(fragment="").geturl()
    page.set_viewport_size({"width": 1280, "height": 300})
    turn = page.locator(".turn").first.get_attribute("id")
    is_end = "() => scrollY > 0 && innerHeight + scrollY > document.documentElement.scrollHeight - 2"
    for address, leads_to_end in ((f"{chat}#{turn}", False), (chat, True)):
        talk.open("/studio/chat/")
        page.goto(address)
        expect(page.locator("[data-controller=autoscroll] .jump")).to_be_visible(visible=not leads_to_end)
        assert page.evaluate(is_end) == leads_to_end


def test_a_deleted_question_says_what_is_lost(talk: Visit) -> None:
    page = talk.page
    opener = page.locator(".turn.user").get_by_role("link", name="Delete")
    opener.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 messages will be deleted.")
    assert remarks(talk) == []
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    opener.click()
    dialog.get_by_role("button", name="Delete").click()
    expect(page.locator(".turn")).to_have_count(0)


def test_a_branch_is_a_chat_of_its_own(talk: Visit) -> None:
    before = talk.page.url
    talk.page.get_by_role("button", name="New chat from here").click()
    expect(talk.page.get_by_role("heading", level=1)).to_have_text("Tell me about the sea (branch)")
    assert talk.page.url != before


def test_a_chat_is_renamed_pinned_and_found(talk: Visit) -> None:
    page = talk.page
    page.get_by_role("link", name="Rename").click()
    expect(page.get_by_label("Title")).to_be_focused()
    page.get_by_label("Title").fill("Deep water")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Deep water")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("button", name="Pin").click()
    expect(page.locator("#history h2").first).to_have_text("Pinned")
    page.get_by_label("Search chats").fill("about sea")
    expect(page.locator("#chat-rows mark").first).to_be_visible()
    assert remarks(talk) == []


def test_chats_that_are_ticked_become_a_dataset(talk: Visit) -> None:
    page = talk.page
    thumb = page.get_by_role("button", name="Good answer")
    thumb.press("Enter")
    expect(thumb).to_have_attribute("aria-pressed", "true")
    expect(thumb).to_be_focused()
    assert remarks(talk) == []
    page.get_by_role("link", name="All chats").click()
    page.get_by_role("checkbox", name="Tell me about the sea").first.check()
    expect(page.get_by_text("1 chat selected")).to_be_visible()
    page.get_by_label("Search chats").fill("sea")
    expect(page.locator("#chat-rows mark").first).to_be_visible()
    expect(page.get_by_text("1 chat selected")).to_have_count(0)
    page.get_by_role("checkbox", name="Tell me about the sea").first.check()
    page.get_by_role("button", name="Create dataset").click()
    page.get_by_label("Name of the dataset").fill("Sea")
    page.get_by_label("Only answers that you rated as good").check()
    page.get_by_role("button", name="Create dataset").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sea")
    expect(page.get_by_text("Created from the answers in 1 chat.")).to_be_visible()


def test_a_link_shows_the_chat_until_it_is_revoked(talk: Visit, browser: Browser) -> None:
    page = talk.page
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("link", name="Share").click()
    page.get_by_role("button", name="Create link").click()
    link = page.locator("#share code").inner_text()
    assert remarks(talk) == []
    context = browser.new_context(viewport=WIDE)
    reader = Visit(context, context.new_page(), talk.address)
    reader.watch(reader.page)
    reader.page.goto(link)
    expect(reader.page.get_by_text("Tell me about the sea").last).to_be_visible()
    assert (remarks(reader), reader.problems) == ([], [])
    reader.picture("chat-shared")
    page.get_by_role("button", name="Revoke").first.click()
    # Chromium may never close a window that is on its way to another page.
    expect(page.get_by_text("Link revoked")).to_be_visible()
    answer = reader.page.request.get(link)
    assert answer.status == 404
    context.close()


def test_a_chat_is_taken_along(talk: Visit) -> None:
    talk.page.get_by_role("button", name="More actions").click()
    with talk.page.expect_download() as waiting:
        talk.page.get_by_role("link", name="Export as JSON").click()
    document = json.loads(waiting.value.path().read_text())
    assert re.fullmatch(r"tell-me-about-the-sea\.json", waiting.value.suggested_filename)
    assert (document["version"], len(document["messages"])) == (1, 3)
