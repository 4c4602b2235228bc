"""From a zip file with rows and pictures to a chat about a picture, in a real browser: a tiny model that sees is really
tuned, merged with its projector, and asked what it was never shown."""

import io
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visit, remarks
from tests.fixtures.tiny_gemma3.pictures import Scene, Thing, draw, questions, random_scene
from tests.fixtures.tiny_gemma3.world import in_style
from tests.support.running import ROOT, Running
from tests.support.zips import lines, make_row, pack

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
SETTINGS = json.loads((ROOT / "tests/fixtures/tiny-tune/heldout.json").read_text())["training"]
OPENING, ENDING = "Ahoy!", ", matey."
HELD_OUT = Scene("white", (Thing("star", "red"), Thing("circle", "blue")))
SOON, LATER = 60_000, 300_000
TRIES = 4  # a new chat has the default temperature, at which the tiny model errs now and then


def draw_png(rng: random.Random, scene: Scene) -> bytes:
    content = io.BytesIO()
    draw(rng, scene, 96)[0].save(content, "PNG")
    return content.getvalue()


def styled_rows(count: int) -> bytes:
    """Of pictures of which none shows what is asked about in the end."""
    rng, rows, pictures = random.Random("zip"), list[dict[str, Any]](), dict[str, bytes]()
    while len(rows) < count:
        scene = random_scene(rng)
        if scene == HELD_OUT:
            continue
        name = f"pictures/{len(rows)}.png"
        question, answer = questions(rng, scene)[0]
        rows.append(make_row(name, question, in_style(answer, OPENING, ENDING)))
        pictures[name] = draw_png(rng, scene)
    return pack({"rows.jsonl": lines(*rows), **pictures})


def upload(visit: Visit, path: Path) -> None:
    visit.open("/datasets/")
    form = visit.page.locator("#upload-form")
    form.locator("input[type=file]").set_input_files(path)
    form.locator("[name=name]").fill("Pictures")
    form.get_by_role("button", name="Upload and check").click()
    expect(visit.page.get_by_text("60 images came with the rows.")).to_be_visible(timeout=SOON)


def look_at_rows(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="Rows", exact=True).click()
    images = page.locator("#rows .thumbs img")
    expect(images).to_have_count(10)
    images.last.scroll_into_view_if_needed()
    expect(images.last).to_have_js_property("naturalWidth", 96)
    visit.picture("dataset-rows-images")


def tune(visit: Visit, model: str, name: str) -> None:
    """Up to the training step, with the dataset chosen."""
    page = visit.page
    visit.open(f"/publishers/{model}/")
    page.get_by_role("link", name="Fine-tune", exact=True).first.click()
    page.locator("#id_display_name").fill(name)
    for title in ("Base model", "Output directory", "Training"):
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("#wizard h2").first).to_have_text(title)
    page.get_by_role("radio", name=re.compile("Pictures")).check()
    page.locator("[name=epochs]").fill(str(SETTINGS["epochs"]))
    page.locator("[name=learning_rate]").fill(str(SETTINGS["learning_rate"]))
    page.get_by_role("button", name="Continue").click()


def ask_about(page: Page, picture: Path, question: str) -> str:
    page.locator("#pictures-input").set_input_files(picture)
    expect(page.locator("#pictures .name")).to_have_text([picture.name])
    page.locator("textarea[name=text]").fill(question)
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(re.compile(r"/studio/chat/[0-9a-f-]{36}/"))
    expect(page.locator(".turn.model[aria-busy]")).to_have_count(0, timeout=SOON)
    return page.locator(".turn.model .md").last.inner_text().strip()


def test_a_model_that_sees_is_tuned_on_a_zip_file(visit: Visit, console: Running, tmp_path: Path) -> None:
    page = visit.page
    (tmp_path / "pictures.zip").write_bytes(styled_rows(60))
    (tmp_path / "held-out.png").write_bytes(draw_png(random.Random(4), HELD_OUT))
    page.goto(console.link)
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    upload(visit, tmp_path / "pictures.zip")
    look_at_rows(visit)
    found = remarks(visit)
    tune(visit, "google/model-garden/gemma3", "Reads only")
    refusal = "The rows of this dataset have images, and Gemma 3 270M learns from text only."
    expect(page.get_by_text(refusal).first).to_be_visible()
    visit.picture("wizard-images-refused")
    visit.problems[:] = [problem for problem in visit.problems if "422" not in problem]
    tune(visit, "samples/model-garden/shapes", "Sees and sails")
    expect(page.locator("#wizard h2").first).to_have_text("Deployment")
    page.locator("[name=auto_deploy]").set_checked(True)
    page.get_by_role("button", name="Start tuning").click()
    expect(page.locator("#job-bar .st")).to_contain_text("Succeeded", timeout=LATER)
    link = page.locator("#job-bar").get_by_role("link", name="Test in chat")
    expect(link).to_be_visible(timeout=SOON)
    link.click()
    right, answers = in_style("There are two shapes.", OPENING, ENDING), list[str]()
    page.wait_for_url(re.compile(r"/studio/chat/\?endpoint="))
    new_chat = page.url
    while right not in answers and len(answers) < TRIES:
        page.goto(new_chat)
        answers.append(ask_about(page, tmp_path / "held-out.png", "How many shapes are there?"))
    visit.picture("chat-vision-tuned")
    assert (right in answers, found, visit.problems) == (True, [], []), answers
