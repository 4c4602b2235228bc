import io
import json
from uuid import uuid4

import pytest

from jobs import errors
from jobs.models import Dataset
from jobs.services.chat import tree
from jobs.services.comparisons import rows as comparison_rows
from jobs.services.datasets import datasets
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]}
MESSAGES = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
PROMPT = {"prompt": "a", "completion": "b"}


def answer(rounds=1, **values):
    talk = factories.conversation(comparison=factories.comparison(), **values)
    for number in range(rounds):
        factories.message(conversation=talk, content=f"Question {number}")
        last = factories.message(conversation=talk, role="assistant", content=f"Answer {number}")
    return last


def rows(dataset):
    return [json.loads(line) for line in path_of(dataset).read_text().splitlines()]


def add(message, **values):
    return comparison_rows.add(message, **{"key": uuid4(), "text": message.content} | values)


def made(owner, *content):
    text = "".join(json.dumps(row) + "\n" for row in content).encode()
    return datasets.create(owner, file=io.BytesIO(text), file_name="rows.jsonl", name="Rows")


def test_an_edited_answer_is_the_first_row_of_a_new_dataset(owner):
    dataset = add(answer(system_instruction="Be brief."), text=" Better. ", name="Compared")
    turns = [("system", "Be brief."), ("user", "Question 0"), ("assistant", "Better.")]
    assert rows(dataset) == [{"messages": [{"role": role, "content": text} for role, text in turns]}]
    assert (dataset.name, dataset.version, dataset.is_usable, dataset.valid_rows) == ("Compared", 1, True, 1)


def test_what_was_said_before_is_part_of_the_row(owner):
    dataset = add(answer(rounds=3), name="Compared")
    said = [turn["content"] for turn in rows(dataset)[0]["messages"]]
    assert said == ["Question 0", "Answer 0", "Question 1", "Answer 1", "Question 2", "Answer 2"]


@pytest.mark.parametrize(
    ("row", "added"),
    [
        (PROMPT, {"prompt": "Question 0", "completion": "Answer 0"}),
        (
            MESSAGES,
            {"messages": [{"role": "user", "content": "Question 0"}, {"role": "assistant", "content": "Answer 0"}]},
        ),
        (
            CONTENTS,
            {
                "contents": [
                    {"role": "user", "parts": [{"text": "Question 0"}]},
                    {"role": "model", "parts": [{"text": "Answer 0"}]},
                ]
            },
        ),
    ],
)
def test_a_dataset_gets_a_version_with_a_row_more_in_its_own_format(owner, row, added):
    base = made(owner, row)
    dataset = add(answer(), dataset=base)
    assert rows(dataset) == [row, added]
    assert (dataset.family, dataset.version, dataset.format, dataset.made_from) == (base.family, 2, base.format, base)
    assert (dataset.changes, dataset.is_latest) == ({"added": 1, "removed": 0, "same": 1}, True)


def test_system_instructions_have_a_place_in_gemini_contents(owner):
    dataset = add(answer(system_instruction="Be brief."), dataset=made(owner, CONTENTS))
    assert rows(dataset)[1]["systemInstruction"] == {"role": "system", "parts": [{"text": "Be brief."}]}


@pytest.mark.parametrize("values", [{"rounds": 2}, {"system_instruction": "Be brief."}])
def test_what_does_not_fit_into_a_prompt_and_a_completion_is_refused(owner, values):
    with pytest.raises(errors.NotAllowedNow, match="a prompt and a completion"):
        add(answer(**values), dataset=made(owner, PROMPT))


def test_two_clicks_add_one_row(owner):
    base, message, key = made(owner, PROMPT), answer(), uuid4()
    assert add(message, key=key, dataset=base) == add(message, key=key, dataset=base)
    first = add(message, key=uuid4(), name="New")
    assert (Dataset.objects.filter(owner=owner).count(), first.version) == (3, 1)


def test_two_clicks_make_one_new_dataset(owner):
    message, key = answer(), uuid4()
    assert add(message, key=key, name="New") == add(message, key=key, name="New")


def test_a_row_that_is_there_already_is_not_added_again(owner):
    message = answer()
    dataset = add(message, dataset=made(owner, PROMPT))
    assert add(message, dataset=dataset) == dataset


def test_rows_go_into_the_latest_version(owner):
    base = made(owner, PROMPT)
    add(answer(), dataset=base)
    dataset = add(answer(), text="Another", dataset=base)
    assert (dataset.version, len(rows(dataset))) == (3, 3)


def test_the_name_of_another_dataset_is_refused(owner):
    made(owner, PROMPT)
    with pytest.raises(errors.NotAllowedNow, match="already have a dataset"):
        add(answer(), name="Rows")


def test_a_dataset_with_problems_takes_no_row(owner):
    with pytest.raises(errors.NotAllowedNow, match="without problems"):
        add(answer(), dataset=made(owner, PROMPT, {"prompt": ""}))


def test_an_answer_that_teaches_nothing_is_refused(owner):
    with pytest.raises(errors.NotAllowedNow, match="Enter the answer"):
        add(answer(), text=" \x00\n", name="New")


def test_a_conversation_with_pictures_is_refused(owner):
    message = answer()
    factories.picture(message=message.parent)
    with pytest.raises(errors.NotAllowedNow, match="has images"):
        add(message, name="New")


def test_an_answer_that_is_still_written_is_refused(owner):
    message = answer()
    message.state = "STREAMING"
    message.save()
    with pytest.raises(errors.NotAllowedNow, match="still answering"):
        add(message, name="New")


def test_another_version_of_the_answer_is_another_row(owner):
    first = answer()
    second = factories.message(conversation=first.conversation, role="assistant", content="Other", parent=first.parent)
    tree.show(first)
    dataset = add(second, name="New")
    assert rows(dataset)[0]["messages"][-1]["content"] == "Other"


def test_it_is_known_which_answers_became_rows(owner):
    first, second = answer(), answer()
    dataset = add(first, name="New")
    assert comparison_rows.datasets_by_answer([first.pk, second.pk], owner) == {str(first.pk): dataset}
    assert (comparison_rows.datasets_by_answer([], owner), comparison_rows.last_chosen(owner)) == ({}, dataset)
