"""The way from an empty console to a chat with a tuned model, as a person sends it: form by form."""

import re
import time
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

from tests.support.headless_client import Page, Visitor

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ENDPOINT = re.compile(r"/endpoints/([0-9a-f-]{36})/")
CATALOGUE_SECONDS = 60


def identity(url: str) -> str:
    found = UUID.findall(url)
    if not found:
        raise LookupError(f"{url} names no resource")
    return str(found[-1])


@dataclass(frozen=True)
class Tune:
    base_model: str
    name: str = "Ahoy"
    train: Path | None = None
    validation: Path | None = None
    auto_deploy: bool = True
    training: dict[str, str] = field(default_factory=dict)


def wait_for_catalogue(visitor: Visitor) -> None:
    visitor.wait_for("/model-garden/", ("270M",), CATALOGUE_SECONDS)


def fill_in(visitor: Visitor, tune: Tune) -> Page:
    """Goes through the steps up to the review, which is returned."""
    page = visitor.get("/tuning/new/")
    page = go_on(visitor, page, "name", "base-model", display_name=tune.name)
    page = go_on(visitor, page, "base-model", "output", base_model=tune.base_model)
    page = go_on(visitor, page, "output", "training")
    page = choose_dataset(visitor, page, "train", tune.train)
    if tune.validation:
        page = choose_dataset(visitor, page, "validation", tune.validation)
    return go_on(visitor, page, "training", "deployment", **tune.training)


def go_on(visitor: Visitor, page: Page, step: str, following: str, **values: Any) -> Page:
    page = visitor.submit(page, f"/{step}/", **values)
    if not page.url.endswith(f"/{following}/"):
        choices = {name: found for form in page.forms for name, found in form.choices.items()}
        raise RuntimeError(f"The step {step} was refused ({choices}):\n{' '.join(page.text.split())}")
    return page


def choose_dataset(visitor: Visitor, page: Page, which: str, file: Path | None) -> Page:
    if file is None:
        return visitor.submit(page, "/training/", action=f"sample-{which}")
    return visitor.submit(page, "/training/", files={f"{which}-file": file}, action=f"upload-{which}")


def start(visitor: Visitor, review: Page, tune: Tune) -> str:
    """The job's id; answers as soon as the page of the job is there."""
    values: dict[str, Any] = {"accepts_licence": "on", "auto_deploy": "on", "endpoint_display_name": tune.name}
    if not tune.auto_deploy:
        del review.form("/start/").fields["auto_deploy"], values["auto_deploy"]
    page = visitor.submit(review, "/start/", **values)
    if "/tuning/jobs/" not in page.url:
        raise RuntimeError(f"Tuning did not start:\n{page.text}")
    return identity(page.url)


def job_page(job: str) -> str:
    return f"/tuning/jobs/{job}/"


def losses_of(visitor: Visitor, job: str) -> list[tuple[float, float]]:
    """(step, training loss) of every step that the console knows."""
    data: dict[str, Any] = visitor.client.get(f"{job_page(job)}metrics.json").raise_for_status().json()
    curves = [curve for group in data["groups"] for curve in group["series"] if curve["key"] == "train_total_loss"]
    return [(step, loss) for curve in curves for step, loss, _seconds in curve["points"]]


def badge(html: str, bar: str) -> str:
    """The words of the status in a bar of actions."""
    inside = html.partition(f'id="{bar}"')[2].partition('<span class="st')[2].partition(">")[2].partition("</span>")[0]
    return unescape(re.sub(r"<[^>]+>", "", inside)).strip()


def job_state(visitor: Visitor, job: str) -> str:
    return badge(visitor.get(job_page(job)).response.text, "job-bar")


