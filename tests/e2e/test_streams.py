"""An answer on its way to real pages: once to each, whole after a lost connection, and to nobody who signed out."""

import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Visit
from tests.support.running import ROOT, Running, environment, running
from tests.support.scripted_endpoint import saying

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
SOON = 60_000
WORDS = " ".join(f"word{number}" for number in range(900))
CODE = "Read this:\n\n```python\nprint('<b>')\nprint(2)\n```\n\nand $a_1$.\n\n- مرحبا\n"
LONG = f"${'a+' * 150}a$"
CODE += f"\nA long formula is {LONG}.\n\n> {LONG}\n\n1. {LONG}\n"
WATCH = """(words) => addEventListener("DOMContentLoaded", () => {
  globalThis.wrong = [];
  new MutationObserver(() => {
    const text = document.querySelector(".turn.model[aria-busy] .md")?.textContent.trim().replace(/\\s+/g, " ") ?? "";
    if (!words.startsWith(text)) globalThis.wrong.push(text);
  }).observe(document, { childList: true, characterData: true, subtree: true });
})"""
FRAMES = re.compile(r"/streams/chat/([0-9a-f-]{36})")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("streams") / "data"
    with ExitStack() as started:
        address = started.enter_context(saying(lambda asked: WORDS if asked.startswith("long") else CODE))
        yield started.enter_context(running(data, {"VERTEX_API_ENDPOINT": address}))


@pytest.fixture
def chat(console: Running, visit: Visit) -> Iterator[Page]:
    command = [sys.executable, "-m", "tests.bench.chat_seed", "1", "1"]
    given = environment({"CONSOLE_DATA_DIR": str(console.data_dir)})
    found = subprocess.run(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, check=True).stdout
    person: dict[str, Any] = json.loads(found)[0]
    visit.context.add_cookies([{"name": "sessionid", "value": person["session"], "url": visit.address}])
    visit.open(f"/studio/chat/{person['chats'][0]}/")
    yield visit.page
    assert visit.problems == []


def ask(page: Page, text: str) -> None:
    box = page.get_by_role("textbox", name="Message", exact=True)
    box.fill(text)
    box.press("Enter")


def answered(page: Page, count: int) -> None:
    expect(page.locator(".turn.model:not([aria-busy])")).to_have_count(count, timeout=SOON)
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=SOON)


def test_changes_are_heard_of_however_late_a_script_comes(chat: Page) -> None:
    """On a slow line one script may be there, and have waited in vain, long before the next."""

    def late(script: Route) -> None:
        answer = script.fetch()
        time.sleep(1)
        script.fulfill(response=answer)

    for name in ("hx-sse", "console"):
        chat.route(f"**/{name}*.js", late)
        with chat.expect_request("**/streams/live*"):
            chat.reload()
        expect(chat.locator("#live-note")).to_be_hidden()
        chat.unroute_all()


def test_each_answer_is_followed_once(chat: Page) -> None:
    opened: Counter[str] = Counter()
    chat.on("request", lambda request: opened.update(FRAMES.findall(request.url)))
    for count in (1, 2):
        ask(chat, f"long {count}")
        answered(chat, count)
    chat.get_by_role("button", name="Generate another answer").last.click()
    expect(chat.locator(".versions")).to_contain_text("2/2", timeout=SOON)
    answered(chat, 2)
    assert sorted(opened.values()) == [1, 1, 1]


def test_no_word_is_missing_while_an_answer_is_written(chat: Page, visit: Visit) -> None:
    """Also on a page that comes when nothing of it is stored yet, and much of it is on its way already."""
    visit.context.add_init_script(f"({WATCH})({json.dumps(WORDS)})")
    ask(chat, "long")
    expect(chat.locator(".turn.model .md").first).to_contain_text("word3 ", timeout=SOON)
    other = visit.context.new_page()
    visit.watch(other)
    other.goto(chat.url)
    answered(other, 1)
    assert other.evaluate("globalThis.wrong") == []


def test_a_page_that_comes_in_the_middle_shows_the_whole(chat: Page, visit: Visit) -> None:
    ask(chat, "long")
    expect(chat.locator(".turn.model .md").first).to_contain_text("word40 ", timeout=SOON)
    other = visit.context.new_page()
    visit.watch(other)
    other.goto(chat.url)
    chat.reload()
    for page in (chat, other):
        answered(page, 1)
        assert page.locator(".turn.model .md").first.inner_text().split() == WORDS.split()


def test_code_is_copied_and_formulas_and_lists_are_readable(chat: Page, visit: Visit) -> None:
    visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(chat, "code")
    answered(chat, 1)
    chat.get_by_role("button", name="Copy code").click()
    expect(chat.get_by_text("Copied", exact=True)).to_be_visible()
    assert chat.evaluate("navigator.clipboard.readText()") == "print('<b>')\nprint(2)\n"
    expect(chat.locator(".turn.model math").first).to_have_text("a1")
    expect(chat.locator(".turn.model math")).to_have_count(4)
    assert chat.locator(".turn.model ul").evaluate("(list) => getComputedStyle(list).direction") == "rtl"
    visit.picture("chat-code-block")


def test_signing_out_ends_every_page(chat: Page, visit: Visit) -> None:
    other = visit.context.new_page()
    other.goto(f"{visit.address}/tuning/")
    chat.goto(f"{visit.address}/")
    chat.evaluate("document.querySelector('form[action$=\"/sign-out/\"]').submit()")
    expect(chat.get_by_role("heading", name="Sign in", level=1)).to_be_visible(timeout=SOON)
    expect(other.get_by_role("heading", name="Sign in", level=1)).to_be_visible(timeout=SOON)
    visit.problems.clear()
