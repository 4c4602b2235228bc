import base64
import io
import json

import pytest

from jobs.services.chat import export
from jobs.services.datasets import datasets
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def talk(db):
    return factories.conversation(title="The sea")


def say(talk, question, answer, **values):
    asked = factories.message(conversation=talk, content=question)
    factories.message(conversation=talk, role="assistant", content=answer, answered_by="Base (gemma)", **values)
    return asked


def test_markdown_is_for_reading(talk):
    talk.system_instruction = "Be short."
    factories.picture(message=say(talk, "Why?", "*So.*"), alt="A wave")
    say(talk, "And?", "", state="FAILED", error_message="Down.")
    assert export.markdown(talk) == (
        "# The sea\n\n## System instructions\n\nBe short.\n\n## You\n\n[Image: A wave]\n\nWhy?\n\n"
        "## Base (gemma)\n\n*So.*\n\n## You\n\nAnd?\n\n## Base (gemma)\n\n> Down.\n"
    )


def test_json_holds_the_whole_tree(talk):
    first = say(talk, "Why?", "So.", usage={"prompt_tokens": 3})
    talk.head = first
    other = factories.message(conversation=talk, role="assistant", content="Or so.")
    document = json.loads(json.dumps(export.document(talk)))
    assert (document["schema"], document["version"]) == ("garden-console/conversation", 1)
    assert document["head"] == str(other.pk)
    assert [(row["parent"], row["content"]) for row in document["messages"]] == [
        (None, "Why?"), (str(first.pk), "So."), (str(first.pk), "Or so."),
    ]  # fmt: skip
    assert (document["messages"][1]["usage"], "usage" in document["messages"][0]) == ({"prompt_tokens": 3}, False)


@pytest.mark.parametrize("with_bytes", [True, False])
def test_json_takes_pictures_along_if_that_is_wanted(talk, with_bytes):
    factories.picture(message=say(talk, "What?", "A pixel."))
    picture = export.document(talk, pictures=with_bytes)["messages"][0]["pictures"][0]
    data = "data:image/png;base64," + base64.b64encode(factories.png()).decode()
    assert (picture["name"], picture.get("data")) == ("red.png", data if with_bytes else None)


def test_a_picture_without_its_file_is_exported_without_bytes(talk):
    picture = factories.picture(message=say(talk, "What?", "A pixel."), content=b"gone")
    path_of(picture).unlink()
    exported = export.document(talk, pictures=True)["messages"][0]["pictures"][0]
    assert (exported["data"], exported["problem"]) == (None, "The file of the image red.png no longer exists.")


def test_training_rows_can_be_uploaded(talk):
    talk.system_instruction = 'Be "short".'
    for number in range(3):
        say(talk, f"Question {number}?\n", f"Answer – {number}")
    content = export.json_lines(talk)
    dataset = datasets.create(factories.owner(), file=io.BytesIO(content.encode()), file_name="chat.jsonl")
    assert (dataset.format, dataset.valid_rows, dataset.problems) == ("messages", 3, [])


def test_each_answer_is_a_row_with_what_was_said_before(talk):
    say(talk, "One?", "1")
    say(talk, "Two?", "2")
    rows = [[turn["content"] for turn in row["messages"]] for row in export.training_rows(talk)]
    assert rows == [["One?", "1"], ["One?", "1", "Two?", "2"]]


def test_what_has_no_answer_is_no_row(talk):
    say(talk, "One?", "", state="FAILED")
    say(talk, "Two?", "half", state="STOPPED")
    factories.message(conversation=talk, content="Three?")
    rows = [[turn["content"] for turn in row["messages"]] for row in export.training_rows(talk)]
    assert rows == [["Two?", "half"]]


def test_rows_end_before_a_picture(talk):
    say(talk, "One?", "1")
    factories.picture(message=say(talk, "What?", "A pixel."))
    say(talk, "Two?", "2")
    assert len(list(export.training_rows(talk))) == 1


def test_a_file_too_large_to_upload_is_cut(talk):
    for _ in range(5):
        say(talk, "One?", "1")
    assert (export.json_lines(talk).count("\n"), export.json_lines(talk, largest=300).count("\n")) == (5, 2)
