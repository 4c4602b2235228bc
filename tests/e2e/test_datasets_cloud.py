"""A file of Cloud Storage: chosen in the panel, read by the worker and shown as a dataset; in the training step too."""

import json
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit, remarks
from tests.support.running import Running

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.usefixtures("signed_in")]
SOON = 60_000
REFUSED = "the server responded with a status of 422 (Unprocessable Entity)"


@pytest.fixture
def signed_in(visit: Visit, session: list[Any]) -> None:
    visit.context.add_cookies(session)


@pytest.fixture
def storage(console: Running) -> str:
    """A bucket with a file of 200 rows in it."""
    port = json.loads((console.data_dir / "run/ports.json").read_text())["storage"]
    address = f"http://127.0.0.1:{port}"
    rows = "".join(f'{{"prompt": "Question {n}?", "completion": "Answer {n}."}}\n' for n in range(200))
    with httpx.Client(base_url=address, trust_env=False) as client:
        client.post("/storage/v1/b", json={"name": "team-data"})
        answer = client.post(
            "/upload/storage/v1/b/team-data/o", params={"uploadType": "media", "name": "sets/rows.jsonl"}, content=rows
        )
    assert answer.status_code == 200
    return address


def choose_the_file(visit: Visit, scope: str, found: list[str]) -> None:
    page = visit.page
    page.locator(f"{scope} a", has_text="Browse").press("Enter")
    dialog = page.locator("#browse")
    dialog.get_by_role("link", name="team-data").click(timeout=SOON)
    dialog.get_by_role("link", name="sets/").click(timeout=SOON)
    expect(dialog.get_by_role("link", name="rows.jsonl")).to_be_visible(timeout=SOON)
    found += remarks(visit)
    visit.picture("dataset-browse")
    dialog.get_by_role("link", name="rows.jsonl").click()
    expect(dialog).to_have_count(0)


def test_a_file_is_chosen_read_and_shown(visit: Visit, storage: str) -> None:
    page, found = visit.page, list[str]()
    visit.open("/datasets/")
    choose_the_file(visit, "#cloud-form", found)
    field = page.locator("#id_cloud-uri")
    expect(field).to_have_value("gs://team-data/sets/rows.jsonl")
    expect(field).to_be_focused()
    found += remarks(visit)
    visit.picture("datasets-cloud")
    page.get_by_role("button", name="Read and check").click()
    page.get_by_role("heading", name="rows", exact=True).wait_for(timeout=SOON)
    expect(page.locator(".report")).to_contain_text("200 examples")
    expect(page.locator("main")).to_contain_text("gs://team-data/sets/rows.jsonl")
    visit.open("/datasets/")
    page.locator("#id_cloud-uri").fill("gs://team-data/sets/missing.jsonl")
    page.get_by_role("button", name="Read and check").click()
    expect(page.locator("#import")).to_contain_text("There is no file gs://team-data/sets/missing.jsonl.", timeout=SOON)
    found += remarks(visit)
    visit.picture("datasets-cloud-failed")
    assert (found, visit.problems) == ([], [])


def test_in_the_training_step_the_dataset_is_chosen(visit: Visit, storage: str) -> None:
    page, found = visit.page, list[str]()
    visit.open("/model-garden/")
    expect(page.get_by_role("link", name="Gemma 3", exact=False).first).to_be_visible(timeout=SOON)
    visit.open("/tuning/new/")
    page.locator("#id_display_name").fill("From the cloud")
    page.get_by_role("button", name="Continue").click()
    page.locator("[name=base_model]").first.check()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#wizard h2").first).to_have_text("Training", timeout=SOON)
    panel = page.locator("details", has=page.locator("#add-train"))
    if panel.get_attribute("open") is None:
        panel.locator("summary").click()
    add = page.locator("#add-train")
    add.get_by_role("button", name="Read and check").click()
    expect(add).to_contain_text("Enter the path of a file")
    choose_the_file(visit, "#add-train", found)
    expect(page.locator("#id_train-uri")).to_have_value("gs://team-data/sets/rows.jsonl")
    visit.picture("wizard-cloud")
    found += remarks(visit)
    add.get_by_role("button", name="Read and check").click()
    page.wait_for_url("**/training/#dataset-report", timeout=SOON)
    expect(page.locator("#dataset-report")).to_contain_text("200 examples")
    expect(page.locator("[name=dataset]:checked")).to_have_count(1)
    assert (found, [one for one in visit.problems if not one.endswith(REFUSED)]) == ([], [])
