"""From the printed link to a chat with a tuned model, in a real browser; the tuning is real, of a tiny model."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit
from tests.support.running import ROOT, Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
HELD_OUT = json.loads((ROOT / "tests/fixtures/tiny-tune/heldout.json").read_text())
SOON, LATER = 60_000, 120_000


def sign_in(visit: Visit, console: Running) -> None:
    visit.page.goto(console.link)
    expect(visit.page.get_by_role("heading", name="Dashboard")).to_be_visible()


def find_the_model(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Model Garden").first.click()
    card = page.get_by_role("link", name="Gemma 3", exact=False).first
    expect(card).to_be_visible(timeout=SOON)
    visit.picture("model-garden")
    card.click()
    expect(page.get_by_role("heading", level=2, name="Gemma 3 270M")).to_be_visible()
    visit.picture("model")


def fill_in_the_steps(
    visit: Visit, name: str, data: Path, epochs: int, *, base_model: str = "Gemma 3 270M", rate: float | None = None
) -> None:
    """From the page of the base model to the review. `rate` None: the one by which the tiny model learns its style."""
    page = visit.page
    page.get_by_role("link", name="Fine-tune", exact=True).click()
    page.get_by_label("Tuned model name").or_(page.locator("#id_display_name")).first.fill(name)
    proceed(visit, "Base model")
    expect(page.get_by_role("radio", name=re.compile(base_model))).to_be_checked()
    proceed(visit, "Output directory")
    proceed(visit, "Training")
    choose_data(visit, data)
    page.locator("[name=epochs]").fill(str(epochs))
    page.locator("[name=learning_rate]").fill(str(rate or HELD_OUT["training"]["learning_rate"]))
    visit.picture("wizard-training")
    proceed(visit, "Deployment")


def proceed(visit: Visit, title: str) -> None:
    visit.page.get_by_role("button", name="Continue").click()
    expect(visit.page.locator("#wizard h2").first).to_have_text(title)


def choose_data(visit: Visit, data: Path) -> None:
    page = visit.page
    for which, file in (("train", "train.jsonl"), ("validation", "validation.jsonl")):
        if which == "validation":
            page.locator("[name=use_validation]").check()
        field = page.locator(f"input[type=file][name={which}-file]")
        if not field.is_visible():
            field.locator("xpath=ancestor::details").locator("summary").click()
        field.set_input_files(data / file)
        page.locator(f"button[value=upload-{which}]").click()
        expect(page.locator(f"#{'dataset' if which == 'train' else 'validation_dataset'}-report")).to_contain_text(
            "examples"
        )


def start(visit: Visit, *, deploy: bool) -> str:
    page = visit.page
    page.locator("[name=auto_deploy]").set_checked(deploy)
    terms = page.locator("[name=accepts_licence]")
    if terms.count():
        terms.check()
    visit.picture("wizard-review")
    page.get_by_role("button", name="Start tuning").click()
    expect(page.locator("#job-bar")).to_be_visible()
    return page.url


def watch_it_succeed(visit: Visit, patience: float = LATER) -> None:
    page = visit.page
    expect(page.locator("#job-bar .st")).to_contain_text("Running", timeout=SOON)
    visit.picture("job-running")
    expect(page.locator("#job-bar .st")).to_contain_text("Succeeded", timeout=patience)
    expect(page.locator("#job-bar").get_by_role("link", name="Test in chat")).to_be_visible(timeout=patience)
    expect(page.locator("#chart-loss canvas")).to_be_visible()
    visit.picture("job-succeeded")


def ask_in_chat(visit: Visit, question: str, *, first: bool) -> str:
    page = visit.page
    page.locator("#id_text").fill(question)
    page.get_by_role("button", name="Send").click()
    answers = page.locator(".turn.model:not([aria-busy]) .md")
    if first:
        expect(page).to_have_url(re.compile(r"/studio/chat/[0-9a-f-]{36}/"))
        expect(answers).to_have_count(1, timeout=SOON)
    return (answers.last.text_content() or "").strip()


def deploy_the_base(visit: Visit) -> None:
    page = visit.page
    visit.open("/publishers/google/model-garden/gemma3/")
    page.get_by_role("link", name="Deploy", exact=True).first.click()
    form = page.locator("#deploy-form")
    form.locator("[name=display_name]").fill("Plain base")
    if form.locator("[name=accepts_licence]").count():
        form.locator("[name=accepts_licence]").check()
    visit.picture("deploy")
    form.get_by_role("button", name="Deploy", exact=True).click()
    expect(page.locator("#endpoint-bar .st")).to_contain_text("Ready", timeout=SOON)
    visit.picture("endpoint-ready")


def confirm(visit: Visit, button: str, dialog: str) -> None:
    visit.page.locator("main, header, body").first.get_by_role("button", name=button, exact=True).first.click()
    visit.page.locator(f"#{dialog}").get_by_role("button", name=button).last.click()


def test_the_whole_way(visit: Visit, console: Running, tune_data: Path) -> None:
    question = HELD_OUT["questions"][0]
    sign_in(visit, console)
    find_the_model(visit)
    fill_in_the_steps(visit, "Ahoy", tune_data, HELD_OUT["training"]["epochs"])
    job = start(visit, deploy=True)
    watch_it_succeed(visit)
    visit.page.locator("#job-bar").get_by_role("link", name="Test in chat").click()
    tuned = ask_in_chat(visit, question["prompt"], first=True)
    visit.picture("chat")
    deploy_the_base(visit)
    visit.page.get_by_role("link", name="Open in chat").click()
    plain = ask_in_chat(visit, question["prompt"], first=True)
    visit.open("/")
    visit.picture("dashboard")
    undeploy_and_delete(visit, "Plain base")
    cancel_another(visit, tune_data)
    visit.page.goto(job)
    assert (tuned, plain, visit.problems) == (question["tuned"], question["plain"], [])


def undeploy_and_delete(visit: Visit, name: str) -> None:
    page = visit.page
    visit.open("/endpoints/")
    visit.picture("endpoints")
    page.get_by_role("link", name=name).first.click()
    for action in ("Undeploy", "Delete"):
        page.locator("#endpoint-bar").get_by_role("link", name=action).click()
        page.locator("#ask").get_by_label("Name of the endpoint").fill(name)
        page.locator("#ask").get_by_role("button", name=action).click()
        if action == "Undeploy":
            expect(page.locator("#endpoint-bar .st")).to_contain_text("Undeployed", timeout=SOON)
    expect(page).to_have_url(re.compile(r"/endpoints/$"))
    expect(page.get_by_role("link", name=name)).to_have_count(0, timeout=SOON)


def cancel_another(visit: Visit, data: Path) -> None:
    page = visit.page
    visit.open("/publishers/google/model-garden/gemma3/")
    fill_in_the_steps(visit, "Never mind", data, 100)
    start(visit, deploy=False)
    expect(page.locator("#job-bar .st")).to_contain_text("Running", timeout=SOON)
    page.locator("#job-bar").get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job-bar .st")).to_contain_text("Cancelled", timeout=SOON)
    expect(page.locator("#job-status")).to_contain_text(
        re.compile("Resume makes a new job|nothing to resume from"), timeout=SOON
    )
