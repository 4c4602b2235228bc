"""A Llama-shaped model of a hub on loopback, in a browser: imported, deployed, and chatted with."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit, enter, remarks
from tests.jobs.localvertex.engine.tiny import make_model
from tests.support.hub import Hub, serve_hub
from tests.support.running import Running, running, with_tiny_model

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]
REPOSITORY = "acme/Tiny-Llama"
SOON, LATER = 90_000, 240_000
# What comes before is PyTorch, in the test as in the server, on a machine that may be busy.
PATIENCE = 240


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder: Path = make_model("SmolLM2", tmp_path_factory.mktemp("tiny"))
    with serve_hub() as found:
        files = {path.name: path.read_bytes() for path in folder.iterdir()} | {"modeling_tiny.py": b"raise SystemExit"}
        found.add(REPOSITORY, files, card={"license": "apache-2.0"}, gated="manual", tokens=("hf_right",))
        yield found


@pytest.fixture(scope="module")
def console(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    environment = with_tiny_model() | {"HF_ENDPOINT": hub.address}
    with running(tmp_path_factory.mktemp("e2e") / "data", environment, patience=PATIENCE) as started:
        yield started


def test_a_gated_model_is_imported_deployed_and_answers(visit: Visit, console: Running, hub: Hub) -> None:
    page, found = visit.page, list[str]()
    enter(visit.context, console)
    visit.open("/model-garden/")
    page.get_by_role("link", name="Import a model").click()
    found += remarks(visit)
    visit.picture("import-new")
    page.locator("#id_source").fill(REPOSITORY)
    page.get_by_role("button", name="Continue").click()
    card = page.locator("#model-import")
    expect(card).to_contain_text("acme/Tiny-Llama is gated: its publisher wants to know who uses it.", timeout=SOON)
    found += remarks(visit)
    visit.picture("import-gated")
    page.locator("#id_token").fill("hf_right")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Download")).to_be_visible(timeout=SOON)
    expect(card).to_contain_text("Tuning and deployment")
    found += remarks(visit)
    visit.picture("import-found")
    held = hub.repositories[REPOSITORY].held["model.safetensors"] = threading.Event()
    page.get_by_role("button", name="Download").click()
    expect(card).to_contain_text(re.compile(r"Downloading…\s+\d"), timeout=SOON)
    visit.picture("import-downloading")
    page.get_by_role("button", name="Pause").click()
    held.set()
    expect(card).to_contain_text("Paused. What was downloaded is kept.", timeout=SOON)
    visit.picture("import-paused")
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("link", name="Open the model").click(timeout=LATER)
    expect(page.get_by_role("heading", name="Tiny-Llama").first).to_be_visible()
    found += remarks(visit)
    visit.picture("import-model")
    deploy(visit)
    answer = ask(visit, "Ahoy?")
    taken = {path.name for path in (console.data_dir / "localvertex/imported").glob("*/*")}
    assert ("modeling_tiny.py" in taken, "model.gguf" in taken, answer != "") == (False, True, True)
    assert (found, visit.problems) == ([], [])


def deploy(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Deploy", exact=True).first.click()
    form = page.locator("#deploy-form")
    form.locator("[name=display_name]").fill("Imported")
    form.locator("[name=accepts_licence]").check()
    form.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.locator("#endpoint-bar .st")).to_contain_text("Ready", timeout=LATER)


def ask(visit: Visit, question: str) -> str:
    page: Any = visit.page
    page.get_by_role("link", name="Open in chat").click()
    page.locator("#id_text").fill(question)
    page.get_by_role("button", name="Send").click()
    turn = page.locator(".turn.model")
    expect(turn).to_have_count(1, timeout=SOON)
    expect(page.locator(".turn.model:not([aria-busy]) .md")).to_have_count(1, timeout=LATER)
    visit.picture("import-chat")
    return str(turn.last.text_content() or "").strip()
