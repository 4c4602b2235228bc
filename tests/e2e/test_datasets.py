"""Datasets in a browser: sent with progress, converted, split and read row by row."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Visit, remarks

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(120), pytest.mark.usefixtures("signed_in")]
TALKS = [
    {"conversations": [{"from": "human", "value": f"Question {n}?"}, {"from": "gpt", "value": f"Answer {n}. " * n}]}
    for n in range(1, 41)
]
HALF_SENT = """() => {
  const bar = document.querySelector("[data-upload-target=bar]").value;
  const told = document.querySelector("[data-upload-target=told]").textContent;
  return bar > 0 && bar < 100 && told.includes("MB of 5.9 MB");
}"""
BAD = {"conversations": [{"from": "human", "value": "Hi"}, {"from": "tool", "value": "42"}]}


@pytest.fixture
def signed_in(visit: Visit, session: list[Any]) -> None:
    visit.context.add_cookies(session)


def send(visit: Visit, folder: Path, name: str, content: str) -> None:
    file = folder / name
    file.write_text(content, encoding="utf-8")
    visit.open("/datasets/")
    visit.page.locator('#upload-form input[type="file"]').set_input_files(file)
    visit.page.get_by_role("button", name="Upload and check").click()
    visit.page.wait_for_url("**/datasets/*-*/")


def looked_at(visit: Visit, name: str) -> list[str]:
    visit.picture(f"datasets-{name}")
    return remarks(visit)


def unexpected(visit: Visit) -> list[str]:
    """A refused form is answered with 422, which the browser reports by itself."""
    return [problem for problem in visit.problems if "422" not in problem]


def test_sharegpt_is_converted_and_split(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    send(visit, tmp_path, "talks.json", json.dumps([*TALKS, BAD]))
    assert "40 of 41 rows can be converted." in page.locator(".report").inner_text()
    found = looked_at(visit, "sharegpt")
    page.get_by_role("button", name="Convert").click()
    page.locator("#convert-form .errors").wait_for()
    found += remarks(visit)
    page.get_by_label("Leave out rows").check()
    page.get_by_role("button", name="Convert").click()
    page.get_by_role("heading", name="talks (converted)").wait_for()
    found += looked_at(visit, "report")
    page.get_by_role("button", name="Split").click()
    page.get_by_role("heading", name="talks (converted) (train)").wait_for()
    assert "36 examples" in page.locator(".report").inner_text()
    assert (found, unexpected(visit)) == ([], [])


def test_columns_of_a_table_are_tried_before_they_are_used(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    send(visit, tmp_path, "faq.csv", 'frage;antwort;ton\n"Was?";"Das; hier";"Kurz"\nWo?;Dort;\n')
    page.get_by_label("System instruction").select_option(label="3: ton")
    page.locator("#tried .turn.system").wait_for()
    assert page.locator("#tried .turn.system").inner_text().split()[-1] == "Kurz"
    found = looked_at(visit, "table")
    page.get_by_role("button", name="Convert").click()
    page.get_by_role("heading", name="faq (converted)").wait_for()
    assert (found, unexpected(visit)) == ([], [])


def test_problems_lead_to_their_rows(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    rows = [json.dumps({"prompt": f"Question {n}?", "completion": "Long. " * 300}) for n in range(1, 31)]
    send(visit, tmp_path, "rows.jsonl", "\n".join([*rows[:20], '{"prompt": "x"}', *rows[20:]]))
    found = looked_at(visit, "problems")
    page.locator(".report td, .report th").get_by_role("link", name="21").click()
    expect(page.locator("#row-21")).to_contain_text("The field is missing.")
    found += looked_at(visit, "rows")
    page.get_by_label("Containing text").fill("question 30?")
    page.get_by_label("From row").fill("1")
    page.keyboard.press("Enter")
    page.locator("#row-31").wait_for()
    expect(page.locator("article.card")).to_have_count(1)
    page.get_by_role("link", name="Versions").click()
    found += looked_at(visit, "versions")
    visit.open("/datasets/")
    found += looked_at(visit, "list")
    assert (found, unexpected(visit)) == ([], [])


def test_how_much_was_sent_is_shown(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    visit.open("/datasets/")
    network = visit.context.new_cdp_session(page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4_000_000}
    network.send("Network.emulateNetworkConditions", slow)
    file = tmp_path / "many.jsonl"
    file.write_text('{"prompt": "Question?", "completion": "Answer."}\n' * 120_000)
    page.locator('#upload-form input[type="file"]').set_input_files(file)
    page.get_by_role("button", name="Upload and check").click()
    page.wait_for_function(HALF_SENT)
    page.wait_for_url("**/datasets/*-*/")
    assert "120000 examples" in page.locator(".report").inner_text()
    assert visit.problems == []


def test_rows_are_edited_by_keyboard_and_become_a_version(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    rows = [{"prompt": f"Is {name} a ship that sails today?", "completion": "Aye."} for name in ("a", "A", "b", "c")]
    send(visit, tmp_path, "ships.jsonl", "\n".join([*map(json.dumps, rows), '{"prompt": "x"}']))
    page.get_by_role("link", name="Rows", exact=True).click()
    page.get_by_role("link", name="Edit row 3").press("Enter")
    found = looked_at(visit, "row-edit")
    answer = page.get_by_label("Text completion")
    answer.fill(" ")
    page.get_by_role("button", name="Save the row").press("Enter")
    expect(page.locator(".errors")).to_contain_text("completion: The text is empty.")
    found += looked_at(visit, "row-refused")
    answer.fill("No,\nnot today.")
    page.get_by_role("button", name="Save the row").press("Enter")
    expect(page.locator("#row-3")).to_contain_text("Changed, not saved yet")
    page.get_by_role("button", name="Delete, row 4").press("Enter")
    expect(page.locator("#row-4")).to_contain_text("Deleted, not saved yet")
    found += looked_at(visit, "rows-edited")
    page.get_by_role("link", name="Review and save").press("Enter")
    found += looked_at(visit, "edits")
    page.get_by_role("button", name="Save as new version").press("Enter")
    page.get_by_role("heading", name="Version 2, compared with version 1").wait_for()
    found += looked_at(visit, "changes")
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Leave out 1 row with a problem").press("Enter")
    page.get_by_role("heading", name="Version 3, compared with version 2").wait_for()
    page.get_by_role("link", name="Duplicates").click()
    page.get_by_role("button", name="Find duplicates").press("Enter")
    page.get_by_label("Keep row 2").check()
    expect(page.locator("#remove")).to_contain_text("1 row is left out with these choices.")
    found += looked_at(visit, "duplicates")
    page.get_by_role("button", name="Create a version without them").press("Enter")
    page.get_by_role("heading", name="Version 4, compared with version 3").wait_for()
    page.get_by_role("link", name="Rows", exact=True).click()
    expect(page.locator("article.card")).to_have_count(2)
    assert (found, unexpected(visit)) == ([], [])
