import html
import io
import json
import re
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.models import Dataset, DatasetWork, RowEdit
from jobs.services.datasets import datasets
from jobs.services.datasets.edits import pending, works
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
TALK: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Ahoy?"}, {"role": "assistant", "content": "Aye"}],
    "id": 7,
}
HOSTILE = '<img src=x onerror=alert(1)>"\u202e{{ 7*7 }}'
PNG = "data:image/png;base64,iVBORw0KGgo="


@pytest.fixture
def signed_in(client, owner):
    client.force_login(owner)
    return client


def create(owner, *rows, name="Questions"):
    content = b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
    return datasets.create(owner, file=io.BytesIO(content), file_name="q.jsonl", name=name)


def url(name, dataset, *args):
    return reverse(name, args=[dataset.pk, *args])


def fields(response):
    """What a browser would send back of the form as it is."""
    text = response.content.decode().split('enctype="multipart/form-data"')[1].split("</form>")[0]
    found = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', text))
    found |= dict(re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>\n(.*?)</textarea>', text, re.S))
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', text, re.S):
        found[name] = re.search(r'value="([^"]*)" selected', options)[1]
    return {name: html.unescape(value) for name, value in found.items()}


def save(client, dataset):
    return client.post(url("dataset-edits-save", dataset), {"latest": str(dataset.pk)})


def test_a_row_is_edited_and_saved_as_a_new_version(signed_in, owner):
    dataset = create(owner, TALK, TALK | {"id": 8})
    edit = url("dataset-row-edit", dataset, 2)
    sent = fields(signed_in.get(edit))
    assert sent["messages[1].content"] == "Aye"
    answer = signed_in.post(edit, sent | {"messages[1].content": "Aye,\r\ncaptain", "do": "save"})
    assert (answer.status_code, answer["Location"]) == (303, f"/datasets/{dataset.pk}/rows/?row=2#row-2")
    page = signed_in.get(url("dataset-rows", dataset)).content.decode()
    assert ("Changed, not saved yet" in page, "1 row of this version has an unsaved change." in page) == (True, True)
    made = Dataset.objects.get(pk=save(signed_in, dataset)["Location"].split("/")[2])
    changed = json.loads(path_of(made).read_text().splitlines()[1])
    assert (made.version, changed) == (
        2, {"messages": [TALK["messages"][0], {"role": "assistant", "content": "Aye,\ncaptain"}], "id": 8}
    )  # fmt: skip
    shown = signed_in.get(url("dataset-changes", made)).content.decode()
    assert ("Version 2, compared with version 1" in shown, "captain" in shown) == (True, True)


def test_what_was_typed_is_kept_beside_the_error_of_its_field(signed_in, owner):
    dataset = create(owner, TALK)
    edit = url("dataset-row-edit", dataset, 1)
    sent = fields(signed_in.get(edit))
    answer = signed_in.post(edit, sent | {"messages[0].content": HOSTILE, "messages[1].content": " ", "do": "save"})
    page = answer.content.decode()
    assert (answer.status_code, fields(answer)["messages[0].content"], "<img src=x" in page) == (422, HOSTILE, False)
    assert "<code>messages[1].content</code>: The text is empty." in page
    assert 'id="messages[1].content-problems"' in page
    assert RowEdit.objects.count() == 0


def test_turns_are_added_before_the_row_is_saved(signed_in, owner):
    dataset = create(owner, TALK)
    edit = url("dataset-row-edit", dataset, 1)
    sent = fields(signed_in.get(edit)) | {"messages[1].content": "Typed"}
    for change in ("add-system", "add-turn", "add-turn", "add-turn", "drop-turn"):
        sent = fields(signed_in.post(edit, sent | {"do": change}))
    sent |= {"messages[0].content": "Short.", "messages[3].content": "Who?", "messages[4].content": "Me"}
    assert signed_in.post(edit, sent | {"do": "save"}).status_code == 303
    row = json.loads(RowEdit.objects.get().text)
    said = [(one["role"], one["content"]) for one in row["messages"]]
    assert said == [
        ("system", "Short."), ("user", "Ahoy?"), ("assistant", "Typed"), ("user", "Who?"), ("assistant", "Me")
    ]  # fmt: skip
    assert row["id"] == 7


def test_json_keeps_what_the_form_had_and_comes_back_to_it(signed_in, owner):
    dataset = create(owner, TALK)
    edit = url("dataset-row-edit", dataset, 1)
    sent = fields(signed_in.get(edit)) | {"messages[1].content": "Typed"}
    as_json = fields(signed_in.post(edit, sent | {"do": "as-json"}))
    assert json.loads(as_json["json"])["messages"][1]["content"] == "Typed"
    wrong = signed_in.post(edit, as_json | {"json": '{"messages": [', "do": "save"})
    assert (wrong.status_code, fields(wrong)["json"]) == (422, '{"messages": [')
    assert "The line is not JSON" in wrong.content.decode()
    back = fields(signed_in.post(edit, as_json | {"json": as_json["json"].replace("Typed", "Other"), "do": "as-form"}))
    assert back["messages[1].content"] == "Other"
    assert signed_in.post(edit, back | {"do": "save"}).status_code == 303
    assert json.loads(RowEdit.objects.get().text)["messages"][1]["content"] == "Other"


def test_a_conflict_keeps_what_was_typed_and_shows_the_row_as_it_is(signed_in, owner):
    dataset = create(owner, TALK)
    edit = url("dataset-row-edit", dataset, 1)
    sent = fields(signed_in.get(edit))
    assert signed_in.post(edit, sent | {"messages[1].content": "First tab"}).status_code == 303
    late = signed_in.post(edit, sent | {"messages[1].content": "Second tab"})
    page = late.content.decode()
    assert (late.status_code, fields(late)["messages[1].content"], "First tab" in page) == (409, "Second tab", True)
    assert signed_in.post(edit, fields(late)).status_code == 303
    assert "Second tab" in RowEdit.objects.get().text


def test_turns_that_another_tab_took_away_are_not_lost(signed_in, owner):
    row = {"messages": TALK["messages"] * 2}
    dataset = create(owner, row)
    edit = url("dataset-row-edit", dataset, 1)
    sent = fields(signed_in.get(edit)) | {"messages[3].content": "Typed for long"}
    shorter = json.dumps(TALK).encode()
    pending.change(dataset, 1, shorter, pending.fingerprint(json.dumps(row).encode()))
    assert fields(signed_in.post(edit, sent))["messages[3].content"] == "Typed for long"


def test_what_was_typed_outlives_the_row_that_another_tab_took_away(signed_in, owner):
    dataset = create(owner, TALK)
    edit = url("dataset-row-edit", dataset, 1)
    sent = fields(signed_in.get(edit)) | {"messages[1].content": "Typed"}
    pending.delete(dataset, 1)
    late = signed_in.post(edit, sent)
    assert (late.status_code, fields(late)["messages[1].content"]) == (409, "Typed")
    assert "Deleted, not saved yet" in late.content.decode()
    assert (signed_in.post(edit, fields(late)).status_code, "Typed" in RowEdit.objects.get().text) == (303, True)
    added = url("dataset-row-added", dataset, pending.add(dataset, json.dumps(TALK).encode()).pk)
    sent = fields(signed_in.get(added)) | {"messages[1].content": "Also typed"}
    pending.discard(dataset)
    late = signed_in.post(added, sent)
    assert (late.status_code, f'action="{url("dataset-row-new", dataset)}"' in late.content.decode()) == (409, True)
    assert signed_in.post(url("dataset-row-new", dataset), fields(late)).status_code == 303
    assert "Also typed" in RowEdit.objects.get().text


def test_a_row_is_added_edited_deleted_and_undone(signed_in, owner):
    dataset = create(owner, {"prompt": "a", "completion": "b"})
    new = url("dataset-row-new", dataset)
    assert signed_in.post(new, fields(signed_in.get(new)) | {"prompt": "New", "completion": "Row"}).status_code == 303
    edit = RowEdit.objects.get()
    added = url("dataset-row-added", dataset, edit.pk)
    assert signed_in.post(added, fields(signed_in.get(added)) | {"completion": "Better"}).status_code == 303
    signed_in.post(url("dataset-row-delete", dataset, 1), {"next": "https://evil.example/"})
    listed = signed_in.get(url("dataset-edits", dataset)).content.decode()
    assert "Changed: 0. Added: 1. Deleted: 1." in listed
    assert signed_in.get(url("dataset-row-edit", dataset, 1)).status_code == 302
    signed_in.post(url("dataset-edit-undo", dataset, RowEdit.objects.get(line=1).pk))
    assert (pending.count(dataset), "Better" in listed) == (pending.Counts(added=1), True)
    signed_in.post(url("dataset-edits-discard", dataset))
    assert RowEdit.objects.count() == 0


def test_images_are_shown_and_stay_when_texts_are_edited(signed_in, owner):
    parts = [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PNG}}]
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "A ship"}]}
    dataset = create(owner, row)
    edit = url("dataset-row-edit", dataset, 1)
    opened = signed_in.get(edit)
    assert f'src="{PNG}"' in opened.content.decode()
    assert signed_in.post(edit, fields(opened) | {"messages[1].content": "A boat"}).status_code == 303
    made = Dataset.objects.get(pk=save(signed_in, dataset)["Location"].split("/")[-3])
    assert (made.version, made.image_count, made.is_usable) == (2, 1, True)


