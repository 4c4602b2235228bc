"""A chat that cannot go on as wished: each case has its own words and a next step, and loses no text."""

import re
import shlex
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import Visit, remarks
from tests.jobs.localvertex.servers import FAKE_LLAMA
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.localservers import order_faults
from tests.support.running import GEMMA, Running, running, with_tiny_model

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SOON, LATER = 60_000, 120_000
GROWN = "(before) => document.querySelector('.turn.model[aria-busy] .md')?.innerText.length > before + 40"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The model behind it says what the test wishes: `forever`, `refuse`."""
    folder = tmp_path_factory.mktemp("situations")
    options = f"--serving-command {shlex.quote(FAKE_LLAMA)} --faults {folder}/faults.json"
    with running(folder / "data", with_tiny_model(options)) as started:
        yield started


@pytest.fixture(scope="module")
def person(console: Running) -> Iterator[Visitor]:
    """The link signs in once."""
    with Visitor(console.address) as visitor:
        visitor.sign_in(console.link)
        journey.wait_for_catalogue(visitor)
        yield visitor


@pytest.fixture(scope="module")
def endpoint(console: Running, person: Visitor) -> str:
    fault(console, "nothing")
    made = journey.deploy_base(person, GEMMA)
    journey.wait_until_ready(person, made, 120)
    return made


@pytest.fixture
def page(visit: Visit, person: Visitor) -> Iterator[Page]:
    kept, address = person.client.cookies.jar, str(person.client.base_url)
    visit.context.add_cookies([{"name": one.name, "value": one.value or "", "url": address} for one in kept])
    yield visit.page
    assert visit.problems == []


@pytest.fixture
def talk(page: Page, visit: Visit, endpoint: str) -> Page:
    """A chat with one answer."""
    visit.open(f"/studio/chat/?endpoint={endpoint}")
    say(page, "Hello")
    page.wait_for_url(re.compile(r"/studio/chat/[0-9a-f-]{36}/"))
    expect(page.locator(".turn.model:not([aria-busy])")).to_have_count(1, timeout=SOON)
    return page


@pytest.fixture
def board(page: Page, visit: Visit, endpoint: str) -> Page:
    """A comparison of the endpoint with itself."""
    visit.open(f"/studio/compare/?endpoint={endpoint}")
    page.get_by_role("button", name="Start comparing").click()
    page.wait_for_url(re.compile(r"/studio/compare/[0-9a-f-]{36}/"))
    return page


def fault(console: Running, method: str, **values: object) -> None:
    """Of the local Vertex AI; replaces an earlier one."""
    order_faults(console.data_dir.parent / "faults.json", {"method": method, "mode": "refuse", "times": 1, **values})


def box(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Message", exact=True)


def ask_all(page: Page, text: str, columns: int = 2) -> Locator:
    """The latest answers."""
    page.get_by_label("Message to all columns").fill(text)
    page.keyboard.press("Enter")
    answers = page.locator(".column .turn.model:last-child")
    expect(answers).to_have_count(columns, timeout=SOON)
    return answers


def all_ended(page: Page) -> None:
    expect(page.locator("[aria-busy=true]")).to_have_count(0, timeout=SOON)
    expect(page.get_by_role("button", name="Send to all")).to_be_visible(timeout=SOON)
    page.wait_for_load_state()  # the first question leads to another page


def say(page: Page, text: str) -> None:
    box(page).fill(text)
    page.keyboard.press("Enter")


def length(page: Page) -> int:
    return len(page.locator(".turn.model .md").last.inner_text())


def grows(page: Page) -> None:
    page.locator(".turn.model[aria-busy] .md").first.wait_for()
    page.wait_for_function(GROWN, arg=length(page), timeout=LATER)


def stopped(page: Page) -> None:
    expect(page.get_by_text("You stopped this answer.")).to_be_visible(timeout=SOON)


def forgive(visit: Visit, words: str) -> None:
    """What the browser itself notes of a request that was meant to fail."""
    visit.problems[:] = [problem for problem in visit.problems if words not in problem]


@pytest.mark.slow
def test_a_new_chat_opens_by_itself_once_its_endpoint_is_deployed(
    visit: Visit, page: Page, console: Running, person: Visitor
) -> None:
    visit.open("/studio/chat/")
    expect(page.get_by_role("heading", name="Nothing is deployed yet")).to_be_visible()
    visit.picture("chat-nothing-deployed")
    fault(console, "get_operation", times=1000)
    made = journey.deploy_base(person, GEMMA)
    expect(page.get_by_role("heading", name="Base is being deployed")).to_be_visible(timeout=SOON)
    assert remarks(visit) == []
    visit.picture("chat-deploying")
    fault(console, "nothing")
    # The worker asks for the operation ever more rarely the longer that failed.
    expect(box(page)).to_be_visible(timeout=2 * LATER)
    expect(page.locator("#id_endpoint")).to_have_value(made)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("document.body.dispatchEvent(new Event('endpoints')), fetch('/healthz')")
    assert asked == [f"{visit.address}/healthz"]
    page.get_by_role("button", name="A rainbow forms when sunlight").click()
    expect(box(page)).to_be_focused()
    visit.picture("chat-new")


CASES = {
    429: ("The endpoint is overloaded. Try again in a moment.", "View endpoint load"),
    503: ("The endpoint cannot answer now. Try again in a minute.", ""),
    500: ("The endpoint failed:", ""),
    404: ("The endpoint no longer exists. Deploy the model again.", "Chat with another endpoint"),
    403: ("Vertex AI does not allow this console to use the endpoint.", "View endpoint"),
    400: ("The endpoint refused the message:", "Check the settings"),
}


def test_each_refusal_says_what_to_do_and_is_tried_again(visit: Visit, talk: Page, console: Running) -> None:
    for number, (status, (sentence, step)) in enumerate(CASES.items()):
        fault(console, "chat_completions", status=status, number=number)
        say(talk, f"Question {status}")
        note = talk.locator(".turn.model").last.locator(".note")
        expect(note).to_contain_text(sentence, timeout=SOON)
        if step:
            expect(note.get_by_role("link", name=step)).to_be_visible()
        talk.get_by_role("button", name="Retry").last.click()
        expect(talk.locator(".note.bad")).to_have_count(0, timeout=SOON)
        expect(talk.locator(".turn.model .md").last).to_have_text("Hello there", timeout=SOON)
        expect(talk.locator(".turn.model[aria-busy]")).to_have_count(0, timeout=SOON)
    say(talk, "refuse")
    note = talk.locator(".turn.model").last.locator(".note")
    expect(note).to_contain_text("The conversation exceeds this model's context window.", timeout=SOON)
    assert remarks(visit) == []
    visit.picture("chat-refused")
    note.get_by_role("link", name="Start a new chat with the last question").click()
    expect(box(talk)).to_have_value("refuse")


@pytest.mark.slow
def test_a_model_that_wakes_is_waited_for_with_the_reason(visit: Visit, talk: Page, console: Running) -> None:
    fault(console, "chat_completions", mode="delay", seconds=4)
    say(talk, "Wake up")
    expect(talk.locator(".waiting").last).to_contain_text("waiting for the first token", timeout=SOON)
    visit.picture("chat-waiting")
    expect(talk.locator(".turn.model:not([aria-busy])")).to_have_count(2, timeout=SOON)


def test_an_endpoint_that_was_undeployed_keeps_the_draft(
    visit: Visit, page: Page, person: Visitor, endpoint: str
) -> None:
    other = journey.deploy_base(person, GEMMA)
    journey.wait_until_ready(person, other, 120)
    visit.open(f"/studio/chat/?endpoint={other}")
    say(page, "Hello")
    expect(page.locator(".turn.model:not([aria-busy])")).to_have_count(1, timeout=SOON)
    person.submit(person.get(f"/endpoints/{other}/undeploy/"), "/undeploy/", confirm="Base")
    person.wait_for(f"/endpoints/{other}/", ("Undeployed",), 30)
    say(page, "A long letter")
    expect(page.locator("#composer-place")).to_contain_text("has no deployed model", timeout=SOON)
    expect(box(page)).to_have_value("A long letter")
    forgive(visit, "422")
    page.reload()
    expect(page.get_by_role("link", name="Deploy it again")).to_be_visible()
    expect(box(page)).to_have_value("A long letter")
    assert remarks(visit) == []
    visit.picture("chat-undeployed")
    page.get_by_label("Endpoint", exact=True).select_option(endpoint)
    expect(page.locator("#composer-place .note")).to_have_count(0)
    expect(box(page)).to_have_value("A long letter")
    box(page).press("Enter")
    expect(page.locator(".turn.model:not([aria-busy])")).to_have_count(2, timeout=SOON)


def test_escape_stops_and_the_text_so_far_stays(talk: Page) -> None:
    say(talk, "forever")
    grows(talk)
    expect(talk.locator(".turn.model[aria-busy] .tail")).to_be_visible()
    expect(box(talk)).to_be_focused()
    talk.keyboard.press("Escape")
    stopped(talk)
    expect(talk.locator(".turn.model .md").last).to_contain_text("Hello there more")
    expect(box(talk)).to_be_focused()
    expect(talk.get_by_role("button", name="Continue")).to_be_visible()


@pytest.mark.slow
def test_a_message_that_is_sent_while_an_answer_is_written_goes_when_that_ends(visit: Visit, talk: Page) -> None:
    waits = talk.get_by_text("Sent when the answer is complete")
    say(talk, "forever")
    grows(talk)
    say(talk, "And then?")
    expect(waits).to_be_visible()
    assert remarks(visit) == []
    visit.picture("chat-queued")
    talk.keyboard.press("Escape")
    expect(waits).to_be_hidden()
    talk.keyboard.press("Enter")
    expect(waits).to_be_visible()
    box(talk).press_sequentially("!")
    expect(waits).to_be_hidden()
    talk.keyboard.press("Enter")
    expect(talk.locator(".turn.user")).to_have_count(2)
    talk.get_by_role("button", name="Stop", exact=True).click()
    expect(talk.locator(".turn.user").last).to_contain_text("And then?!", timeout=SOON)
    expect(talk.locator(".turn.model:not([aria-busy])")).to_have_count(3, timeout=SOON)
    expect(box(talk)).to_have_value("")
    expect(waits).to_be_hidden()


def test_a_message_does_not_follow_an_answer_that_failed(talk: Page) -> None:
    say(talk, "die soon")
    expect(talk.locator(".turn.model[aria-busy]")).to_have_count(1, timeout=SOON)
    say(talk, "And then?")
    expect(talk.get_by_text("Sent when the answer is complete")).to_be_visible()
    expect(talk.locator(".turn.model").last.locator(".note")).to_be_visible(timeout=SOON)
    expect(talk.get_by_role("button", name="Send")).to_be_visible(timeout=SOON)
    expect(talk.get_by_text("Sent when the answer is complete")).to_be_hidden()
    expect(box(talk)).to_have_value("And then?")
    assert talk.locator(".turn.user").count() == 2


@pytest.mark.slow
def test_only_who_is_at_the_end_is_taken_along(visit: Visit, talk: Page) -> None:
    talk.set_viewport_size({"width": 700, "height": 420})
    say(talk, "forever")
    grows(talk)
    talk.wait_for_function("() => document.scrollingElement.scrollHeight > innerHeight + 400", timeout=SOON)
    at_end = "() => { const p = document.scrollingElement; return p.scrollHeight - p.scrollTop - p.clientHeight < 120 }"
    talk.wait_for_function(at_end)
    expect(talk.get_by_role("button", name="Jump to latest")).to_be_hidden()
    talk.evaluate("scrollTo(0, 0)")
    expect(talk.get_by_role("button", name="Jump to latest")).to_be_visible()
    grows(talk)
    assert talk.evaluate("scrollY") == 0
    talk.get_by_role("button", name="Jump to latest").click()
    talk.wait_for_function(at_end)
    grows(talk)
    talk.wait_for_function(at_end)
    box(talk).press("Escape")
    stopped(talk)
    box(talk).fill("Hello")
    talk.evaluate("scrollTo(0, 0)")
    expect(talk.get_by_role("button", name="Jump to latest")).to_be_visible()
    talk.keyboard.press("Enter")
    expect(talk.locator(".turn.model:not([aria-busy])")).to_have_count(3, timeout=SOON)
    talk.wait_for_function(at_end)


def test_a_reload_and_a_second_tab_go_on_where_the_answer_is(visit: Visit, talk: Page) -> None:
    say(talk, "forever")
    grows(talk)
    before = length(talk)
    second = visit.context.new_page()
    visit.watch(second)
    second.goto(talk.url)
    for each in (second, talk):
        each.reload()
        each.wait_for_function(GROWN, arg=before, timeout=LATER)
        grows(each)
    second.get_by_role("button", name="Stop", exact=True).click()
    for each in (second, talk):
        stopped(each)
    texts = [each.locator(".turn.model .md").last.inner_text() for each in (second, talk)]
    assert texts[0] == texts[1]


def test_a_lost_connection_is_told_and_made_up_for(visit: Visit, talk: Page, console: Running) -> None:
    """The web server is killed and comes back: Chromium's own offline switch leaves open streams alone."""
    say(talk, "forever")
    grows(talk)
    console.kill("web")
    expect(talk.get_by_text("reconnecting")).to_be_visible(timeout=SOON)
    box(talk).fill("Typed without a connection")
    grows(talk)
    expect(talk.locator("#live-note")).to_be_hidden(timeout=LATER)
    expect(box(talk)).to_have_value("Typed without a connection")
    visit.problems.clear()  # what the browser noted meanwhile
    talk.get_by_role("button", name="Stop", exact=True).click()
    stopped(talk)
    text = talk.locator(".turn.model .md").last.inner_text()
    assert re.fullmatch(r"Hello there( more)+", text.strip())


