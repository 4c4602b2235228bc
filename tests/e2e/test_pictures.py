"""Pictures drawn here, added in each of the ways there are, and seen by a tiny model that really looks at them."""

import base64
import io
import random
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import NARROW, SCREENSHOTS, Visit, remarks
from tests.fixtures.tiny_gemma3.pictures import Scene, Thing, draw
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.misbehaving_server import bad_server, begin
from tests.support.running import GEMMA, ROOT, Running, running, with_tiny_model

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
SEES = "google/gemma3@gemma-3-4b-it"
VISION = ROOT / "jobs/localvertex/models/shapes_and_colours"
SOON = 60_000
STARS = Scene("white", (Thing("star", "red"), Thing("circle", "blue")))
SQUARE = Scene("black", (Thing("square", "yellow"),))
TRIANGLE = Scene("blue", (Thing("triangle", "white"),))
GIVE = """([name, type, content, way]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const data = new DataTransfer();
  data.items.add(new File([bytes], name, { type }));
  const event = (kind) => way === "paste"
    ? new ClipboardEvent(kind, { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
  const target = way === "paste" ? document.querySelector("textarea[name=text]") : document.querySelector("main");
  const drag = ["dragenter", "dragover"];
  const kinds = { paste: ["paste"], drag, drop: [...drag, "drop"] }[way];
  return kinds.map((kind) => !target.dispatchEvent(event(kind))).at(-1);
}"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    options = with_tiny_model(f"--base-model {SEES}={VISION}")
    with running(tmp_path_factory.mktemp("pictures") / "data", options) as started:
        yield started


@pytest.fixture(scope="module")
def person(console: Running) -> Iterator[Visitor]:
    """The link signs in once."""
    with Visitor(console.address) as visitor:
        visitor.sign_in(console.link)
        yield visitor


@pytest.fixture(scope="module")
def endpoints(person: Visitor) -> dict[str, str]:
    """The ids of an endpoint that sees and of one that only reads, both ready."""
    journey.wait_for_catalogue(person)
    found = {name: journey.deploy_base(person, model) for name, model in (("sees", SEES), ("reads", GEMMA))}
    for pk in found.values():
        journey.wait_until_ready(person, pk, 120)
    return found


def cookies_of(person: Visitor) -> list[Any]:
    kept, address = person.client.cookies.jar, str(person.client.base_url)
    return [{"name": one.name, "value": one.value, "url": address} for one in kept]


@pytest.fixture
def page(visit: Visit, person: Visitor) -> Page:
    visit.context.add_cookies(cookies_of(person))
    return visit.page


def saved(scene: Scene, kind: str = "PNG", side: int = 160) -> bytes:
    content = io.BytesIO()
    draw(random.Random(4), scene, side)[0].save(content, kind)
    return content.getvalue()


def give(page: Page, way: str, name: str, content: bytes) -> None:
    """Until the page takes it, which it does once its script is there."""
    kind = "image/jpeg" if name.endswith("jpg") else "image/png"
    page.wait_for_function(GIVE, arg=[name, kind, base64.b64encode(content).decode(), way])


def ask(page: Page, text: str) -> None:
    page.locator("textarea[name=text]").fill(text)
    page.get_by_role("button", name="Send").click()


def answers(page: Page) -> list[str]:
    expect(page.locator(".turn.model[aria-busy]")).to_have_count(0, timeout=SOON)
    return [text.strip() for text in page.locator(".turn.model .md").all_inner_texts()]


def first_turn(visit: Visit, endpoint: str, add: Callable[[Page], None]) -> str:
    """The answer to a new chat's first message, which comes with one picture. It is drawn by lot, and seldom wrong."""
    visit.open(f"/studio/chat/?endpoint={endpoint}")
    add(visit.page)
    ask(visit.page, "Describe the picture.")
    visit.page.wait_for_url(re.compile(r"/studio/chat/[0-9a-f-]{36}/"))
    return answers(visit.page)[-1]


def test_a_picture_from_a_file_by_paste_and_by_drop_is_seen(
    visit: Visit, page: Page, endpoints: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "stars.png").write_bytes(saved(STARS, side=3000))
    ways = {
        "A red star and a blue circle on a white background.": lambda page: page.locator(
            "#pictures-input"
        ).set_input_files(tmp_path / "stars.png"),
        "A yellow square on a black background.": lambda page: give(page, "paste", "square.png", saved(SQUARE)),
        "A white triangle on a blue background.": lambda page: give(page, "drop", "t.jpg", saved(TRIANGLE, "JPEG")),
    }
    seen = {
        right: any(first_turn(visit, endpoints["sees"], add) == right for _ in range(4)) for right, add in ways.items()
    }
    assert (seen, visit.problems) == (dict.fromkeys(ways, True), [])