def wait_for_state(visitor: Visitor, job: str, wanted: str, patience: float) -> None:
    until = time.monotonic() + patience
    while (state := job_state(visitor, job)) != wanted:
        if time.monotonic() > until or state in {"Succeeded", "Failed", "Cancelled"}:
            raise TimeoutError(f"The job is {state}, not {wanted}:\n{visitor.get(job_page(job)).text[-3000:]}")
        time.sleep(0.3)


def wait_for_step(visitor: Visitor, job: str, patience: float, steps: int = 1) -> None:
    until = time.monotonic() + patience
    while len(losses_of(visitor, job)) < steps:
        if time.monotonic() > until:
            seen = visitor.get(job_page(job)).text[-3000:]
            raise TimeoutError(f"Fewer than {steps} steps after {patience} s:\n{seen}")
        time.sleep(0.2)


def endpoint_of(visitor: Visitor, job: str, patience: float) -> str:
    until = time.monotonic() + patience
    while True:
        page = visitor.get(job_page(job))
        if found := ENDPOINT.search(" ".join(page.links)):
            return found[1]
        if time.monotonic() > until:
            raise TimeoutError(f"No endpoint on the page of the job:\n{page.text[-3000:]}")
        time.sleep(0.3)


def wait_until_ready(visitor: Visitor, endpoint: str, patience: float) -> None:
    until = time.monotonic() + patience
    while (state := endpoint_state(visitor, endpoint)) != "Ready":
        if time.monotonic() > until:
            raise TimeoutError(f"The endpoint is {state}:\n{visitor.get(f'/endpoints/{endpoint}/').text[-3000:]}")
        time.sleep(0.3)


def endpoint_state(visitor: Visitor, endpoint: str) -> str:
    return badge(visitor.get(f"/endpoints/{endpoint}/").response.text, "endpoint-bar")


def deploy_base(visitor: Visitor, model: str) -> str:
    """The endpoint's id."""
    owner, _, version = model.partition("/")
    family = version.partition("@")[0]
    page = visitor.get(f"/publishers/{owner}/model-garden/{family}/?variant={version.partition('@')[2]}&action=deploy")
    return identity(visitor.submit(page, "/deploy/", accepts_licence="on", display_name="Base").url)


@dataclass(frozen=True)
class Answer:
    """`first_token` in seconds after the question was sent; of an answer that came whole, until it was there."""

    text: str
    first_token: float
    conversation: str


def ask(visitor: Visitor, endpoint: str, question: str, stop_after: float = 0, picture: Path | None = None) -> Answer:
    """In a new chat. `stop_after` seconds of streaming it presses Stop: a pretrained model may go on for minutes."""
    page = visitor.get(f"/studio/chat/?endpoint={endpoint}")
    sent = time.monotonic()
    files = {"pictures": picture} if picture else None
    page = visitor.submit(page, "/studio/chat/", files=files, text=question, endpoint=endpoint)
    stream, first, stopped = frames_address(page), 0.0, False
    for event, data in visitor.events(stream) if stream else ():
        if event == "end":
            break
        if not first and "<hx-partial" in data:
            first = time.monotonic() - sent
        if first and stop_after and not stopped and time.monotonic() - sent > first + stop_after:
            visitor.submit(page, "/stop/")
            stopped = True
    html = visitor.client.get(f"/studio/chat/turns/{last_turn(page)}/").raise_for_status().text
    return Answer(answer_text(html), first or time.monotonic() - sent, identity(page.url))


def frames_address(page: Page) -> str:
    """Empty if the answer was complete before the page was drawn."""
    connected = [given.get("hx-sse:connect", "") for _, given in page.attributes]
    return next((address for address in connected if address.startswith("/streams/chat/")), "")


def last_turn(page: Page) -> str:
    return [given["id"] for _, given in page.attributes if given.get("id", "").startswith("turn-")][-1][5:]


def answer_text(html: str) -> str:
    inside = html.partition('<div class="md" hx-ignore>')[2].partition('<div class="turn-foot">')[0]
    return unescape(re.sub(r"<[^>]+>", "", inside)).strip()