@pytest.mark.slow
def test_columns_stream_until_they_are_stopped_and_then_take_what_waits(visit: Visit, board: Page) -> None:
    answers = ask_all(board, "forever")
    for place in range(2):
        expect(answers.nth(place)).to_contain_text("Hello there more", timeout=SOON)
        expect(answers.nth(place).locator(".tail")).to_be_visible()
    board.get_by_role("button", name="Stop A", exact=True).press("Enter")
    expect(answers.first).to_contain_text("You stopped this answer.", timeout=SOON)
    expect(board.locator(".column").first).to_be_focused()
    grows(board)
    board.get_by_label("Message to all columns").fill("And then?")
    board.keyboard.press("Enter")
    expect(board.get_by_text("Sent when all answers are complete")).to_be_visible()
    board.get_by_role("button", name="Stop all").click()
    expect(board.locator(".column .turn.user")).to_have_count(4, timeout=SOON)
    all_ended(board)
    expect(board.get_by_text("You stopped this answer.")).to_have_count(2)
    assert remarks(visit) == []


@pytest.mark.slow
def test_four_columns_leave_room_for_other_windows_and_for_stop(visit: Visit, page: Page, endpoint: str) -> None:
    """A browser has six connections to one address, and each window that is seen keeps one for what changes."""
    visit.open(f"/studio/compare/?endpoint={endpoint}")
    for letter in "CD":
        page.get_by_label(f"Column {letter}").select_option(endpoint)
    page.get_by_role("button", name="Start comparing").click()
    page.wait_for_url(re.compile(r"/studio/compare/[0-9a-f-]{36}/"))
    answers = ask_all(page, "forever", columns=4)
    for place in range(4):
        expect(answers.nth(place)).to_contain_text("Hello there more", timeout=SOON)
    for _ in range(3):
        window = visit.context.new_page()
        window.goto(f"{visit.address}/tuning/")
        expect(window.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("button", name="Stop all").click()
    all_ended(page)
    expect(page.get_by_text("You stopped this answer.")).to_have_count(4)


def test_columns_go_on_after_a_reload(board: Page) -> None:
    ask_all(board, "forever")
    grows(board)
    before = length(board)
    board.reload()
    expect(board.locator(".turn.model[aria-busy]")).to_have_count(2)
    board.wait_for_function(GROWN, arg=before, timeout=LATER)
    board.get_by_label("Message to all columns").focus()
    board.keyboard.press("Escape")
    all_ended(board)


@pytest.mark.slow
def test_a_column_that_cannot_read_all_goes_on_without_its_oldest_turns(visit: Visit, board: Page) -> None:
    ask_all(board, "Hello")
    all_ended(board)
    ask_all(board, "refuse")
    all_ended(board)
    board.get_by_role("button", name="Drop the oldest turns and retry").first.click()
    first, second = board.locator(".column").first, board.locator(".column").last
    dropped = first.get_by_text("The model no longer receives the messages above.")
    expect(dropped).to_be_visible(timeout=SOON)
    all_ended(board)
    expect(second.get_by_text("no longer receives the messages above")).to_have_count(0)
    # One question cannot be halved: only the other column still has something to leave out.
    expect(board.get_by_role("button", name="Drop the oldest turns and retry")).to_have_count(1)
    assert remarks(visit) == []
    visit.picture("compare-dropped")
    first.get_by_role("button", name="Send it again").click()
    expect(dropped).to_have_count(0)
    expect(board.get_by_role("button", name="Drop the oldest turns and retry")).to_have_count(2)


@pytest.mark.slow
def test_a_killed_worker_leaves_the_text_so_far_and_retry(visit: Visit, talk: Page, console: Running) -> None:
    say(talk, "forever")
    talk.wait_for_function(GROWN, arg=2000, timeout=SOON)  # it is kept once a second
    before = length(talk)
    console.kill("chat")
    note = talk.locator(".turn.model .note")
    expect(note).to_contain_text("The answer was cut off", timeout=LATER)
    text = talk.locator(".turn.model .md").last.inner_text()
    assert (text.startswith("Hello there more"), len(text) > before / 2) == (True, True)
    expect(talk.get_by_role("button", name="Continue")).to_be_visible()
    assert remarks(visit) == []
    visit.picture("chat-interrupted")
    talk.get_by_role("button", name="Retry").click()
    grows(talk)
    box(talk).press("Escape")
    stopped(talk)
    expect(talk.locator(".versions").last).to_contain_text("2/2")
