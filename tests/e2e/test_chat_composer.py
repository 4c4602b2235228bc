"""Writing to a model by keyboard, its settings, and its code, in a real browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.conftest import NARROW, Visit, remarks
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
SOON = 60_000
COUNT_WORDS = """() => {
  window.said = [];
  const status = document.getElementById("chat-status");
  new MutationObserver(() => said.push(status.textContent.trim()))
    .observe(status, { childList: true, subtree: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def ready(console: Running) -> tuple[str, str]:
    """An endpoint, and the session that may use it: the link signs in once."""
    with Visitor(console.address) as person:
        person.submit(person.get(console.link), console.link.removeprefix(console.address))
        journey.wait_for_catalogue(person)
        endpoint = journey.deploy_base(person, GEMMA)
        journey.wait_until_ready(person, endpoint, 120)
        return endpoint, person.client.cookies["sessionid"]


@pytest.fixture
def chat(visit: Visit, ready: tuple[str, str]) -> Iterator[Page]:
    """A chat with one answer."""
    page, (endpoint, session) = visit.page, ready
    visit.context.add_cookies([{"name": "sessionid", "value": session, "url": visit.address}])
    visit.open(f"/studio/chat/?endpoint={endpoint}")
    box(page).fill("Hello")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/studio/chat/[0-9a-f-]{36}/"))
    answers(page, 1)
    yield page
    assert visit.problems == []


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message", exact=True)


def answers(page: Page, count: int) -> None:
    expect(page.locator(".turn.model:not([aria-busy])")).to_have_count(count, timeout=SOON)
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=SOON)


def saved(page: Page) -> None:
    expect(page.locator("#options-form [role=status]")).to_have_text("Saved")


def turns(page: Page) -> list[str]:
    return [text.strip() for text in page.locator(".turn.user .what").all_inner_texts()]


def test_keys(chat: Page) -> None:
    chat.evaluate(COUNT_WORDS)
    box(chat).focus()
    chat.keyboard.type("One")
    chat.keyboard.press("Shift+Enter")
    chat.keyboard.type("two")
    chat.keyboard.press("Control+Enter")
    answers(chat, 2)
    assert turns(chat)[-1] == "One\ntwo"
    expect(box(chat)).to_be_focused()
    expect(box(chat)).to_have_value("")
    chat.wait_for_timeout(1500)
    assert chat.evaluate("said.filter((words) => words === 'The answer is complete').length") == 1
    chat.keyboard.press("Escape")
    expect(box(chat)).not_to_be_focused()


@contextmanager
def enter_makes_a_line(visit: Visit) -> Iterator[None]:
    """While it lasts, for the account of all these tests."""

    def choose(sends: bool) -> None:
        visit.open("/settings/keys/")
        visit.page.get_by_role("switch", name="Enter sends a message").set_checked(sends)
        visit.page.get_by_role("button", name="Save").click()
        expect(visit.page.get_by_text("Saved", exact=True)).to_be_visible()

    choose(False)
    try:
        yield
    finally:
        choose(True)


@pytest.mark.slow
def test_enter_makes_a_line_for_who_chose_that(chat: Page, visit: Visit) -> None:
    address = chat.url
    with enter_makes_a_line(visit):
        chat.goto(address)
        box(chat).focus()
        chat.keyboard.type("One")
        chat.keyboard.press("Enter")
        chat.keyboard.type("two")
        expect(box(chat)).to_have_value("One\ntwo")
        chat.keyboard.press("Control+Enter")
        answers(chat, 2)
        assert turns(chat)[-1] == "One\ntwo"


@pytest.mark.slow
def test_the_end_of_each_answer_is_said_though_the_words_are_the_same(chat: Page) -> None:
    """As when an answer is complete before its page has shown that it is being written."""
    box(chat).fill("Two")
    box(chat).press("Enter")
    answers(chat, 2)
    expect(chat.locator("#chat-status")).to_have_text("The answer is complete", timeout=SOON)
    chat.evaluate(COUNT_WORDS)
    for number in (0, 1, 1):
        turn = chat.locator(".turn.model").nth(number).get_attribute("id")
        chat.evaluate(
            """turn => htmx.ajax("GET", `/studio/chat/turns/${turn.replace("turn-", "")}/`,
              { target: "#" + turn, swap: "outerHTML" })""",
            turn,
        )
    chat.wait_for_function("said.length >= 2")
    assert chat.evaluate("said") == ["The answer is complete"] * 2


@pytest.mark.slow
def test_arrow_up_in_an_empty_box_presses_the_last_edit_button(chat: Page) -> None:
    chat.evaluate("""() => { for (const name of ["first", "last"]) {
      const button = Object.assign(document.createElement("button"), { textContent: name });
      button.dataset.editLast = "";
      button.addEventListener("click", () => { window.edited = name; });
      document.querySelector("main").append(button);
    } }""")
    box(chat).fill("text")
    chat.keyboard.press("ArrowUp")
    assert chat.evaluate("window.edited") is None
    box(chat).fill("")
    chat.keyboard.press("ArrowUp")
    assert chat.evaluate("window.edited") == "last"


@pytest.mark.slow
def test_the_last_question_is_edited_by_keyboard(chat: Page) -> None:
    box(chat).press("ArrowUp")
    question = chat.get_by_role("textbox", name="Question")
    expect(question).to_be_focused()
    chat.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(box(chat)).to_be_focused()
    chat.keyboard.press("ArrowUp")
    expect(question).to_be_focused()
    chat.keyboard.type(" again")
    chat.keyboard.press("Shift+Enter")
    chat.keyboard.type("please")
    chat.keyboard.press("Enter")
    expect(chat.locator(".turn.user .what")).to_contain_text("Hello again\nplease")
    answers(chat, 1)
    expect(box(chat)).to_be_focused()


@pytest.mark.slow
def test_korean_is_composed_before_it_is_sent(chat: Page) -> None:
    """Enter ends a composition; the next one sends, once."""
    keyboard = chat.context.new_cdp_session(chat)
    box(chat).focus()
    for text in ("ㅎ", "하", "한"):
        keyboard.send("Input.imeSetComposition", {"text": text, "selectionStart": 1, "selectionEnd": 1})
    enter = {"key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229}
    keyboard.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    box(chat).evaluate("""(field) => field.dispatchEvent(
      new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true }))""")
    keyboard.send("Input.insertText", {"text": "한글"})
    assert (len(turns(chat)), box(chat).input_value()) == (1, "한글")
    chat.keyboard.press("Enter")
    answers(chat, 2)
    assert turns(chat) == ["Hello", "한글"]


@pytest.mark.slow
def test_a_draft_outlives_the_tab_until_it_is_accepted(chat: Page, visit: Visit) -> None:
    box(chat).fill("Half a thought")
    address = chat.url
    other = visit.context.new_page()
    chat.close()
    other.goto(address)
    expect(box(other)).to_have_value("Half a thought")
    box(other).press("Enter")
    answers(other, 2)
    other.reload()
    expect(box(other)).to_have_value("")
    assert other.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('draft'))") == []
    visit.page = other


@pytest.mark.slow
def test_a_draft_is_there_on_another_device_too(chat: Page, visit: Visit) -> None:
    box(chat).fill("Begun at the desk")
    chat.wait_for_function("() => document.getElementById('id_text').defaultValue === 'Begun at the desk'")
    cookies = [one for one in visit.context.cookies() if one["name"] == "sessionid"]
    phone = chat.context.browser.new_context(viewport=NARROW, has_touch=True)
    phone.add_cookies(cookies)  # type: ignore[arg-type]
    other = phone.new_page()
    other.goto(chat.url)
    expect(box(other)).to_have_value("Begun at the desk")
    assert box(other).evaluate("(field) => parseFloat(getComputedStyle(field).fontSize)") >= 16
    box(other).press("Enter")
    answers(other, 2)
    phone.close()
    chat.reload()
    expect(box(chat)).to_have_value("")


@pytest.mark.slow
def test_a_draft_that_is_kept_while_its_page_is_read_again_is_shown(chat: Page) -> None:
    """The page that comes was read before the server had the draft, and the draft is kept before that page is there."""
    kept, came = list[Route](), list[bool]()

    def read_first(page: Route) -> None:
        was_read = page.fetch()
        came.append("Just in time" in was_read.text())
        kept[0].fulfill(response=kept[0].fetch())
        page.fulfill(response=was_read)

    chat.route("**/draft/", lambda draft: kept.append(draft))
    box(chat).fill("Just in time")
    with chat.expect_request("**/draft/"):
        pass
    chat.route(re.compile(r"/studio/chat/[0-9a-f-]{36}/$"), read_first)
    chat.reload()
    chat.unroute_all()
    expect(box(chat)).to_have_value("Just in time")
    assert came == [False]
    box(chat).fill("")


@pytest.mark.slow
def test_a_message_whose_page_is_left_before_its_answer_is_no_draft(chat: Page) -> None:
    held = list[Route]()

    def hold(message: Route) -> None:
        message.fetch()
        held.append(message)

    chat.route("**/send/", hold)
    box(chat).fill("Once only")
    chat.keyboard.press("Enter")
    expect(chat.get_by_role("log").get_by_text("Once only")).to_be_visible()
    chat.unroute_all(behavior="ignoreErrors")
    chat.reload()
    expect(box(chat)).to_have_value("")
    chat.reload()
    expect(box(chat)).to_have_value("")
    assert len(held) == 1


@pytest.mark.slow
def test_a_draft_that_is_kept_while_its_message_is_accepted_is_none(chat: Page) -> None:
    """The form has the key of the next message already, as it has before the box is emptied."""
    key = chat.locator("#composer-tools [name=key]")
    own = key.input_value()
    box(chat).fill("On its way")
    key.evaluate("(field) => { field.value = crypto.randomUUID(); }")
    with chat.expect_request("**/draft/") as kept:
        pass
    assert parse_qs(kept.value.post_data)["key"] == [own]
    box(chat).fill("")


@pytest.mark.slow
def test_what_is_sent_when_the_session_is_over_is_not_lost(chat: Page, visit: Visit) -> None:
    address, cookies = chat.url, visit.context.cookies()
    visit.context.clear_cookies(name="sessionid")
    box(chat).fill("Too late")
    chat.keyboard.press("Enter")
    expect(chat).to_have_url(re.compile("/accounts/sign-in/"))
    visit.context.add_cookies(cookies)  # type: ignore[arg-type]
    chat.goto(address)
    expect(box(chat)).to_have_value("Too late")
    box(chat).fill("")


@pytest.mark.slow
def test_commands(chat: Page, visit: Visit) -> None:
    box(chat).focus()
    chat.keyboard.type("/")
    options = chat.get_by_role("listbox", name="Commands").get_by_role("option")
    offered = [words.split()[0] for words in options.all_inner_texts()]
    assert offered == ["/clear", "/model", "/system", "/compare", "/help"]
    assert remarks(chat) == []
    visit.picture("chat-commands")
    chat.keyboard.press("Escape")
    expect(options.first).to_be_hidden()
    expect(box(chat)).to_have_value("/")
    chat.keyboard.type("s")
    chat.keyboard.press("Enter")
    expect(chat.locator("#id_system_instruction")).to_be_focused()
    expect(box(chat)).to_have_value("")
    box(chat).focus()
    chat.keyboard.type("/etc/passwd is a file")
    expect(options.first).to_be_hidden()
    box(chat).fill("")
    chat.keyboard.type("/")
    chat.keyboard.press("ArrowUp")
    expect(box(chat)).to_have_attribute("aria-activedescendant", "command-help")
    chat.keyboard.press("Enter")
    expect(chat.get_by_role("heading", name="Keyboard shortcuts")).to_be_visible()
    chat.keyboard.press("Escape")
    box(chat).fill("/cl")
    chat.keyboard.press("Enter")
    expect(chat.get_by_role("heading", name="New chat", level=1)).to_be_visible()
    expect(box(chat)).to_have_value("")


def test_settings(chat: Page, visit: Visit) -> None:
    chat.locator("#id_temperature").fill("0.3")
    chat.keyboard.press("Tab")
    expect(chat.get_by_role("button", name="Reset Temperature")).to_be_visible()
    for stop in ("END", "\\n"):
        chat.locator("#id_stop").fill(stop)
        chat.keyboard.press("Enter")
        expect(chat.locator(".stops .chip").last).to_have_text(stop)
        expect(chat.locator("#id_stop")).to_have_value("")
    expect(chat.locator("#id_stop")).to_be_focused()
    chat.get_by_role("button", name="Remove END").click()
    expect(chat.locator(".stops .chip")).to_have_text(["\\n"])
    chat.locator("#id_seed").fill("7")
    chat.keyboard.press("Enter")
    expect(chat.get_by_role("button", name="Reset Seed")).to_be_visible()
    expect(chat.locator("#id_temperature")).to_have_value("0.3")
    chat.locator("#id_name").fill("Cool")
    chat.keyboard.press("Enter")
    expect(chat.get_by_role("button", name="Cool", exact=True)).to_be_visible()
    expect(chat.locator("#id_name")).to_have_value("")
    assert remarks(chat) == []
    visit.picture("chat-settings")
    chat.reload()  # A screenshot leaves empty style attributes, which a swap would copy against the policy.
    chat.get_by_role("button", name="Reset Temperature").click()
    expect(chat.locator("#id_temperature")).to_have_value("")
    expect(chat.locator("#id_temperature")).to_be_focused()
    default = "(box) => { box.dataset.default = '0.4'; box.dispatchEvent(new Event('input')); }"
    chat.locator("#id_temperature").evaluate(default)
    expect(chat.locator(".slider", has_text="Temperature").locator("[type=range]")).to_have_value("0.4")
    chat.get_by_role("button", name="Reset all").click()
    expect(chat.locator(".param.changed")).to_have_count(0)
    expect(chat.locator("#id_seed")).to_have_value("")
    chat.get_by_role("button", name="Cool", exact=True).click()
    expect(chat.locator("#id_seed")).to_have_value("7")
    chat.get_by_role("button", name="Delete the preset Cool").click()
    expect(chat.get_by_role("button", name="Cool", exact=True)).to_have_count(0)


def test_the_settings_of_a_phone_leave_the_chat_to_the_keyboard(chat: Page) -> None:
    """Escape closes them, and so does Tab behind their last field: nothing has the focus underneath."""
    chat.set_viewport_size(NARROW)
    settings, opener = chat.locator("#settings"), chat.get_by_role("button", name="Settings", exact=True)
    opener.press("Enter")
    chat.locator("#id_temperature").focus()
    chat.keyboard.press("Escape")
    expect(settings).not_to_be_visible()
    expect(opener).to_be_focused()
    opener.press("Enter")
    settings.locator("button, input").last.focus()
    expect(settings).to_be_visible()
    chat.keyboard.press("Tab")
    expect(settings).not_to_be_visible()


@pytest.mark.slow
def test_an_answer_by_a_schema(chat: Page) -> None:
    chat.select_option("#id_response_format", "json_object")
    saved(chat)
    chat.locator("#id_max_tokens").fill("64")
    chat.keyboard.press("Tab")
    expect(chat.get_by_role("button", name="Reset Output token limit")).to_be_visible()
    box(chat).fill("A name, please")
    chat.keyboard.press("Enter")
    answers(chat, 2)
    assert chat.locator(".turn.model .md").last.inner_text().strip().startswith("{")


@pytest.mark.slow
def test_get_code(chat: Page, visit: Visit) -> None:
    chat.context.grant_permissions(["clipboard-read", "clipboard-write"])
    opener = chat.get_by_role("link", name="Get code")
    opener.click()
    panel = chat.get_by_role("dialog", name="Get code")
    expect(panel).to_be_visible()
    panel.get_by_role("link", name="JavaScript").click()
    expect(panel.get_by_role("link", name="JavaScript")).to_have_attribute("aria-current", "page")
    panel.get_by_role("button", name="Copy code").click()
    expect(chat.get_by_text("Copied")).to_be_visible()
    assert chat.evaluate("navigator.clipboard.readText()").startswith("const answer = await fetch(")
    assert remarks(chat) == []
    visit.picture("chat-code")
    chat.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(chat).not_to_have_url(re.compile("/code/$"))


def test_without_a_script(visit: Visit, chat: Page) -> None:
    plain = chat.context.browser.new_context(java_script_enabled=False, storage_state=chat.context.storage_state())
    page = plain.new_page()
    page.goto(chat.url)
    page.locator("#id_stop").fill("END")
    page.keyboard.press("Enter")
    expect(page.locator(".stops .chip")).to_have_text(["END"])
    page.locator("#id_seed").fill("7")
    page.get_by_role("button", name="Save", exact=True).last.click()
    expect(page.locator("#id_seed")).to_have_value("7")
    page.get_by_role("button", name="Reset Seed").click()
    expect(page.locator("#id_seed")).to_have_value("")
    expect(page.locator(".commands")).to_be_hidden()
    page.get_by_role("link", name="Get code").click()
    page.get_by_role("link", name="Python, OpenAI client").click()
    expect(page.locator("#code-panel pre")).to_contain_text("OpenAI(")
    plain.close()
