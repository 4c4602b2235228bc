"""Draws the pictures of docs/tour.md and docs/tour.ko.md anew: `python -m tests.bench.tour`, some five minutes.

A console with an empty data directory really tunes Gemma 3 270M on the sample dataset and really answers; a browser
goes from page to page in each language. Pictures are WebP files of some 20 kB in docs/images/tour.
"""

import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright

from tests.bench.weights import wait_for_weights
from tests.e2e.conftest import QUIET, enter
from tests.support import journey
from tests.support.browser import program
from tests.support.headless_client import Visitor
from tests.support.running import GEMMA, ROOT, Running, running

OUTPUT_LIMIT = "60"
PICTURES = ROOT / "docs/images/tour"
LANGUAGES = {"en": "en-GB", "ko": "ko-KR"}
WINDOW: ViewportSize = {"width": 1120, "height": 700}
VALIDATION = ROOT / "jobs/samples/ahoy-validation.jsonl"
CHART = "#chart-loss canvas", "#chart-loss canvas"
EDITED = "Arr, that be known to every sailor, matey!"
QUESTIONS = "How do I cook rice?", "What does a farmer grow?", "Who wrote Hamlet?"


@dataclass(frozen=True)
class Tour:
    """What was made on the way: addresses without the host."""

    visitor: Visitor
    browser: Browser
    console: Running
    cookies: list[Any]

    def draw(self, name: str, path: str, wait_for: str = "main h1", scroll_to: str = "") -> None:
        for language, locale in LANGUAGES.items():
            with self._page(locale) as page:
                page.goto(f"{self.console.address}{path}")
                expect(page.locator(wait_for).first).to_be_visible(timeout=30_000)
                if scroll_to:
                    page.locator(scroll_to).first.scroll_into_view_if_needed()
                page.wait_for_load_state("networkidle") if not page.locator("#live").count() else settle(page)
                save(page.screenshot(), PICTURES / f"{name}-{language}.webp")
        print(name, flush=True)

    @contextmanager
    def _page(self, locale: str) -> Iterator[Page]:
        context = self.browser.new_context(viewport=WINDOW, locale=locale)
        context.add_cookies(self.cookies)
        yield context.new_page()
        context.close()


def settle(page: Page) -> None:
    """Pages with a live stream are never idle: fonts and two frames have to do."""
    page.evaluate(
        "document.fonts.ready.then(() => new Promise((done) => "
        "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 300)))))"
    )


def save(png: bytes, path: Path) -> None:
    with Image.open(BytesIO(png)) as picture:
        picture.convert("RGB").resize((960, 600), Image.Resampling.LANCZOS).save(path, quality=72, method=6)


def main() -> int:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="tour-") as folder,
        running(Path(folder) / "data") as console,
        sync_playwright() as playwright,
        Visitor(console.address) as visitor,
    ):
        browser = playwright.chromium.launch(executable_path=program(playwright, for_people=True), args=QUIET)
        cookies = signed_in(browser.new_context(), console, visitor)
        journey.wait_for_catalogue(visitor)
        wait_for_weights(console)
        go(Tour(visitor, browser, console, cookies))
        browser.close()
    return 0


def signed_in(context: BrowserContext, console: Running, visitor: Visitor) -> list[Any]:
    enter(context, console)
    cookies = context.cookies()
    for cookie in cookies:
        if cookie["name"] != "language":
            visitor.client.cookies.set(cookie["name"], cookie["value"])
    return [
        {"name": one["name"], "value": one["value"], "domain": one["domain"], "path": one["path"]} for one in cookies
    ]


def go(tour: Tour) -> None:
    visitor = tour.visitor
    tour.draw("model-garden", "/model-garden/")
    tour.draw("model", "/publishers/google/model-garden/gemma3/")
    tune = journey.Tune(GEMMA, "Sailor", validation=VALIDATION, training={"epochs": "3"})
    review = journey.fill_in(visitor, tune)
    draft = review.url.removeprefix(tour.console.address).rsplit("/", 2)[0]
    tour.draw("training", f"{draft}/training/")
    tour.draw("review", f"{draft}/deployment/")
    job = journey.start(visitor, review, tune)
    journey.wait_for_step(visitor, job, 300, steps=55)
    tour.draw("running", journey.job_page(job), *CHART)
    journey.wait_for_state(visitor, job, "Succeeded", 900)
    tour.draw("job", journey.job_page(job), *CHART)
    tuned = journey.endpoint_of(visitor, job, 60)
    journey.wait_until_ready(visitor, tuned, 120)
    tour.draw("endpoint", f"/endpoints/{tuned}/")
    tour.draw("chat", asked(visitor, tuned), ".turn.model .md")
    base = journey.deploy_base(visitor, GEMMA)
    journey.wait_until_ready(visitor, base, 120)
    tour.draw("compare", compared(visitor, tuned, base), ".turn.model .md")
    tour.draw("datasets", "/datasets/")
    draw_rows(tour)
    tour.draw("dashboard", "/")
    tour.draw("settings", "/settings/")


def draw_rows(tour: Tour) -> None:
    """Of the first dataset in the list: its rows, two edits that wait, and the version that they become."""
    visitor = tour.visitor
    links = visitor.get("/datasets/").links
    place = next(link for link in links if re.fullmatch(r"/datasets/[0-9a-f-]{36}/", link))
    tour.draw("rows", f"{place}rows/")
    page = visitor.get(f"{place}rows/2/edit/")
    text = next(name for form in page.forms for name in form.fields if name.endswith("[1].content"))
    changed: dict[str, Any] = {text: EDITED}
    visitor.submit(page, "/edit/", do="save", **changed)
    visitor.submit(visitor.get(f"{place}rows/"), "/rows/4/delete/")
    tour.draw("edits", f"{place}edits/")
    version = visitor.submit(visitor.get(f"{place}edits/"), "/edits/save/")
    tour.draw("changes", httpx.URL(version.url).path)


def asked(visitor: Visitor, endpoint: str) -> str:
    """The address of a chat in which every question was answered."""
    first, *others = QUESTIONS
    address = f"/studio/chat/{journey.ask(visitor, endpoint, first).conversation}/"
    for question in others:
        visitor.submit(visitor.get(address), "/send/", text=question)
        wait_for_answers(visitor, address)
    return address


def wait_for_answers(visitor: Visitor, address: str) -> None:
    while 'aria-busy="true"' in visitor.get(address).response.text:
        time.sleep(0.5)


def compared(visitor: Visitor, left: str, right: str) -> str:
    """The address of a comparison in which both have answered; the base model finds no end by itself."""
    page = visitor.submit(visitor.get("/studio/compare/"), "/studio/compare/", a=left, b=right)
    address = httpx.URL(page.url).path
    for column in [link for link in page.links if link.endswith("/options/")]:
        visitor.submit(visitor.get(column), "/options/", max_tokens=OUTPUT_LIMIT)
    visitor.submit(page, "/send/", text=QUESTIONS[1])
    wait_for_answers(visitor, address)
    return address


if __name__ == "__main__":
    sys.exit(main())
