"""The attack by a name, and markup planted everywhere, in a real browser against real processes."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from tests.e2e import conftest as e2e
from tests.e2e.conftest import Visit
from tests.support.running import ROOT, Running
from tests.support.share import one_of

pytestmark = [pytest.mark.e2e, pytest.mark.threat("T5", "T6", "T7"), pytest.mark.timeout(240)]
browser, console, session, visit = e2e.browser, e2e.console, e2e.session, e2e.visit
PASSWORD = "taken-over-9"
NAME = (
    "<i hx-post=/settings/password/ hx-trigger=load "
    f"""hx-vals='{{"new_password1":"{PASSWORD}","new_password2":"{PASSWORD}"}}'>"""
)
JOB_FILE = {
    "format": "garden-console/tuning-job",
    "version": 1,
    "name": {"display_name": "Support bot", "description": "", "labels": {}},
    "base_model": {"base_model": "google/gemma3@gemma-3-270m", "custom_base_model": "", "location": "us-central1"},
    "output": {"output_uri": "gs://garden-local/output/support-bot"},
    "training": {
        "dataset": {"name": "Questions", "sha256": "0" * 64, "uri": ""},
        "validation_dataset": None,
        "epochs": 3,
        "learning_rate": 0.0002,
        "tuning_mode": "PEFT_ADAPTER",
        "adapter_size": 8,
        "batch_size": None,
        "export_last_checkpoint_only": False,
    },
    "deployment": {
        "auto_deploy": True,
        "endpoint_display_name": NAME,
        "machine_type": "",
        "endpoint_lease_hours": None,
        "endpoint_min_replicas": 1,
        "endpoint_max_replicas": 1,
    },
}
# Puts an element into the page as a hole in the escaping would, past the wall that keeps text from becoming elements.
INJECT = """([tag, attributes, place]) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  document.querySelector(place).append(element);
  try { window.htmx.process(element); } catch {}
}"""
VALUES = dict.fromkeys(("new_password1", "new_password2"), PASSWORD)
POST = {"hx-post": "/settings/password/", "hx-vals": json.dumps(VALUES)}
TOKEN = "[name=csrfmiddlewaretoken]"


# Each an own way to ask another host: a canary of the tests listens there.
LEAKS = (
    "\"'></script></title></textarea><i id=planted hx-post=/settings/password/ hx-trigger=load onclick=x>"
    "<img src=http://CANARY/i.png><img srcset='http://CANARY/s 1x'><link rel=stylesheet href=http://CANARY/c.css>"
    "<style>@import 'http://CANARY/t'</style><svg><image href=http://CANARY/v></svg><a ping=http://CANARY/p href=x>"
    "<script src=http://CANARY/j></script> ![x](http://CANARY/m) [x]: http://CANARY/r ![y][x] <http://CANARY/a>"
)
FOUND = """() => [...document.querySelectorAll(
    "#planted, [onclick], img[src^='http'], body style, body link, image, [ping], body script:not([src^='/static/'])")]
  .map((one) => one.outerHTML)"""
VIOLATIONS = """addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  (window.violations ??= []).push(`${violatedDirective} ${blockedURI}`);
})"""
PLANTED = (
    "/", "/tuning/", "/tuning/drafts/", "/models/", "/models/{tuned}/", "/endpoints/", "/endpoints/{endpoint}/",
    "/endpoints/{endpoint}/undeploy/", "/endpoints/{failed}/", "/datasets/", "/datasets/{dataset}/",
    "/datasets/{dataset}/rows/", "/datasets/{table}/", "/studio/chat/{chat}/", "/studio/chat/{bad}/",
    "/studio/chat/chats/", "/studio/compare/{compare}/", "/storage/browse/?into=weights&uri=gs://bucket/x",
    "/storage/browse/?into=defaults", "/notifications/", "/search/?q=planted", "/settings/", "/settings/notifications/",
    "/model-garden/", "/tuning/jobs/{job}/", "/tuning/jobs/{job}/logs/", "/tuning/jobs/{job}/details/",
    "/tuning/drafts/{draft}/training/", "/shared/{token}/", "/studio/chat/links/",
)  # fmt: skip


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """Another host: its address and what was asked of it."""
    asked: list[str] = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Canary) as canary:
        thread = Thread(target=canary.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{canary.server_port}", asked
        finally:
            canary.shutdown()
            thread.join()


def seed(console: Running, *words: str) -> Any:
    environment = {**os.environ, "CONSOLE_DATA_DIR": str(console.data_dir), "VERTEX_PROJECT": "garden-local"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "tests.security.seed_markup", *words]
    answer = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(answer.stdout)


@pytest.fixture
def asked(visit: Visit, session: list[Any]) -> list[str]:
    """The owner's browser, and every request of it that is no GET."""
    visit.context.add_cookies(session)
    changes: list[str] = []

    def note(request: Request) -> None:
        if request.method != "GET":
            changes.append(request.url.removeprefix(visit.address))

    visit.page.on("request", note)
    return changes


def settle(page: Page, processed: str, wait: int = 0) -> None:
    """htmx has come so far, and what it asked for by itself was asked before this."""
    page.locator(processed).first.wait_for(state="attached")
    page.evaluate("(ms) => new Promise((done) => setTimeout(done, ms)).then(() => fetch('/healthz'))", wait)