def test_a_version_that_came_meanwhile_is_said_and_can_be_passed_over(signed_in, owner):
    dataset = create(owner, TALK)
    signed_in.post(url("dataset-row-delete", dataset, 1))
    pending.add(dataset, json.dumps(TALK).encode())
    create(owner, TALK, TALK)
    refused = save(signed_in, dataset)
    page = refused.content.decode()
    assert (refused.status_code, "Version 2 was added after you opened this page." in page) == (409, True)
    latest = re.search(r'name="latest" value="([^"]+)"', page)[1]
    assert signed_in.post(url("dataset-edits-save", dataset), {"latest": latest}).status_code == 303
    assert Dataset.objects.get(is_latest=True).version == 3


def test_bad_rows_are_listed_and_left_out(signed_in, owner):
    dataset = create(owner, TALK, b"not json", TALK | {"id": 2}, b'{"prompt": "x"}')
    page = signed_in.get(url("dataset-rows", dataset), {"bad": "1"})
    assert [row.row.line for row in page.context["rows"]] == [2, 4]
    assert "Leave out 2 rows with problems" in page.content.decode()
    answer = signed_in.post(url("dataset-bad-rows", dataset), {"latest": str(dataset.pk)})
    made = Dataset.objects.get(is_latest=True)
    assert (answer["Location"], made.valid_rows, made.invalid_rows) == (f"/datasets/{made.pk}/changes/", 2, 0)
    assert signed_in.get(answer["Location"]).context["work"].result["removed"] == [2, 4]


