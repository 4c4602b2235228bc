"""What each page weighs and when its largest part is painted, in Chromium: `python -m tests.bench.pages [--write]`.

Starts a console of its own, with the rows of tests/e2e/seed.py, and Chromium's headless shell, which is Playwright's
default: the browser shares the processor with the console, and a whole one (`--whole-browser`) takes twice as much of
it. `--write` puts the table into docs/performance.md; it is refused when the machine was busy before.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.bench.page import BUSY, write
from tests.e2e.pages import PAGES, Shown, filled
from tests.e2e.weighing import largest_paint, weighed
from tests.support.browser import program
from tests.support.running import ROOT, Running, running, with_tiny_model

ROUNDS = 3
PAINT_MS, FIRST, FIRST_WITH_CHART, AGAIN = 400, 120, 150, 15


@dataclass(frozen=True)
class Figures:
    """Kilobytes at the first and at the second visit; milliseconds to the largest paint in each."""

    page: Shown
    first: float
    again: float
    first_paint: float
    paint: float

    @property
    def met(self) -> bool:
        light = self.first <= (FIRST_WITH_CHART if self.page.chart else FIRST) and self.again <= AGAIN
        return light and max(self.first_paint, self.paint) <= PAINT_MS

    def row(self) -> str:
        figures = f"{self.first:.1f} | {self.again:.1f} | {self.first_paint:.0f} | {self.paint:.0f}"
        return f"| {self.page.name} | {figures} | {'yes' if self.met else '**no**'} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    parser.add_argument("--whole-browser", action="store_true", help="not the headless shell")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        browser, figures = measure_pages(Path(folder), whole=options.whole_browser)
    text = table(figures, load, browser)
    print(text)
    if options.write:
        if load > BUSY:
            sys.exit(f"Not written: the load was {load:.1f} before the start, more than {BUSY}.")
        write("page figures", text)
    return 0 if all(one.met for one in figures) else 1


def measure_pages(folder: Path, *, whole: bool) -> tuple[str, list[Figures]]:
    """With the name of the browser."""
    with running(folder / "data", with_tiny_model()) as console, sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        path = program(playwright, for_people=whole)
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        name = f"{Path(path).name} {browser.version}"
        figures = measured(browser, console)
        browser.close()
    return name, figures


def measured(browser: Browser, console: Running) -> list[Figures]:
    environment = {**os.environ, "CONSOLE_DATA_DIR": str(console.data_dir), "VERTEX_PROJECT": "garden-local"}
    seeding = [sys.executable, "-m", "tests.e2e.seed"]
    ids = json.loads(subprocess.run(seeding, cwd=ROOT, env=environment, capture_output=True, check=True).stdout)
    context = browser.new_context()
    context.new_page().goto(console.link)
    session = context.cookies()
    return [figures_of(browser, session, page, console.address + filled(page.happy, ids)) for page in PAGES]


def figures_of(browser: Browser, session: list[Any], page: Shown, address: str) -> Figures:
    first_paints, paints = [], []
    for _ in range(ROUNDS):
        context = fresh(browser, session)
        first_paints.append(largest_paint(context, address))
        paints.append(largest_paint(context, address))
        context.close()
    context = fresh(browser, session)
    first, again = weighed(context, address).total / 1000, weighed(context, address).total / 1000
    context.close()
    return Figures(page, first, again, statistics.median(first_paints), statistics.median(paints))


def fresh(browser: Browser, session: list[Any]) -> BrowserContext:
    """A browser that was never here, but is signed in."""
    context = browser.new_context(viewport={"width": 1280, "height": 860})
    context.add_cookies(session)
    return context


def table(figures: list[Figures], load: float, browser: str) -> str:
    lines = [
        f"Taken {datetime.now(UTC):%Y-%m-%d} by `make bench-pages`: {os.cpu_count()} cores, {platform.machine()}, "
        f"{browser}, load before the start {load:.1f}. Goals: {FIRST} kB at the first visit "
        f"({FIRST_WITH_CHART} with a chart), {AGAIN} kB at the second, "
        f"largest paint within {PAINT_MS} ms, the median of {ROUNDS} visits.",
        "",
        "| page | first visit, kB | second, kB | largest paint, first visit, ms | second, ms | met |",
        "|---|--:|--:|--:|--:|---|",
    ]
    return "\n".join([*lines, *(one.row() for one in figures)])


if __name__ == "__main__":
    sys.exit(main())
