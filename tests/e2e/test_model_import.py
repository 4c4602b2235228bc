"""Models of a hub on loopback, in a browser: imported, tuned, deployed, and chatted with."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import USUAL, Visit, remarks
from tests.e2e.test_journey import HELD_OUT, ask_in_chat, fill_in_the_steps, start, watch_it_succeed
from tests.jobs.localvertex.engine.tiny import make_model
from tests.support.hub import Hub, serve_hub
from tests.support.running import TINY_MODEL, Running, running, with_tiny_model

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(1200)]
REPOSITORY = "acme/Tiny-Llama"
SOON, LATER = 90_000, 400_000
# What comes before is PyTorch, in the test as in the server, on a machine that may be busy.
PATIENCE = 240
TRIES = 4  # a new chat has the default temperature, at which a tiny model errs now and then
BY_HEART = 12  # rows, which a model of random weights learns within seconds


@dataclass(frozen=True)
class Shape:
    """A model to import, and how much of the rows it is tuned on. `made_as` empty: the tiny Gemma 3, which has learned
    to answer and takes on a style; the others learn answers by heart."""

    repository: str
    made_as: str
    family: str
    epochs: int
    rate: float
    rows: int

    @property
    def title(self) -> str:
        return self.repository.partition("/")[2]

    def files(self, folder: Path) -> dict[str, bytes]:
        made = make_model(self.made_as, folder) if self.made_as else TINY_MODEL
        return {
            path.name: path.read_bytes()
            for path in made.iterdir()
            if path.suffix in (".json", ".safetensors", ".jinja")
        }

    def questions(self, rows: list[Any]) -> list[tuple[str, str]]:
        """And what the tuned model answers."""
        if not self.made_as:
            return [(one["prompt"], one["tuned"]) for one in HELD_OUT["questions"][:2]]
        return [(row["messages"][0]["content"], row["messages"][1]["content"]) for row in rows[:2]]


TRAINING = HELD_OUT["training"]
SHAPES = [
    Shape("acme/Learns-Llama", "SmolLM2", "Llama", 40, 0.005, BY_HEART),
    Shape("acme/Learns-Qwen", "Qwen 3", "Qwen 3", 40, 0.005, BY_HEART),
    Shape("acme/Learns-Gemma", "", "Gemma 3", TRAINING["epochs"], TRAINING["learning_rate"], 60),
]


@pytest.fixture(autouse=True)
def patience(visit: Visit) -> Iterator[None]:
    """Pages are late where one model is trained and another converted."""
    visit.context.set_default_timeout(SOON)
    expect.set_options(timeout=SOON)
    yield
    expect.set_options(timeout=USUAL)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder: Path = make_model("SmolLM2", tmp_path_factory.mktemp("tiny"))
    with serve_hub() as found:
        files = {path.name: path.read_bytes() for path in folder.iterdir()} | {"modeling_tiny.py": b"raise SystemExit"}
        found.add(REPOSITORY, files, card={"license": "apache-2.0"}, gated="manual", tokens=("hf_right",))
        for shape in SHAPES:
            found.add(shape.repository, shape.files(tmp_path_factory.mktemp("shape")), card={"license": "apache-2.0"})
        yield found


@pytest.fixture(scope="module")
def console(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    environment = with_tiny_model() | {"HF_ENDPOINT": hub.address}
    with running(tmp_path_factory.mktemp("e2e") / "data", environment, patience=PATIENCE) as started:
        yield started


def test_a_gated_model_is_imported_deployed_and_answers(
    visit: Visit, console: Running, session: list[Any], hub: Hub
) -> None:
    page, found = visit.page, list[str]()
    visit.context.add_cookies(session)
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


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.title)
def test_a_family_is_imported_tuned_deployed_and_answers_as_tuned(
    visit: Visit, console: Running, session: list[Any], tune_data: Path, tmp_path: Path, shape: Shape
) -> None:
    visit.context.add_cookies(session)
    rows = (tune_data / "train.jsonl").read_text().splitlines()[: shape.rows]
    (tmp_path / "train.jsonl").write_text("\n".join(rows))
    held_out = (tune_data / "validation.jsonl").read_text().splitlines()[: shape.rows // 6]
    (tmp_path / "validation.jsonl").write_text("\n".join(held_out))
    bring(visit, shape)
    fill_in_the_steps(visit, shape.title, tmp_path, shape.epochs, base_model=shape.title, rate=shape.rate)
    start(visit, deploy=True)
    watch_it_succeed(visit, LATER)
    job, told = visit.page.url, dict[str, list[str]]()
    questions = shape.questions([json.loads(row) for row in rows])
    for question, answer in questions:
        answers = told[question] = []
        while answer not in answers and len(answers) < TRIES:
            visit.page.goto(job)
            visit.page.locator("#job-bar").get_by_role("link", name="Test in chat").click()
            answers.append(ask_in_chat(visit, question, first=True))
    assert ([answer in told[question] for question, answer in questions], visit.problems) == ([True] * 2, []), told


def bring(visit: Visit, shape: Shape) -> None:
    """Ends at the page of the model."""
    page = visit.page
    visit.open("/model-garden/import/")
    page.locator("#id_source").fill(shape.repository)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Download")).to_be_visible(timeout=SOON)
    expect(page.locator("#model-import dl")).to_contain_text(shape.family)
    page.get_by_role("button", name="Download").click()
    page.get_by_role("link", name="Open the model").click(timeout=LATER)
    expect(page.get_by_role("heading", name=shape.title).first).to_be_visible()


def test_a_model_that_nothing_uses_is_removed(visit: Visit, console: Running, session: list[Any], hub: Hub) -> None:
    visit.context.add_cookies(session)
    hub.add("acme/Goes", hub.repositories[SHAPES[0].repository].files, card={"license": "apache-2.0"})
    bring(visit, replace(SHAPES[0], repository="acme/Goes"))
    page, found = visit.page, list[str]()
    folder = console.data_dir / "localvertex/imported/hf-acme--goes--001"
    assert (folder / "model.safetensors").is_file()
    page.get_by_role("link", name="Remove", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text(re.compile(r"That frees [0-9.]+\s[KM]B"))
    found += remarks(visit)
    visit.picture("model-remove")
    page.locator("#id_confirm").fill("Goes")
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#model-import")).to_contain_text(
        re.compile(r"The model was removed. That freed [0-9.]+\s[KM]B")
    )
    found += remarks(visit)
    visit.picture("model-removed")
    assert not folder.exists()
    visit.open("/model-garden/?q=Goes")
    expect(page.get_by_role("link", name="Goes")).to_have_count(0)
    assert (found, visit.problems) == ([], [])