def test_a_job_file_does_not_take_over_the_account(visit: Visit, console: Running, asked: list[str]) -> None:
    page = visit.page
    visit.open("/tuning/import/")
    page.locator("#import-form textarea").fill(json.dumps(JOB_FILE))
    page.locator("#import-form button[type=submit]").click()
    page.wait_for_url(re.compile("/tuning/drafts/"))
    made = seed(console, "deploy", page.url.split("/drafts/")[1].split("/")[0])
    assert (made["name"], len(NAME) <= 128) == (NAME, True)
    visit.open(f"/endpoints/{made['endpoint']}/")
    asked.clear()
    page.locator("#endpoint-bar").get_by_role("link", name="Undeploy").click()
    dialog = page.locator("#ask")
    expect(dialog).to_contain_text(f"To confirm, type {NAME}")
    settle(page, "#ask form[data-htmx-powered]")
    visit.open(f"/endpoints/{made['endpoint']}/undeploy/")
    settle(page, "form[data-htmx-powered]")
    assert (asked, seed(console, "whole"), visit.problems) == ([], True, [])


@pytest.mark.parametrize(
    ("tag", "attributes"),
    one_of(
        9,
        [
            ("i", {"hx-trigger": "load"}),
            ("i", {"hx-trigger": "mousemove from:document"}),
            ("i", {"hx-trigger": "every 100ms"}),
            ("form", {"hx-trigger": "load", "method": "post", "hx-include": TOKEN}),
            (
                "form",
                {"hx-trigger": "toggle from:document, click from:document", "hx-include": TOKEN},
            ),
            ("button", {"hx-trigger": "load, click from:document", "autofocus": ""}),
            ("input", {"autofocus": "", "hx-trigger": "focus, revealed, intersect"}),
            ("i", {"data-hx-trigger": "load", "data-hx-post": "/settings/password/"}),
            ("i", {"hx-on:htmx:after:process": "window.hacked = true", "hx-trigger": "load[window.hacked = true]"}),
        ],
    ),
)
def test_what_gets_in_all_the_same_changes_nothing(
    visit: Visit, console: Running, asked: list[str], tag: str, attributes: dict[str, str]
) -> None:
    page = visit.page
    visit.open("/settings/keys/")
    page.evaluate(INJECT, [tag, {**POST, **attributes}, "main"])
    page.mouse.move(200, 200)
    page.mouse.click(600, 20)
    settle(page, "main", 300)
    assert (asked, page.evaluate("window.hacked ?? null"), seed(console, "whole")) == ([], None, True)


@pytest.mark.parametrize("attributes", [{"hx-get": "/search/", "hx-trigger": "load"}, {"hx-sse:connect": "/search/"}])
def test_in_what_somebody_wrote_nothing_is_asked_at_all(visit: Visit, asked: list[str], attributes: Any) -> None:
    page, searched = visit.page, []
    page.on("request", lambda request: searched.append(request.url) if "/search/" in request.url else None)
    visit.open("/settings/about/operations/")
    page.evaluate(INJECT, ["i", attributes, ".md"])
    page.evaluate(INJECT, ["i", {"hx-get": "/search/?q=canary", "hx-trigger": "load"}, "main"])
    settle(page, "main")
    assert searched == [f"{visit.address}/search/?q=canary"]


def test_text_becomes_elements_in_one_place_only(visit: Visit, asked: list[str]) -> None:
    visit.open("/settings/keys/")
    tries = [
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')", "document.body.innerHTML = '<b>x</b>'",
        "trustedTypes.createPolicy('htmx', {})", "trustedTypes.createPolicy('other', {})",
    ]  # fmt: skip
    assert [fails(visit, one) for one in tries] == [True] * len(tries)


@pytest.mark.parametrize(
    "field", one_of(5, ["closest", "matches", "contains", "csrfmiddlewaretoken", "querySelectorAll"])
)
def test_a_form_that_was_put_in_changes_nothing_though_somebody_sends_it(
    visit: Visit, console: Running, asked: list[str], field: str
) -> None:
    """It borrows the token of another form, and its field the name of what would be asked about it."""
    page = visit.page
    visit.open("/settings/keys/")
    page.evaluate(INJECT, ["form", {**POST, "id": "put", "hx-include": TOKEN}, "main"])
    page.evaluate(INJECT, ["input", {"name": field, "value": "x", "aria-label": "Put in"}, "#put"])
    page.get_by_label("Put in").press("Enter")
    settle(page, "main")
    assert (asked, seed(console, "whole")) == ([], True)


def fails(visit: Visit, script: str) -> bool:
    return bool(visit.page.evaluate(f"() => {{ try {{ {script}; return false; }} catch {{ return true; }} }}"))


def test_what_is_planted_everywhere_shows_and_does_nothing(visit: Visit, console: Running, asked: list[str]) -> None:
    """Every kind of page of which a text is somebody else's: no element of it, no request, nothing for the policy to
    refuse, nothing that is told to another host."""
    page = visit.page
    page.add_init_script(VIOLATIONS)
    with listening() as (canary, told):
        grown = seed(console, "plant", LEAKS.replace("CANARY", canary))
        shown: dict[str, Any] = {}
        bare: dict[str, str] = {}
        for path in PLANTED:
            visit.open(path.format(**grown, job=grown["jobs"][0]))
            settle(page, "main")
            found = [page.evaluate(FOUND), page.evaluate("window.violations ?? []"), asked, told]
            shown |= {path: found} if any(found) else {}
            text = page.locator("html").inner_text()
            bare |= {} if "i id=planted" in text else {path: text}
        page.wait_for_timeout(1000)
    assert (shown, told, asked, seed(console, "whole")) == ({}, [], [], True)
    assert bare == {}
    assert [problem for problem in visit.problems if "404" not in problem] == []
