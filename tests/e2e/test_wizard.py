"""The five steps by the keyboard alone, and what a person would lose without being asked; axe looks at each state."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import SCREENSHOTS, Visit, new_page, remarks
from tests.support.misbehaving_server import bad_server, stall

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
SOON, LATER = 60_000, 120_000


@pytest.fixture
def person(visit: Visit, session: list[Any]) -> Visit:
    visit.context.add_cookies(session)
    return visit


def tab_to(page: Page, selector: str) -> None:
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"{selector} is not reached with Tab on {page.url}")


def write(page: Page, selector: str, text: str) -> None:
    tab_to(page, selector)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)


def arrived(visit: Visit, title: str, found: list[str]) -> None:
    heading = visit.page.locator("#wizard h2").first
    expect(heading).to_have_text(title)
    expect(heading).to_be_focused()
    found += remarks(visit)


def wait_for_models(visit: Visit) -> None:
    visit.open("/model-garden/")
    expect(visit.page.get_by_role("link", name="Gemma 3", exact=False).first).to_be_visible(timeout=SOON)


def choose_the_model(visit: Visit) -> None:
    """From the dashboard by the catalogue to the first step."""
    page = visit.page
    visit.open("/")
    page.keyboard.press("g")
    page.keyboard.press("m")
    expect(page.get_by_role("heading", level=1)).to_have_text("Model Garden")
    tab_to(page, ".tile[href*=gemma3]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gemma 3 270M", level=2)).to_be_visible()
    tab_to(page, "[href*='/tuning/new/']")
    page.keyboard.press("Enter")


def name_and_model(visit: Visit, name: str, found: list[str]) -> None:
    page = visit.page
    arrived(visit, "Name", found)
    write(page, "#id_labels", "team=support")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    expect(page.locator("#id_display_name")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(name)
    expect(page.locator("#name-preview")).to_contain_text("-".join(name.lower().split()))
    page.keyboard.press("Enter")
    arrived(visit, "Base model", found)


def data_and_epochs(visit: Visit, found: list[str]) -> None:
    page = visit.page
    arrived(visit, "Training", found)
    if page.locator("[name=dataset]").count():
        tab_to(page, "[name=dataset]")
        page.keyboard.press("Space")
    else:
        tab_to(page, "button[value=sample-train]")
        page.keyboard.press("Enter")
    expect(page.locator("#dataset-report")).to_contain_text("examples")
    write(page, "[name=epochs]", "1")
    page.keyboard.press("Enter")
    arrived(visit, "Deployment", found)


def start(visit: Visit, found: list[str], *, deploy: bool) -> None:
    page = visit.page
    if not deploy:
        tab_to(page, "[name=auto_deploy]")
        page.keyboard.press("Space")
    if page.locator("[name=accepts_licence]").count():
        tab_to(page, "[name=accepts_licence]")
        page.keyboard.press("Space")
    tab_to(page, "#job-code > summary")
    page.keyboard.press("Enter")
    expect(page.locator("#job-code")).to_contain_text("client.tunings.tune(")
    found += remarks(visit)
    visit.picture("wizard-code")
    tab_to(page, "#step-form .btn.filled")
    page.keyboard.press("Enter")
    expect(page.locator("#job-bar")).to_be_visible()


LISTEN = """() => { window.said = [];
  new MutationObserver(() => { const text = document.querySelector("#job-status [role=status]").textContent.trim();
    if (said.at(-1) !== text) said.push(text); })
    .observe(document.querySelector("#job-status"), { childList: true, subtree: true, characterData: true }); }"""


def ask_the_model(visit: Visit, found: list[str]) -> None:
    page = visit.page
    expect(page.locator("#job-bar").get_by_role("link", name="Test in chat")).to_be_visible(timeout=SOON)
    tab_to(page, "#job-bar a[href*='/studio/chat/']")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("New chat")
    expect(page.locator("#id_text")).to_be_focused()
    page.keyboard.type("Where are you?")
    # The box has the focus before the script that sends at Enter is there.
    page.wait_for_function("localStorage.getItem('draft-new') === 'Where are you?'")
    page.keyboard.press("Enter")
    expect(page.locator(".turn.model:not([aria-busy]) .md").first).not_to_be_empty(timeout=SOON)
    found += remarks(visit)


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True])
def test_a_job_by_the_keyboard_alone(person: Visit, again: bool) -> None:
    """`again`: and one that continues it."""
    page, found = person.page, list[str]()
    wait_for_models(person)
    choose_the_model(person)
    name_and_model(person, "First voyage", found)
    tab_to(page, "[name=base_model]")
    page.keyboard.press("Enter")
    arrived(person, "Output directory", found)
    tab_to(page, "button[value=check]")
    page.keyboard.press("Enter")
    expect(page.locator("#output-check")).to_contain_text("the folder is empty", timeout=SOON)
    tab_to(page, "#step-form .btn.filled")
    page.keyboard.press("Enter")
    data_and_epochs(person, found)
    start(person, found, deploy=not again)
    page.evaluate(LISTEN)
    expect(page.locator("#job-bar")).to_contain_text("Succeeded", timeout=LATER)
    page.wait_for_function("said.at(-1)?.includes('Succeeded')")
    found += remarks(person)
    said = [text.rpartition(": ")[2].partition(",")[0] for text in page.evaluate("said")]
    assert said[-1:] + said.count("Succeeded") * ["once"] == ["Succeeded", "once"]
    if again:
        continue_it(person, found)
    ask_the_model(person, found)
    assert (found, person.problems) == ([], [])


def continue_it(person: Visit, found: list[str]) -> None:
    page = person.page
    person.open("/tuning/new/")
    name_and_model(person, "Second voyage", found)
    tab_to(page, "[name=source]")
    page.keyboard.press("ArrowDown")
    tab_to(page, "#id_custom_base_model")
    page.keyboard.type("First voyage, checkpoint 1")
    found += remarks(person)
    person.picture("wizard-continue")
    tab_to(page, "#step-form .btn.filled")
    page.keyboard.press("Enter")
    arrived(person, "Output directory", found)
    tab_to(page, "#id_output_uri")
    page.keyboard.press("Enter")
    data_and_epochs(person, found)
    expect(page.locator("#summary")).to_contain_text(re.compile(r"Time\s*≈"))
    start(person, found, deploy=True)
    expect(page.locator("#job-bar")).to_contain_text("Succeeded", timeout=LATER)
    job = page.url
    page.goto(f"{job}details/")
    expect(page.locator("#job-figures")).to_contain_text("checkpoint-")
    page.goto(job)


def open_the_output_step(visit: Visit) -> None:
    page = visit.page
    wait_for_models(visit)
    visit.open("/tuning/new/")
    page.locator("#id_display_name").fill("Browsed")
    page.get_by_role("button", name="Continue").click()
    page.locator("[name=base_model]").first.check()
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#wizard h2").first).to_have_text("Output directory")


def test_a_folder_is_chosen_by_looking(person: Visit) -> None:
    page, found = person.page, list[str]()
    open_the_output_step(person)
    typed = page.locator("#id_output_uri").input_value()
    page.get_by_role("link", name="Browse").press("Enter")
    dialog = page.locator("#browse")
    expect(dialog.get_by_role("link", name="Refresh")).to_be_visible()
    expect(dialog.locator("#browser")).to_have_attribute("aria-busy", "false", timeout=SOON)
    found += remarks(person)
    person.picture("browse-folder")
    dialog.get_by_role("link", name="Buckets").click()
    expect(dialog.locator("[aria-current=location]")).to_have_text("Buckets")
    expect(dialog.locator("#browser")).to_have_attribute("aria-busy", "false", timeout=SOON)
    bucket = dialog.locator("tbody a").first
    name = bucket.inner_text(timeout=SOON)
    found += remarks(person)
    person.picture("browse-buckets")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator("#id_output_uri")).to_have_value(typed)
    page.get_by_role("link", name="Browse").click()
    dialog.get_by_role("link", name="Buckets").click()
    expect(dialog.locator("[aria-current=location]")).to_have_text("Buckets")
    bucket.click()
    expect(dialog.locator("[aria-current=location]")).to_have_text(name)
    dialog.get_by_label("New folder name").fill("a#b")
    dialog.get_by_role("button", name="Choose the new folder").click()
    expect(dialog.get_by_role("alert")).to_contain_text("can't contain any of")
    dialog.get_by_label("New folder name").fill("fresh/one")
    dialog.get_by_role("button", name="Choose the new folder").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("#id_output_uri")).to_have_value(f"gs://{name}/fresh/one")
    expect(page.locator("#id_output_uri")).to_be_focused()
    page.get_by_role("button", name="Check this folder").press("Enter")
    expect(page.locator("#output-check")).to_contain_text("the folder is empty", timeout=SOON)
    expect(page.get_by_role("button", name="Check this folder")).to_be_focused()
    refused = "the server responded with a status of 422 (Unprocessable Entity)"
    assert (found, [one for one in person.problems if not one.endswith(refused)]) == ([], [])


def test_what_is_corrected_is_no_longer_called_wrong(person: Visit) -> None:
    """Before the step is sent again."""
    page, box = person.page, person.page.locator("#step-form .errors")
    wait_for_models(person)
    person.open("/tuning/new/")
    page.locator("#id_display_name").fill("")
    page.locator("#id_labels").fill("Not a label")
    page.get_by_role("button", name="Continue").click()
    expect(box).to_contain_text("2 things need your attention")
    page.locator("#id_display_name").press_sequentially("Corrected")
    expect(page.locator(".err")).to_have_count(1)
    expect(box.locator("strong")).to_have_text("Still needs your attention")
    expect(box.locator("li")).to_have_count(1)
    expect(page.locator("#id_display_name")).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_display_name")).to_be_focused()
    found = remarks(person)
    person.picture("wizard-corrected")
    page.locator("#id_labels").fill("team=support")
    expect(box).to_have_count(0)
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#wizard h2").first).to_have_text("Base model")
    page.get_by_role("button", name="Continue").click()
    expect(box).to_contain_text("One thing needs your attention")
    page.locator("[name=base_model]").first.check()
    expect(page.locator(".err")).to_have_count(0)
    expect(box).to_have_count(0)
    expect(page.locator("#id_base_model")).not_to_have_attribute("aria-invalid", "true")
    refused = "the server responded with a status of 422 (Unprocessable Entity)"
    assert (found + remarks(person), [one for one in person.problems if not one.endswith(refused)]) == ([], [])


def test_a_folder_of_weights_is_chosen_in_the_panel(person: Visit) -> None:
    page = person.page
    wait_for_models(person)
    person.open("/model-garden/?action=deploy-weights")
    page.locator("#id_display_name").fill("Kept")
    page.get_by_role("link", name="Browse").click()
    dialog = page.locator("#browse")
    dialog.locator("tbody a").first.click(timeout=SOON)
    dialog.get_by_role("link", name="Choose this folder").click()
    expect(page.locator("#id_artifact_uri")).to_have_value(re.compile("^gs://"))
    expect(page.locator("#id_display_name")).to_have_value("Kept")
    assert person.problems == []


def test_a_folder_is_chosen_without_scripts(person: Visit, session: list[Any]) -> None:
    open_the_output_step(person)
    browser = person.context.browser
    assert browser
    plain = browser.new_context(java_script_enabled=False)
    plain.add_cookies(session)
    page = plain.new_page()
    page.goto(person.page.url)
    page.get_by_role("link", name="Browse").click()
    page.get_by_role("link", name="Buckets").click()
    for _ in range(40):
        if page.locator("tbody a").count():
            break
        page.wait_for_timeout(250)
        page.reload()
    page.locator("tbody a").first.click()
    page.get_by_label("New folder name").fill("plain")
    page.get_by_role("button", name="Choose the new folder").click()
    expect(page.locator("#id_output_uri")).to_have_value(re.compile("^gs://.*/plain$"))
    plain.close()


def expect_saved(page: Page) -> None:
    """Once what was typed has been sent and answered for."""
    expect(page.locator("#kept [role=status]")).to_have_text("Saved")


def open_until(page: Page, address: str, description: str) -> None:
    """What a page sends as it goes may arrive after the next page was asked for."""
    for _ in range(20):
        page.goto(address)
        if page.locator("#id_description").input_value() == description:
            return
        page.wait_for_timeout(250)
    expect(page.locator("#id_description")).to_have_value(description)


def test_what_is_typed_survives_a_lost_page_two_devices_and_a_lost_line(person: Visit) -> None:
    page, asked = person.page, list[str]()
    person.open("/tuning/new/")
    page.locator("#id_display_name").fill("")
    page.locator("#id_display_name").press_sequentially("Not sent")
    expect_saved(page)
    person.picture("wizard-saved")
    found, address = remarks(person), page.url
    page.locator("#id_description").fill("Gone in a moment")
    page.goto("about:blank")
    phone, laptop = new_page(person.context), new_page(person.context)
    phone.on("dialog", lambda dialog: asked.append(dialog.type))
    phone.on("dialog", lambda dialog: dialog.dismiss())
    open_until(phone, address, "Gone in a moment")
    laptop.goto(address)
    expect(phone.locator("#id_display_name")).to_have_value("Not sent")
    choose_between(phone, laptop, found)
    lose_the_line(phone)
    sign_in_elsewhere(phone)
    phone.locator("#id_labels").press_sequentially("r")
    phone.get_by_role("link", name="Drafts").click()
    phone.get_by_role("link", name="From the phone").click()
    expect(phone.locator("#id_labels")).to_have_value("team=later")
    expect(phone.locator("#id_description")).to_have_value("Only here")
    assert (found, asked, person.problems) == ([], ["beforeunload"], [])


def test_what_is_being_kept_is_given_up_once_the_step_is_sent(person: Visit) -> None:
    """It comes after the start of the job, to a draft that is gone, and is answered before the page is left."""
    page, kept = person.page, list[Route]()

    def answer_late(route: Route) -> None:
        if route.request.method == "POST":
            kept[0].fulfill(status=409, body="Gone")
        route.continue_()

    open_the_output_step(person)
    page.route("**/output/", answer_late)
    page.route("**/keep/", lambda route: kept.append(route))
    with page.expect_request("**/keep/"):
        page.locator("[name=output_uri]").fill("gs://garden-local/elsewhere")
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("#wizard h2").first).to_have_text("Training")
    assert person.problems == []


def test_an_answer_that_stops_in_the_middle_is_given_up_with_it(person: Visit) -> None:
    page = person.page
    open_the_output_step(person)
    with bad_server(stall) as server:
        page.route("**/keep/", lambda route: route.continue_(url=f"{server.address}/keep/"))
        with page.expect_response("**/keep/"):
            page.locator("[name=output_uri]").fill("gs://garden-local/elsewhere")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("#wizard h2").first).to_have_text("Training")
    assert person.problems == []


def choose_between(phone: Page, laptop: Page, found: list[str]) -> None:
    phone.locator("#id_display_name").fill("From the phone")
    expect_saved(phone)
    laptop.locator("#id_description").fill("Only here")
    expect_saved(laptop)
    laptop.locator("#id_display_name").fill("From the laptop")
    conflict = laptop.get_by_role("group", name="Tuned model name")
    expect(conflict).to_contain_text("There: From the phone. Here: From the laptop.")
    found += remarks(laptop)
    laptop.screenshot(path=SCREENSHOTS / "wizard-conflict.png")
    conflict.get_by_role("button", name="Use the value there").press("Enter")
    expect(conflict).to_have_count(0)
    expect(laptop.locator("#id_display_name")).to_be_focused()
    expect(laptop.locator("#id_display_name")).to_have_value("From the phone")
    expect_saved(laptop)


def lose_the_line(page: Page) -> None:
    page.context.set_offline(True)
    page.locator("#id_labels").fill("team=line")
    expect(page.locator("#kept [role=status]")).to_have_text(
        "Not saved yet: the console could not be reached, or could not save. Trying again."
    )
    page.get_by_role("link", name="Drafts").click()
    expect(page.locator("#id_labels")).to_have_value("team=line")
    page.context.set_offline(False)
    expect_saved(page)


def sign_in_elsewhere(page: Page) -> None:
    """Which gives the browser another token for its forms."""
    cookies = page.context.cookies()
    page.context.clear_cookies()
    page.locator("#id_labels").fill("team=late")
    expect(page.locator("#kept [role=status]")).to_contain_text("Not saved: you are signed out.")
    fresh = [{**cookie, "value": "a" * 32} if "csrftoken" in cookie["name"] else cookie for cookie in cookies]
    page.context.add_cookies(fresh)  # type: ignore[arg-type]
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect_saved(page)
