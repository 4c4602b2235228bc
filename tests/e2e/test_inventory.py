"""What *View code* says, done by a program; then found, opened, attached, asked and taken down in a browser."""

import re
import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit, remarks
from tests.support import journey
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, Running

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
SOON = 90_000


def as_program(visit: Visit) -> Visitor:
    person = Visitor(visit.address)
    for cookie in visit.context.cookies():
        person.client.cookies.set(cookie["name"], cookie["value"])
    return person


def run_the_code_of_the_page(visit: Visit) -> None:
    with as_program(visit) as person:
        journey.wait_for_catalogue(person)
    publisher, _slash, rest = GEMMA.partition("/")
    family, _at, version = rest.partition("@")
    visit.open(f"/publishers/{publisher}/model-garden/{family}/?variant={version}&action=code")
    code = visit.page.locator("#code pre", has_text="model_garden").first.inner_text()
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr[-2000:] if done.returncode else "") == (0, "")


def find_it(visit: Visit) -> None:
    visit.open("/endpoints/")
    expect(visit.page.get_by_text("No endpoints", exact=True)).to_be_visible()
    visit.page.get_by_role("link", name="Not made here").click()
    expect(visit.page.get_by_role("heading", name="Not made here", level=1)).to_be_visible()
    visit.page.get_by_role("button", name="Look now").click()
    row = visit.page.locator("#found-table tbody tr")
    expect(row).to_have_count(1, timeout=SOON)
    expect(row).to_contain_text("Serving")
    assert remarks(visit) == []
    visit.picture("found")
    row.get_by_role("link").first.click()
    expect(visit.page.locator(".badge", has_text="Not made here")).to_be_visible()
    assert remarks(visit) == []
    visit.picture("found-endpoint")


def attach_it(visit: Visit) -> str:
    visit.page.get_by_role("button", name="Attach").click()
    visit.page.wait_for_url("**/endpoints/*/")
    bar = visit.page.locator("#endpoint-bar")
    expect(bar.locator(".st")).to_contain_text("Ready")
    expect(visit.page.locator("main .badge", has_text="Not made here").first).to_be_visible()
    expect(visit.page.get_by_role("link", name="Time limit")).to_have_count(0)
    assert remarks(visit) == []
    visit.picture("endpoint-attached")
    return journey.identity(visit.page.url)


def ask_it(visit: Visit, endpoint: str) -> None:
    with as_program(visit) as person:
        talk = journey.ask(person, endpoint, "Ahoy?").conversation
    visit.open(f"/studio/chat/{talk}/")
    expect(visit.page.locator(".turn.model .turn-foot").last).to_be_visible()
    visit.open(f"/studio/compare/?endpoint={endpoint}")
    expect(visit.page.get_by_role("main")).to_contain_text("gemma-3-270m")


def take_it_down(visit: Visit, endpoint: str) -> None:
    visit.open(f"/endpoints/{endpoint}/")
    visit.page.locator("#endpoint-bar").get_by_role("link", name="Undeploy").click()
    dialog = visit.page.locator("#ask")
    name = dialog.get_by_label("Name of the endpoint")
    name.fill(visit.page.get_by_role("heading", level=1).inner_text())
    dialog.get_by_role("button", name="Undeploy").click()
    expect(visit.page.locator("#endpoint-bar .st")).to_contain_text("Undeployed", timeout=SOON)
    visit.open("/elsewhere/")
    visit.page.get_by_role("button", name="Look now").click()
    expect(visit.page.locator("#found-table tbody tr")).to_contain_text("Empty", timeout=SOON)
    visit.open("/elsewhere/?kind=models")
    expect(visit.page.locator("#found-table tbody tr")).to_have_count(1)


def remove_it_from_the_list(visit: Visit, endpoint: str) -> None:
    visit.open(f"/endpoints/{endpoint}/")
    visit.page.locator("#endpoint-bar").get_by_role("link", name="Remove from list").click()
    visit.page.locator("#ask").get_by_role("button", name="Remove from list").click()
    visit.page.wait_for_url(re.compile(r"/endpoints/$"))
    expect(visit.page.get_by_text("No endpoints", exact=True)).to_be_visible()


def test_the_endpoint_that_view_code_makes(visit: Visit, console: Running) -> None:
    visit.page.goto(console.link)
    run_the_code_of_the_page(visit)
    find_it(visit)
    endpoint = attach_it(visit)
    ask_it(visit, endpoint)
    take_it_down(visit, endpoint)
    remove_it_from_the_list(visit, endpoint)
    assert visit.problems == []