def test_an_upload_whose_answer_breaks_off_is_told_and_the_next_one_goes(
    visit: Visit, page: Page, endpoints: dict[str, str]
) -> None:
    visit.open(f"/studio/chat/?endpoint={endpoints['sees']}")

    def break_off(connection: socket.socket) -> None:
        begin(connection, b"201 Created")
        connection.shutdown(socket.SHUT_RDWR)

    with bad_server(break_off) as server:
        page.route("**/pictures/", lambda route: route.continue_(url=server.address), times=1)
        give(page, "drop", "stars.png", saved(STARS))
        told = page.locator(".attached-problems")
        expect(told).to_have_text("stars.png could not be added. Check your connection and add it again.")
    send, places = page.get_by_role("button", name="Send"), list[Any]()

    def measure(route: Route) -> None:
        places.append(send.bounding_box())
        route.continue_()

    page.route("**/pictures/", measure, times=1)
    give(page, "drop", "square.png", saved(SQUARE))
    expect(page.locator("#pictures li img")).to_have_count(1)
    expect(told).to_be_empty()
    # A button that moved when the image came would be missed by who clicks it just then.
    assert [send.bounding_box()] == places
    assert [problem for problem in visit.problems if "ERR_CONTENT_LENGTH_MISMATCH" not in problem] == []


