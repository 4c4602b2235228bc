"""The bell in a browser: live, by keyboard, in all sizes; and a webhook that really arrives."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import NARROW, WIDE, Visit, remarks
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.receivers import Receiver, receiving, wait_until
from tests.support.running import GEMMA, Running, running, with_tiny_model

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240)]


# What the browser would show outside the page; without a desktop it shows nothing.
SHOWN = """window.told = []; window.Notification = class {
  static permission = "granted"; static async requestPermission() { return "granted"; }
  constructor(title) { window.told.push(title); } close() {}
}"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    extra = {**with_tiny_model(), "CONSOLE_WEBHOOK_PRIVATE": "1"}
    with running(tmp_path_factory.mktemp("e2e") / "data", extra) as started:
        yield started


@pytest.fixture
def page(visit: Visit, session: list[Any]) -> Iterator[Page]:
    visit.context.add_cookies(session)
    yield visit.page
    assert visit.problems == []


@pytest.fixture
def person(visit: Visit, session: list[Any]) -> Iterator[Visitor]:
    with Visitor(visit.address) as someone:
        for cookie in session:
            someone.client.cookies.set(cookie["name"], cookie["value"])
        yield someone


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def judged(visit: Visit, name: str) -> list[str]:
    """What axe says in light, dark and on a phone, and pictures of all three."""
    found = []
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme)
        found += remarks(visit.page)
    visit.page.emulate_media(color_scheme="light")
    visit.page.set_viewport_size(NARROW)
    found += remarks(visit.page)
    visit.page.set_viewport_size(WIDE)
    visit.picture(name)
    return found


def bell(page: Page) -> Any:
    return page.locator("#bell-button")


def test_nothing_yet(visit: Visit, page: Page) -> None:
    visit.open("/")
    bell(page).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#bell-heading")).to_be_focused()
    expect(page.locator("#bell-items")).to_contain_text("You're up to date")
    assert remarks(page) == []
    page.keyboard.press("Escape")
    expect(page.locator("#bell")).to_be_hidden()
    expect(bell(page)).to_be_focused()
    visit.open("/notifications/")
    assert judged(visit, "notifications-none") == []


def test_addresses_are_chosen_and_the_secret_is_shown_once(visit: Visit, page: Page, receiver: Receiver) -> None:
    visit.open("/settings/notifications/")
    page.get_by_label("Webhook address").fill("hook")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".errors")).to_contain_text("Enter a valid address")
    visit.problems.clear()
    assert judged(visit, "settings-notifications-error") == []
    page.get_by_label("Webhook address").fill(receiver.url)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".note.ok")).to_contain_text("whsec_")
    assert judged(visit, "settings-notifications-secret") == []
    page.get_by_role("button", name="Send a test to the webhook").click()
    expect(page.locator("#sent")).to_contain_text("Webhook: delivered", timeout=20_000)
    expect(page.locator(".note.ok")).to_have_count(0)
    assert [json.loads(body)["type"] for _headers, body in receiver.requests] == ["test"]
    assert judged(visit, "settings-notifications") == []


def test_the_end_of_a_job_rings_on_every_page(
    visit: Visit, page: Page, person: Visitor, receiver: Receiver, tune_data: Any
) -> None:
    visit.context.add_init_script(SHOWN)
    visit.open("/settings/notifications/")
    turn_on, turn_off = (page.get_by_role("button", name=f"Turn {way} notifications") for way in ("on", "off"))
    turn_on.focus()
    for button in (turn_off, turn_on, turn_off):
        page.keyboard.press("Enter")
        expect(button).to_be_focused()
    journey.wait_for_catalogue(person)
    tune = journey.Tune(GEMMA, "Ahoy", tune_data / "train.jsonl", tune_data / "validation.jsonl", auto_deploy=False)
    job = journey.start(person, journey.fill_in(person, tune), tune)
    visit.open("/datasets/")
    field = page.get_by_label("Dataset name").or_(page.locator("#upload-form input[type=text]")).first
    field.fill("half a na")
    expect(bell(page)).to_have_class(re.compile("runs"))
    expect(page.locator(".snack")).to_contain_text("Tuning Ahoy succeeded", timeout=120_000)
    expect(page.locator(".snack")).to_have_count(1)
    assert page.evaluate("told") == ["Tuning Ahoy succeeded"]
    expect(bell(page).locator(".count")).to_have_text("1")
    expect(field).to_be_focused()
    expect(field).to_have_value("half a na")
    assert wait_until(lambda: len(receiver.requests) == 2)
    told = json.loads(receiver.requests[1][1])
    assert (told["type"], told["text"], told["data"]["id"]) == ("tuning.succeeded", "Tuning Ahoy succeeded", job)
    bell(page).click()
    expect(page.locator("#bell-items .unread")).to_have_count(1)
    assert judged(visit, "bell") == []
    page.locator("#bell-items").get_by_role("link", name="Tuning Ahoy succeeded").click()
    expect(page).to_have_url(re.compile(f"/tuning/jobs/{job}/$"))
    expect(bell(page).locator(".count")).to_have_count(0)


def test_the_list_is_read_by_keyboard(visit: Visit, page: Page) -> None:
    visit.open("/")
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page.get_by_role("heading", name="Notifications", level=1)).to_be_visible()
    expect(page.locator("#notification-list .notices > li")).to_have_count(2)
    expect(page.locator("#notification-list")).to_contain_text("Webhook: delivered")
    assert judged(visit, "notifications") == []
    page.get_by_role("link", name="Unread only").click()
    expect(page.locator("#notification-list")).to_contain_text("Nothing here")


def test_a_receiver_that_fails_is_told_and_tried_again(visit: Visit, page: Page, receiver: Receiver) -> None:
    receiver.answers[:] = [410, 204]
    visit.open("/settings/notifications/")
    page.get_by_role("button", name="Send a test to the webhook").click()
    expect(page.locator("#sent")).to_contain_text("permanently gone", timeout=20_000)
    assert judged(visit, "settings-notifications-failed") == []
    page.locator("#sent").get_by_role("button", name="Try again").click()
    expect(page.locator("#sent")).not_to_contain_text("permanently gone", timeout=20_000)
    ids = receiver.ids[-2:]
    assert ids[0] == ids[1]
