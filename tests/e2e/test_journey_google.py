"""The main journey on Google Cloud, as far as nobody needs an account for it: the console knows nothing of the local
server, and asks Google's hosts by their names."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.e2e.conftest import Visit
from tests.e2e.test_journey import SOON, ask_in_chat, choose_data, proceed, sign_in, undeploy_and_delete
from tests.support.googlecloud import GoogleCloud, google_cloud
from tests.support.running import Running, running

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleCloud]:
    with google_cloud(tmp_path_factory.mktemp("google")) as cloud:
        yield cloud


@pytest.fixture(scope="module")
def console(google: GoogleCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("e2e") / "data", google.environment) as started:
        yield started


def find_what_does_not_chat(visit: Visit) -> None:
    """Vertex AI offers its deployment, and nobody could talk to it."""
    page = visit.page
    visit.open("/model-garden/?task=image-generation")
    page.get_by_role("link", name="Stable Diffusion 2 1").first.click(timeout=SOON)
    expect(page.locator("main")).to_contain_text("This console deploys models that chat or write text.")
    expect(page.get_by_role("link", name="Deploy", exact=True)).to_have_attribute("aria-disabled", "true")
    visit.picture("google-no-chat")


def fill_in_the_steps(visit: Visit, data: Path) -> None:
    page = visit.page
    page.get_by_role("link", name="Model Garden").first.click()
    page.get_by_role("link", name="Gemma 3", exact=False).first.click(timeout=SOON)
    visit.open("/publishers/google/model-garden/gemma3/?variant=gemma-3-4b-it")
    page.get_by_role("link", name="Fine-tune", exact=True).click()
    page.locator("#id_display_name").fill("Ahoy")
    proceed(visit, "Base model")
    expect(page.get_by_role("radio", name=re.compile("Gemma 3 4B"))).to_be_checked()
    proceed(visit, "Output directory")
    proceed(visit, "Training")
    choose_data(visit, data)
    proceed(visit, "Deployment")


def start(visit: Visit) -> None:
    """Once nothing is missing in the project."""
    page = visit.page
    expect(page.locator("#preflight")).to_contain_text("Nothing is missing that can be known", timeout=SOON)
    page.locator("[name=accepts_licence]").check()
    visit.picture("google-review")
    page.get_by_role("button", name="Start tuning").click()
    expect(page.locator("#job-bar .st")).to_contain_text("Succeeded", timeout=SOON)
    expect(page.locator("#job-bar").get_by_role("link", name="Test in chat")).to_be_visible(timeout=SOON)
    visit.picture("google-job")


def show_an_image(visit: Visit, image: Path) -> None:
    page = visit.page
    page.locator("#pictures-input").set_input_files(image)
    page.locator("#id_text").fill("What is this?")
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".turn.model:not([aria-busy]) .md")).to_have_count(2, timeout=SOON)
    expect(page.locator(".turn.model .md").last).to_contain_text("What is this?")


def test_the_whole_way_on_google_cloud(
    visit: Visit, console: Running, google: GoogleCloud, tune_data: Path, tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "red.png")
    sign_in(visit, console)
    find_what_does_not_chat(visit)
    fill_in_the_steps(visit, tune_data)
    start(visit)
    visit.page.locator("#job-bar").get_by_role("link", name="Test in chat").click()
    assert "nothing was learned" in ask_in_chat(visit, "Hello", first=True)
    show_an_image(visit, tmp_path / "red.png")
    undeploy_and_delete(visit, "Ahoy")
    jobs, endpoints = (google.servers.list_created(method) for method in ("create_tuning_job", "deploy"))
    assert (len(jobs), len(endpoints), google.list_endpoints(), visit.problems) == (1, 1, [], [])
    dedicated = [host for host in google.host.hosts if host.endswith(".prediction.vertexai.goog")]
    assert dedicated
    assert {"cloudbilling.googleapis.com", "cloudquotas.googleapis.com"} <= set(google.host.hosts)
