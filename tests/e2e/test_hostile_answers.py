"""Hostile answers, streamed and stored, in a real browser: nothing runs, is fetched, or looks like the console."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from jobs.text import markdown, math
from tests.e2e.conftest import Visit, remarks
from tests.support import hostile_answers
from tests.support.running import ROOT, Running, environment, running
from tests.support.scripted_endpoint import saying
from tests.support.share import one_of

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
SOON = 60_000
TOGETHER = 4
ANSWERS = hostile_answers.answers()
BATCHES = ["\n\n".join(ANSWERS[at : at + TOGETHER]) for at in range(0, len(ANSWERS), TOGETHER)]
LINK = "Read [the page](https://user@www.example.com:8443/a?b=c&d#e)."
RULES = {
    "tags": sorted(markdown.TAGS),
    "attributes": {
        **dict.fromkeys(("ul", "blockquote"), ["dir"]),
        "a": ["href", "title", "rel", "target"],
        "ol": ["start", "dir"],
        "table": ["tabindex", "dir"],
    },
    "formulas": {tag: sorted(math.VALUES) for tag in math.ELEMENTS},
    "classes": {tag: sorted(names) for tag, names in markdown.CLASSES.items()},
    "leave": markdown.leave(),
}
# Sees every element that is ever put into an answer. A block of code has a frame of the console's own, with a button.
WATCH = """(rules) => {
  window.strange = []; window.watched = 0;
  const report = (element, why) => strange.push(`${why}: ${element.outerHTML.slice(0, 200)}`);
  // The parser may have come no further than the frame.
  const copy = "button.ib[data-action='clipboard#copy']";
  const ours = (element) => element.matches("[id^=reply-], .md")
    || element.closest("div.code[data-controller=clipboard] > button")
    || (element.matches("div.code[data-controller=clipboard]") && (element.firstElementChild?.matches(copy) ?? true));
  const own = { PRE: ["data-clipboard-target", "data-language", "tabindex"] };
  const allowed = { ...rules.formulas, ...rules.attributes };
  const look = (element) => {
    if (!element.closest(".turn.model .md") || ours(element)) return;
    window.watched += 1;
    const tag = element.localName;
    const isHtml = element.namespaceURI === "http://www.w3.org/1999/xhtml";
    if (!(isHtml ? rules.tags.includes(tag) : tag in rules.formulas)) report(element, "element");
    for (const { name, value } of element.attributes) {
      if (name === "class") {
        const known = [...(rules.classes[tag] ?? []), "htmx-added", "htmx-settling", "htmx-swapping"];
        if (!value.split(" ").every((part) => part === "" || known.includes(part))) report(element, "class");
      } else if (!(allowed[tag] ?? own[element.tagName] ?? []).includes(name)) report(element, name);
      if (name === "href" && !/^(https?|mailto)%3A/i.test(value.replace(rules.leave, ""))) report(element, "address");
    }
  };
  const lookAll = (root) => { if (root instanceof Element) { look(root); root.querySelectorAll("*").forEach(look); } };
  addEventListener("DOMContentLoaded", () => lookAll(document.body));
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes") look(target);
      else addedNodes.forEach(lookAll);
    }
  }).observe(document, { childList: true, subtree: true, attributes: true });
}"""

STRANGE = """(answer) => {
  for (const [tag, given] of [["b", {}], ["p", { id: "live" }], ["a", { href: "/leave/?to=x" }]])
    answer.append(Object.assign(document.createElement(tag), given));
}"""


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("hostile") / "data"
    with ExitStack() as started:
        address = started.enter_context(saying(lambda asked: BATCHES[int(asked)] if asked.isdigit() else LINK))
        yield started.enter_context(running(data, {"VERTEX_API_ENDPOINT": address}))


@pytest.fixture(scope="module")
def person(console: Running) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.chat_seed", "1", "5"]
    given = environment({"CONSOLE_DATA_DIR": str(console.data_dir)})
    found = subprocess.run(command, cwd=ROOT, env=given, stdout=subprocess.PIPE, check=True).stdout
    people: list[dict[str, Any]] = json.loads(found)
    return people[0]


@pytest.fixture
def watched(visit: Visit, person: dict[str, Any]) -> Iterator[Visit]:
    visit.context.add_cookies([{"name": "sessionid", "value": person["session"], "url": visit.address}])
    visit.context.add_init_script(f"({WATCH})({json.dumps(RULES)})")
    visit.page.on("dialog", lambda dialog: visit.problems.append(f"dialog {dialog.message}"))
    visit.page.on("request", lambda request: visit.problems.extend([request.url] if "canary" in request.url else []))
    yield visit
    assert visit.problems == []


def ask(page: Page, text: str, answers: int) -> None:
    box = page.get_by_role("textbox", name="Message", exact=True)
    box.fill(text)
    box.press("Enter")
    expect(page.locator(".turn.model:not([aria-busy])")).to_have_count(answers, timeout=SOON)
    expect(page.get_by_role("button", name="Send")).to_be_visible(timeout=SOON)


def found_in(page: Page) -> list[Any]:
    return page.evaluate("[window.hacked ?? null, window.strange]")


def test_there_are_enough_of_them() -> None:
    assert hostile_answers.count() >= 500


@pytest.mark.parametrize("part", one_of(2, range(4)))
def test_nothing_runs_and_nothing_is_fetched(watched: Visit, person: dict[str, Any], part: int) -> None:
    page = watched.page
    watched.open(f"/studio/chat/{person['chats'][part]}/")
    for number, batch in enumerate(range(part, len(BATCHES), 4), 1):
        ask(page, str(batch), number)
    assert page.locator(".turn.model .note").count() == 0
    assert found_in(page) == [None, []]
    assert page.evaluate("window.watched") > 1000
    page.reload()
    expect(page.locator(".turn.model")).to_have_count(number)
    assert found_in(page) == [None, []]
    assert page.evaluate("window.watched") > 300
    assert page.evaluate("document.querySelectorAll('.turn.model').length") == number


def test_a_link_asks_before_it_leads_away(watched: Visit, person: dict[str, Any]) -> None:
    page = watched.page
    watched.open(f"/studio/chat/{person['chats'][4]}/")
    ask(page, "link", 1)
    assert found_in(page) == [None, []]
    with watched.context.expect_page() as opened:
        page.get_by_role("link", name="the page").click()
    asking = opened.value
    expect(asking.locator(".address")).to_have_text("https://user@www.example.com:8443/a?b=c&d#e")
    expect(asking.locator(".address strong")).to_have_text("www.example.com")
    link = asking.get_by_role("link", name="Open the address")
    expect(link).to_have_attribute("href", "https://user@www.example.com:8443/a?b=c&d#e")
    assert asking.evaluate("[window.opener, document.referrer]") == [None, ""]
    page.locator(".turn.model .md").first.evaluate(STRANGE)
    page.wait_for_function("window.strange.length >= 3")
    watched.page = asking
    assert remarks(watched) == []
    watched.picture("leave")