@pytest.mark.slow
def test_pictures_in_a_chat(visit: Visit, page: Page, endpoints: dict[str, str]) -> None:
    first_turn(visit, endpoints["sees"], lambda page: give(page, "drop", "stars.png", saved(STARS)))
    page.locator("#id_temperature").fill("0")
    page.locator("#id_temperature").blur()
    expect(page.get_by_text("Saved")).to_be_visible()
    ask(page, "How many shapes are there?")
    expect(page.locator(".turn.user")).to_have_count(2)
    assert answers(page)[-1] == "There are two shapes."
    give(page, "paste", "square.png", saved(SQUARE))
    with page.expect_console_message(lambda note: "422" in note.text):
        give(page, "drop", "not.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    refusal = "not.png isn't a PNG, JPEG, WebP, or GIF image."
    expect(page.locator(".attached-problems")).to_have_text(refusal)
    assert [problem.partition("status of ")[2][:3] for problem in visit.problems] == ["422"]
    visit.problems.clear()
    give(page, "drop", "triangle.png", saved(TRIANGLE))
    expect(page.locator("#pictures .name")).to_have_text(["square.png", "triangle.png"])
    page.get_by_label("Alternative text for triangle.png").fill("A triangle")
    with page.expect_response(re.compile("/alt/$")):
        page.get_by_label("Alternative text for triangle.png").blur()
    page.reload()
    expect(page.get_by_label("Alternative text for triangle.png")).to_have_value("A triangle")
    visit.picture("chat-pictures")
    found = remarks(visit)
    page.get_by_role("button", name="Remove square.png").click()
    ask(page, "Describe the picture.")
    expect(page.locator("#pictures li")).to_have_count(0)
    expect(page.locator(".turn.user").last.locator("img")).to_have_attribute("alt", "A triangle")
    assert (answers(page)[-1] != "", found + remarks(visit), visit.problems) == (True, [], [])
    visit.picture("chat-turns-with-pictures")
    give(page, "paste", "late.png", saved(SQUARE, side=2000))
    ask(page, "Describe the picture.")  # while it is still on its way
    expect(page.locator(".turn.user").last.locator("img")).to_have_attribute("alt", "late.png")
    with visit.context.expect_page() as opened:
        page.locator(".turn.user img").last.click()
    opened.value.wait_for_load_state()
    assert opened.value.evaluate("document.images[0].naturalWidth") == 896


@pytest.mark.slow
def test_a_picture_that_an_empty_chat_offers(visit: Visit, page: Page, endpoints: dict[str, str]) -> None:
    visit.open(f"/studio/chat/?endpoint={endpoints['sees']}")
    page.get_by_role("button", name="Describe the picture.").click()
    expect(page.get_by_role("button", name="Remove square-and-circle.png")).to_be_visible()
    box = page.get_by_role("textbox", name="Message", exact=True)
    expect(box).to_be_focused()
    expect(box).to_have_value("Describe the picture.")
    box.press("Enter")
    page.wait_for_url(re.compile(r"/studio/chat/[0-9a-f-]{36}/"))
    expect(page.locator(".turn.user img")).to_have_attribute("alt", "square-and-circle.png")
    assert "green square" in answers(page)[-1]
    assert (remarks(visit), visit.problems) == ([], [])


@pytest.mark.slow
def test_a_message_of_pictures_alone_is_sent_by_enter(visit: Visit, page: Page, endpoints: dict[str, str]) -> None:
    visit.open(f"/studio/chat/?endpoint={endpoints['sees']}")
    box = page.get_by_role("textbox", name="Message", exact=True)
    box.press("Enter")
    expect(page).to_have_url(re.compile(r"/studio/chat/\?"))
    give(page, "paste", "square.png", saved(SQUARE))
    box.press("Enter")  # while it may still be on its way
    page.wait_for_url(re.compile(r"/studio/chat/[0-9a-f-]{36}/"))
    answers(page)
    give(page, "paste", "triangle.png", saved(TRIANGLE))
    box.press("Enter")
    expect(page.locator(".turn.user img")).to_have_count(2)
    answers(page)
    expect(page.locator("#pictures li")).to_have_count(0)
    expect(box).to_be_focused()
    assert visit.problems == []


@pytest.mark.slow
def test_a_text_model_says_why_it_takes_no_pictures(visit: Visit, page: Page, endpoints: dict[str, str]) -> None:
    why = "gemma-3-270m accepts text only, not images."
    visit.open(f"/studio/chat/?endpoint={endpoints['sees']}")
    expect(page.locator("#pictures-input")).to_be_enabled()
    page.locator("#id_endpoint").select_option(endpoints["reads"])
    expect(page.locator("#pictures-input")).to_be_disabled()
    expect(page.locator("#pictures-reason")).to_have_text(why)
    ask(page, "What is the opposite of hot?")
    page.wait_for_url(re.compile(r"/studio/chat/[0-9a-f-]{36}/"))
    assert answers(page)[-1] != ""
    give(page, "paste", "stars.png", saved(STARS))
    expect(page.locator(".attached-problems")).to_have_text(why)
    expect(page.locator("#pictures-input")).to_be_disabled()
    visit.picture("chat-text-only")
    assert (remarks(visit), visit.problems) == ([], [])


@pytest.mark.slow
def test_the_page_shows_that_it_takes_what_is_dragged(visit: Visit, page: Page, endpoints: dict[str, str]) -> None:
    visit.open(f"/studio/chat/?endpoint={endpoints['sees']}")
    give(page, "drag", "stars.png", saved(STARS))
    expect(page.get_by_text("Drop images here")).to_be_visible()
    visit.picture("chat-drop")
    page.evaluate("document.querySelector('main').dispatchEvent(new DragEvent('dragleave', { bubbles: true }))")
    expect(page.get_by_text("Drop images here")).to_be_hidden()
    assert visit.problems == []


@pytest.mark.slow
def test_without_a_script(browser: Browser, person: Visitor, endpoints: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "stars.png").write_bytes(saved(STARS))
    context = browser.new_context(java_script_enabled=False, viewport=NARROW)
    context.add_cookies(cookies_of(person))
    page = context.new_page()
    page.goto(f"{person.client.base_url}/studio/chat/?endpoint={endpoints['sees']}")
    page.locator("#pictures-input").set_input_files(tmp_path / "stars.png")
    page.screenshot(path=SCREENSHOTS / "chat-without-script.png")
    ask(page, "Describe the picture.")
    expect(page.locator(".turn.user img")).to_have_attribute("alt", "stars.png")
    person.wait_for(page.url.partition("#")[0], ("background.",), 30)
    context.close()


@pytest.mark.slow
def test_the_columns_of_a_comparison_see_the_same_picture(visit: Visit, page: Page, endpoints: dict[str, str]) -> None:
    visit.open("/studio/compare/")
    for letter in "AB":
        page.get_by_label(f"Column {letter}").select_option(endpoints["sees"])
    page.get_by_role("button", name="Start comparing").click()
    for letter in "AB":
        page.get_by_role("link", name=f"Parameters of column {letter}").click()
        page.locator("#id_temperature").fill("0")
        page.get_by_role("dialog").get_by_role("button", name="Save").last.click()
        expect(page.get_by_text("Temperature 0.0")).to_have_count("AB".index(letter) + 1)
    give(page, "drop", "square.png", saved(SQUARE))
    expect(page.locator("#pictures .name")).to_have_text(["square.png"])
    for number, question in enumerate(("Describe the picture.", "How many shapes are there?"), 1):
        ask(page, question)
        expect(page.locator(".turn.model")).to_have_count(2 * number, timeout=SOON)
        expect(page.get_by_role("button", name="Send to all")).to_be_visible(timeout=SOON)
    said = answers(page)
    assert (said[0], said[:2]) == ("A yellow square on a black background.", said[2:])
    expect(page.locator(".turn.user img")).to_have_count(2)
    assert (remarks(visit), visit.problems) == ([], [])
    visit.picture("compare-pictures")


@pytest.mark.slow
def test_a_photo_on_a_phone(visit: Visit, page: Page, endpoints: dict[str, str], tmp_path: Path) -> None:
    page.set_viewport_size(NARROW)
    photo = Image.new("RGB", (400, 200), "red")
    turned = Image.Exif()
    turned[0x0112] = 6
    photo.save(tmp_path / "photo.jpg", exif=turned)
    visit.open(f"/studio/chat/?endpoint={endpoints['sees']}")
    expect(page.get_by_text("Take a photo")).to_be_visible()
    assert page.locator("#camera-input").get_attribute("capture") == "environment"
    page.locator("#camera-input").set_input_files(tmp_path / "photo.jpg")
    expect(page.locator("#pictures small")).to_have_text(re.compile("200 × 400"))
    assert visit.problems == []
