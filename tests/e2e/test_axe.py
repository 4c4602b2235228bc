"""What a machine can tell of WCAG 2.2 AA and of good practice, on the pages of a console in use."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests import journey
from tests.e2e.conftest import Visit
from tests.running import GEMMA, Running
from tests.visitor import Visitor

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OPTIONS = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
STEPS = ("name", "base-model", "output", "training", "deployment")
PAGES = (
    "/",
    "/model-garden/",
    "/model-garden/?q=gemma",
    "/publishers/google/model-garden/gemma3/",
    "/tuning/",
    "/tuning/drafts/",
    "/tuning/import/",
    "/endpoints/",
    "/models/",
    "/storage/browse/?into=defaults",
    "/datasets/",
    "/studio/chat/",
    "/nothing-here/",
)


def things_to_see(visit: Visit, data: Path) -> list[str]:
    """A started job and a finished draft; the addresses of their pages."""
    with Visitor(visit.address) as person:
        for cookie in visit.context.cookies():
            person.client.cookies.set(cookie["name"], cookie["value"])
        journey.wait_for_catalogue(person)
        tune = journey.Tune(GEMMA, "Ahoy", data / "train.jsonl", data / "validation.jsonl", auto_deploy=False)
        job = journey.start(person, journey.fill_in(person, tune), tune)
        draft = journey.identity(journey.fill_in(person, tune).url)
        wrong = journey.identity(person.get("/tuning/new/").url)
    steps = [f"/tuning/drafts/{draft}/{step}/" for step in STEPS]
    return [journey.job_page(job), *steps, f"/tuning/drafts/{wrong}/name/"]


def remarks(visit: Visit) -> list[str]:
    found = Axe().run(visit.page, options=OPTIONS).response["violations"]
    return [f"{visit.page.url}: {one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def test_axe_has_nothing_to_say(visit: Visit, console: Running, tune_data: Path) -> None:
    visit.page.goto(console.link)
    found = []
    for path in (*PAGES, *things_to_see(visit, tune_data)):
        visit.open(path)
        found += remarks(visit)
    visit.page.locator("#id_display_name").fill("")
    visit.page.get_by_role("button", name="Continue").click()
    visit.page.locator("#step-form .errors").wait_for()
    found += remarks(visit)
    assert found == []
