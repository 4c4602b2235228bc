"""An endpoint's life in a real browser: deployed, asked, leased, scaled and taken down, by mouse and by keyboard."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.e2e.conftest import Visit, remarks
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, Running

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]
SOON = 60_000
A_REFUSED_FORM = "the server responded with a status of 422 (Unprocessable Entity)"


def as_program(visit: Visit) -> Visitor:
    person = Visitor(visit.address)
    for cookie in visit.context.cookies():
        person.client.cookies.set(cookie["name"], cookie["value"])
    return person


def deployed(visit: Visit) -> str:
    with as_program(visit) as person:
        journey.wait_for_catalogue(person)
        endpoint = journey.deploy_base(person, GEMMA)
        journey.wait_until_ready(person, endpoint, 120)
        journey.ask(person, endpoint, "Ahoy?")
    return endpoint


def asked(visit: Visit, action: str) -> Locator:
    """Chooses from the row's menu, with the keyboard alone."""
    visit.open("/endpoints/")
    visit.page.get_by_role("button", name=re.compile("^Actions for")).focus()
    visit.page.keyboard.press("Enter")
    visit.page.locator(".menu:popover-open").get_by_role("link", name=action, exact=True).press("Enter")
    dialog = visit.page.locator("#ask")
    expect(dialog).to_be_visible()
    return dialog


def give_a_lease(visit: Visit) -> None:
    dialog = asked(visit, "Time limit")
    dialog.get_by_label("After a fixed time, used or not").check()
    dialog.get_by_role("spinbutton").fill("0")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".errors")).to_be_focused()
    assert remarks(visit) == []
    dialog.get_by_role("spinbutton").fill("3")
    dialog.get_by_role("button", name="Save").click()
    note = visit.page.locator(".note", has_text="Undeploys automatically")
    expect(note).to_contain_text(re.compile(r"in [23]\shours"))
    note.get_by_role("button", name="Extend by 3 hours").click()
    expect(note).to_contain_text(re.compile(r"in [56]\shours"))


def ask_for_replicas(visit: Visit) -> None:
    dialog = asked(visit, "Replicas")
    dialog.get_by_label("Maximum replicas").fill("3")
    dialog.get_by_role("button", name="Save").click()
    expect(visit.page.get_by_text("Current number of replicas: 1–3.")).to_be_visible(timeout=SOON)


def leave_a_question_unanswered(visit: Visit) -> None:
    """Escape closes the dialog, and the menu's button has the focus again."""
    dialog = asked(visit, "Delete")
    visit.picture("endpoint-delete")
    assert remarks(visit) == []
    visit.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(visit.page.get_by_role("button", name=re.compile("^Actions for"))).to_be_focused()


def look_at_the_metrics(visit: Visit, endpoint: str) -> None:
    visit.open(f"/endpoints/{endpoint}/")
    expect(visit.page.locator("#metrics .plot-svg")).to_have_count(5)
    visit.picture("endpoint")
    visit.page.get_by_role("link", name="Table").click()
    expect(visit.page.locator("#metrics table tbody tr")).to_have_count(24)
    visit.page.get_by_role("link", name="7 days").click()
    expect(visit.page.locator("#metrics table tbody tr")).to_have_count(28)
    assert remarks(visit) == []


def models_card(visit: Visit) -> Locator:
    return visit.page.locator("section", has=visit.page.locator("#models-heading"))


def put_a_second_model_beside(visit: Visit, endpoint: str) -> None:
    visit.open(f"/endpoints/{endpoint}/")
    models_card(visit).get_by_role("link", name="Deploy another model").click()
    dialog = visit.page.locator("#ask")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Deploy").click()
    expect(dialog.locator(".errors")).to_be_focused()
    dialog.get_by_label("Model", exact=False).first.select_option(f"base {GEMMA}")
    dialog.get_by_label("Name", exact=True).fill("Second")
    dialog.get_by_label("Traffic percentage").fill("30")
    dialog.get_by_label("I accept the terms").check()
    visit.picture("endpoint-add-model")
    assert remarks(visit) == []
    dialog.get_by_role("button", name="Deploy").click()
    row = models_card(visit).get_by_role("row", name="Second")
    expect(row).to_contain_text("Ready", timeout=SOON)
    expect(row).to_contain_text("30%")
    visit.picture("endpoint-models")
    assert remarks(visit) == []


def change_the_shares(visit: Visit) -> None:
    models_card(visit).get_by_role("link", name="Change traffic split").click()
    dialog = visit.page.locator("#ask")
    dialog.get_by_label("Second, percent").fill("50")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator(".errors")).to_contain_text("The traffic split must add up to 100%. It adds up to 120%.")
    visit.picture("endpoint-shares")
    dialog.get_by_label("gemma-3-270m, percent").fill("0")
    dialog.get_by_label("Second, percent").fill("100")
    dialog.get_by_role("button", name="Save").click()
    expect(visit.page.get_by_text("The traffic split is now: gemma-3-270m 0%, Second 100%.")).to_be_visible(
        timeout=SOON
    )


def ask_who_answers(visit: Visit, endpoint: str) -> None:
    with as_program(visit) as person:
        talk = journey.ask(person, endpoint, "Who are you?").conversation
    visit.open(f"/studio/chat/{talk}/")
    expect(visit.page.locator(".turn.model .turn-foot").last).to_contain_text("Base · Second")


def take_the_first_one_away(visit: Visit, endpoint: str) -> None:
    visit.open(f"/endpoints/{endpoint}/")
    models_card(visit).get_by_role("link", name="Undeploy gemma-3-270m").click()
    dialog = visit.page.locator("#ask")
    expect(dialog).to_contain_text("Second gets all of the traffic.")
    assert remarks(visit) == []
    dialog.get_by_role("button", name="Undeploy").click()
    expect(models_card(visit).locator("tbody tr")).to_have_count(1, timeout=SOON)
    expect(models_card(visit).get_by_role("row", name="Second")).to_contain_text("100%")


def take_it_down(visit: Visit) -> None:
    dialog = asked(visit, "Undeploy")
    expect(dialog).to_contain_text("2 chats use it.")
    dialog.get_by_label("Name of the endpoint").fill("Base")
    dialog.get_by_role("button", name="Undeploy").click()
    expect(visit.page.locator("#endpoint-bar .st")).to_contain_text("Undeployed", timeout=SOON)
    visit.page.locator("#endpoint-bar").get_by_role("button", name="Deploy again").click()
    expect(visit.page.locator("#endpoint-bar .st")).to_contain_text("Ready", timeout=SOON)


def test_the_life_of_an_endpoint(visit: Visit, console: Running) -> None:
    visit.page.goto(console.link)
    endpoint = deployed(visit)
    look_at_the_metrics(visit, endpoint)
    put_a_second_model_beside(visit, endpoint)
    change_the_shares(visit)
    ask_who_answers(visit, endpoint)
    take_the_first_one_away(visit, endpoint)
    give_a_lease(visit)
    ask_for_replicas(visit)
    leave_a_question_unanswered(visit)
    take_it_down(visit)
    assert [problem for problem in visit.problems if not problem.endswith(A_REFUSED_FORM)] == []