def test_unsaved_changes_are_saved_or_discarded_before_rows_are_left_out(signed_in, owner):
    dataset = create(owner, TALK, b"not json")
    signed_in.post(url("dataset-row-delete", dataset, 1))
    refused = signed_in.post(url("dataset-bad-rows", dataset), {"latest": str(dataset.pk)})
    assert (refused.status_code, "You have unsaved changes" in refused.content.decode()) == (409, True)


def test_duplicates_are_found_chosen_and_left_out(signed_in, owner):
    rows = [{"prompt": f"Is {name} a ship?", "completion": HOSTILE} for name in ("the Maria", "THE MARIA", "a gull")]
    dataset = create(owner, *rows)
    search = url("dataset-duplicates", dataset)
    assert "Equal rows only" in signed_in.get(search).content.decode()
    assert signed_in.post(search, {"similarity": "81"}).status_code == 422
    assert signed_in.post(search, {"similarity": "0"})["Location"] == search
    page = signed_in.get(search)
    text = page.content.decode()
    assert ("3 rows were compared." in text, page.context["extra"], "<img src=x" in text) == (True, 1, False)
    signed_in.post(search, {"keep-0": "2", "page": "1"})
    told = signed_in.post(search, {"keep-0": "0"}, headers={"HX-Request": "true"}).content.decode()
    assert ("0 rows are left out" in told, "<html" in told) == (True, False)
    assert signed_in.post(search, {"keep-0": "3"}).status_code == 409
    made = signed_in.post(
        url("dataset-duplicates-remove", dataset), {"keep-0": "2", "keep-x": "1", "latest": str(dataset.pk)}
    )
    kept = path_of(Dataset.objects.get(pk=made["Location"].split("/")[2])).read_text()
    assert [json.loads(line)["prompt"] for line in kept.splitlines()] == [rows[1]["prompt"], rows[2]["prompt"]]


def test_a_large_file_is_left_to_the_worker_which_tells_how_far_it_is(signed_in, owner):
    dataset = create(owner, TALK, TALK)
    Dataset.objects.filter(pk=dataset.pk).update(byte_size=40_000_000)
    answer = signed_in.post(url("dataset-duplicates", dataset), {"similarity": "80"})
    assert answer["Location"] == url("dataset-work", dataset, "search")
    assert "Waiting for the worker" in signed_in.get(answer["Location"]).content.decode()
    DatasetWork.objects.update(done_bytes=10_000_000)
    assert 'value="25"' in signed_in.get(answer["Location"], headers={"HX-Request": "true"}).content.decode()
    [pk] = works.due(timezone.now())
    works.advance(pk, timezone.now())
    done = signed_in.get(answer["Location"], headers={"HX-Request": "true"})
    assert done["HX-Redirect"] == url("dataset-duplicates", dataset)


def test_a_dataset_without_a_version_before_has_no_changes_page(signed_in, owner):
    assert signed_in.get(url("dataset-changes", create(owner, TALK))).status_code == 404


@pytest.mark.threat("T1")
def test_nobody_else_sees_or_saves_edits(client, signed_in, owner):
    dataset = create(owner, TALK)
    pending.add(dataset, json.dumps(TALK).encode())
    client.force_login(factories.stranger())
    statuses = [client.get(url("dataset-edits", dataset)).status_code, save(client, dataset).status_code]
    assert (statuses, RowEdit.objects.count()) == ([404, 404], 1)
