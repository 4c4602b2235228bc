import io
import json
import tracemalloc
from typing import Any

import pytest

from jobs import errors
from jobs.models import Dataset
from jobs.services.datasets import datasets, policies
from tests.support import factories
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db

NO_NAME = "The line is not JSON: Expecting property name enclosed in double quotes"
GOOD = '{"prompt": "Hello?", "completion": "Ahoy!"}'


def create(owner, *lines, raw=None, **values):
    content = raw if raw is not None else "\n".join(lines).encode()
    defaults: dict[str, Any] = {"file": io.BytesIO(content), "file_name": "rows.jsonl"}
    return datasets.create(owner, **defaults | values)


def problem(owner, line):
    """The first problem of a file whose second line is `line`."""
    dataset = create(owner, GOOD, line)
    assert (dataset.valid_rows, dataset.invalid_rows, dataset.is_usable) == (1, 1, False)
    found = dataset.problems[0]
    assert found["line"] == 2
    assert found["remedy"].endswith((".", "}", '…"}.'))
    return found["field"], found["problem"]


def messages(*turns):
    return json.dumps({"messages": [{"role": role, "content": content} for role, content in turns]})


def contents(*turns, **extra):
    return json.dumps(extra | {"contents": [{"role": role, "parts": [{"text": text}]} for role, text in turns]})


def test_a_good_file(owner):
    dataset = create(owner, GOOD, GOOD, file_name="C:\\data\\my rows.jsonl")
    assert (dataset.valid_rows, dataset.invalid_rows, dataset.format, dataset.name) == (2, 0, "prompt", "my rows")
    assert (dataset.character_count, dataset.token_estimate, dataset.notes) == (22, 30, [])
    assert dataset.preview[0] == {
        "line": 1, "turns": [{"role": "user", "text": "Hello?"}, {"role": "assistant", "text": "Ahoy!"}],
    }  # fmt: skip
    assert path_of(dataset).read_text() == f"{GOOD}\n{GOOD}\n"


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (GOOD, "prompt"),
        (messages(("system", "Be short."), ("user", "Hi"), ("assistant", "Ahoy")), "messages"),
        (messages(("user", [{"type": "text", "text": "Hi"}]), ("assistant", "Ahoy")), "messages"),
        (contents(("user", "Hi"), ("model", "Ahoy"), ("user", "And?"), ("model", "Aye")), "contents"),
        (contents(("user", "Hi"), ("model", "A"), systemInstruction={"parts": [{"text": "Be short."}]}), "contents"),
        ('{"prompt": "a", "prompt": "Hello?", "completion": "Ahoy!"}', "prompt"),
        ('{"prompt": "안녕하세요?", "completion": "Ahoy 🏴‍☠️!"}', "prompt"),
    ],
)
def test_good_rows(owner, line, name):
    dataset = create(owner, line)
    assert (dataset.problems, dataset.format, dataset.is_usable) == ([], name, True)


@pytest.mark.parametrize(
    ("line", "field", "sentence"),
    [
        ("hello", "", "The line is not JSON: Expecting value at character 1."),
        ("{'prompt': 1}", "", f"{NO_NAME} at character 2."),
        ("[", "", "The line is not JSON: Expecting value at character 2."),
        ('{"prompt": "a",', "", f"{NO_NAME} at character 16."),
        ("42", "", "The line is not a JSON object."),
        ('["a"]', "", "The line is not a JSON object."),
        ("null", "", "The line is not a JSON object."),
        ('{"prompt": NaN, "completion": "a"}', "", "NaN is not JSON."),
        ('{"prompt": "a", "completion": -Infinity}', "", "-Infinity is not JSON."),
        ("[" * 100_000, "", "The line cannot be read as JSON."),
        ('{"n": ' + "9" * 5000 + "}", "", "The line cannot be read as JSON."),
        ("{}", "", "The row has none of the fields prompt, messages or contents."),
        ('{"conversations": []}', "conversations", "This format is not supported."),
        ('{"instruction": "a", "output": "b"}', "instruction", "This format is not supported."),
        ('{"prompt": "a"}', "completion", "The field is missing."),
        ('{"completion": "a"}', "prompt", "The field is missing."),
        ('{"prompt": "", "completion": "a"}', "prompt", "The text is empty."),
        ('{"prompt": "a", "completion": " "}', "completion", "The text is empty."),
        ('{"prompt": 7, "completion": "a"}', "prompt", "This is not a string."),
        ('{"prompt": "a\\u0000", "completion": "a"}', "prompt", "The text contains a character that is not allowed."),
        ('{"prompt": "\\ud800", "completion": "a"}', "prompt", "The text contains a character that is not allowed."),
        ('{"messages": []}', "messages", "This is not a list of turns."),
        ('{"messages": "Hi"}', "messages", "This is not a list of turns."),
        ('{"messages": ["Hi"]}', "messages[0]", "This is not a turn."),
        ('{"messages": [{"content": "Hi"}]}', "messages[0].role", "The role is missing."),
        (messages(("critic", "Hi")), "messages[0].role", "Unknown role: critic."),
        (messages(("\ud800\x00", "Hi")), "messages[0].role", "Unknown role: \ufffd\ufffd."),
        (messages(("user", "Hi"), ("assistant", "")), "messages[1].content", "The text is empty."),
        (messages(("user", "Hi"), ("assistant", None)), "messages[1].content", "The field is missing."),
        (messages(("user", "Hi"), ("assistant", [])), "messages[1].content", "The text is empty."),
        (messages(("user", "Hi")), "messages", "The last turn is not from assistant."),
        (messages(("system", "Hi")), "messages", "The last turn is not from assistant."),
        (messages(("assistant", "Hi")), "messages[0].role", "Expected user here, found assistant."),
        (messages(("user", "a"), ("user", "b")), "messages[1].role", "Expected assistant here, found user."),
        (messages(("user", "a"), ("system", "b")), "messages[1].role", "The system turn must come first."),
        (
            messages(("user", [{"type": "image_url", "image_url": {"url": "gs://a/b"}}]), ("assistant", "a")),
            "messages[0].content[0]", "A bucket name must have 3 to 63 characters.",
        ),
        (messages(("user", ["Hi"]), ("assistant", "a")), "messages[0].content[0]", "This is not a text part."),
        (contents(("user", "a"), ("assistant", "b")), "contents[1].role", "Unknown role: assistant."),
        (contents(("user", "a"), ("model", "")), "contents[1].parts[0].text", "The text is empty."),
        ('{"contents": [{"role": "user", "parts": []}]}', "contents[0]", "The turn has no parts."),
        ('{"contents": ["Hi"]}', "contents[0]", "The turn has no parts."),
        (contents(("user", "a")), "contents", "The last turn is not from model."),
        (
            '{"contents": [{"role": "user", "parts": [{"inlineData": {}}]}]}',
            "contents[0].parts[0].inlineData.data", "The image has no address.",
        ),
        (contents(("user", "a"), system_instruction={}), "system_instruction", "This field is ignored."),
    ],
)  # fmt: skip
def test_bad_rows(owner, line, field, sentence):
    assert problem(owner, line) == (field, sentence)


def test_a_problem_shows_a_short_snippet_without_control_characters(owner):
    snippet = create(owner, "\x1b[31m" + "x" * 500).problems[0]["snippet"]
    assert snippet == "\N{REPLACEMENT CHARACTER}[31m" + "x" * 115


def test_a_list_of_objects_is_told_what_to_do(owner):
    dataset = create(owner, GOOD, "[", GOOD + ",", "]")
    assert dataset.problems[0]["remedy"] == "Write each object on its own line, without a list around them."


def test_mark_line_ends_and_blank_lines_are_tolerated(owner):
    dataset = create(owner, raw=b"\xef\xbb\xbf" + f"{GOOD}\r\n\r\n  \r\n{GOOD}\r\n".encode())
    assert path_of(dataset).read_text() == f"{GOOD}\n{GOOD}\n"
    assert dataset.notes == ["The byte order mark at the start was removed.", "2 blank lines were skipped."]
    assert dataset.byte_size == path_of(dataset).stat().st_size


def test_line_numbers_are_those_of_the_file(owner):
    dataset = create(owner, GOOD, "", "bad", "", "worse")
    assert [found["line"] for found in dataset.problems] == [3, 5]
    assert [found["line"] for found in datasets.problems_jsonl(dataset)] == [3, 5]


def test_all_problems_can_be_read_beyond_the_fifty_that_are_kept(owner):
    dataset = create(owner, *["bad"] * 80)
    assert (len(dataset.problems), dataset.invalid_rows) == (50, 80)
    assert len(list(datasets.problems_jsonl(dataset))) == 80


def row_of(tokens):
    """A word more than that, with the marks of the template."""
    return json.dumps({"prompt": "ab " * (tokens - 11), "completion": "b"})


def test_long_rows_are_counted_for_each_limit_and_kept(owner):
    dataset = create(owner, GOOD, row_of(600), row_of(2048), row_of(40_000))
    assert dataset.rows_over == {
        "512": 3, "1024": 2, "2048": 2, "4096": 1, "8192": 1, "16384": 1, "32768": 1,
    }  # fmt: skip
    assert (dataset.is_usable, dataset.notes) == (True, [])


@pytest.mark.parametrize(
    ("tokens", "rows"), [(1, 3), (512, 3), (513, 2), (2048, 2), (3000, 1), (32_768, 1), (32_769, 0)]
)
def test_a_limit_between_the_usual_ones_counts_as_the_next(tokens, rows):
    counts = {"512": 3, "1024": 2, "2048": 2, "4096": 1, "8192": 1, "16384": 1, "32768": 1}
    assert Dataset(rows_over=counts).rows_over_limit(tokens) == rows
    assert Dataset().rows_over_limit(tokens) == 0


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (b"", "The file is empty. Write one JSON object per line."),
        (b"\n \n", "The file has no rows. Write one JSON object per line."),
        (
            f"{GOOD}\n".encode() + b'{"prompt": "\xff"}',
            "The file is not UTF-8: line 2, byte 13 of it, is 0xFF. Save it as UTF-8, then try again.",
        ),
        (GOOD.encode("utf-16"), "The file is in UTF-16. Save it as UTF-8, then try again."),
    ],
)
def test_useless_files_are_rejected(owner, raw, sentence):
    with pytest.raises(errors.DatasetRejected) as caught:
        create(owner, raw=raw)
    assert (str(caught.value), Dataset.objects.count()) == (sentence, 0)


def test_a_rejected_file_leaves_nothing_behind(owner, settings):
    with pytest.raises(errors.DatasetRejected):
        create(owner, raw=b"")
    assert [path for path in settings.DATA_DIR.rglob("*") if path.is_file()] == []


def test_a_file_that_is_too_large(owner, settings):
    settings.DATASET_MAX_BYTES = 1024 * 1024
    with pytest.raises(errors.DatasetRejected, match="The file has .* MB. The limit is 1 MB."):
        create(owner, raw=f"{GOOD}\n".encode() * 30_000)


def test_one_endless_line_is_one_problem_and_little_memory(owner):
    file = io.BytesIO(b'{"prompt": "' + b"x" * 20_000_000)
    tracemalloc.start()
    dataset = datasets.create(owner, file=file, file_name="a.jsonl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dataset.problems[0]["problem"] == "The line is longer than 4 MB."
    assert peak < 30_000_000


def test_mixed_formats(owner):
    assert create(owner, GOOD, messages(("user", "a"), ("assistant", "b"))).format == "mixed"


@pytest.mark.parametrize("which", ["train", "validation"])
def test_samples_are_valid_and_given_once(owner, which):
    sample = datasets.create_sample(owner, which)
    assert (sample.is_usable, sample.is_sample, datasets.create_sample(owner, which)) == (True, True, sample)


def test_the_samples_go_together(owner):
    train, validation = (datasets.create_sample(owner, which) for which in ("train", "validation"))
    assert policies.why_not_validate_with(train, validation) == ""


def test_validation_limits(owner):
    train, small = factories.dataset(byte_size=1000), factories.dataset(byte_size=250)
    assert policies.why_not_validate_with(train, small) == ""
    assert policies.why_not_validate_with(train, factories.dataset(byte_size=300)) == (
        "A validation dataset can have at most 25% of the bytes of the training data. This one has 30%. "
        "Use fewer rows. A tenth of the data is typical."
    )
    assert "5000 rows" in policies.why_not_validate_with(train, factories.dataset(byte_size=9, valid_rows=5001))
    assert policies.why_not_validate_with(train, train) != ""


def test_delete_removes_the_file(owner, django_capture_on_commit_callbacks):
    dataset = factories.dataset()
    with django_capture_on_commit_callbacks(execute=True):
        datasets.delete(dataset)
    assert (Dataset.objects.count(), path_of(dataset).exists()) == (0, False)


@pytest.mark.parametrize("role", ["dataset", "validation_dataset"])
def test_a_data_set_in_use_stays(owner, role):
    dataset = factories.dataset()
    factories.job(**{role: dataset})
    with pytest.raises(errors.NotAllowedNow):
        datasets.delete(dataset)
    assert path_of(dataset).exists()


@pytest.mark.threat("T24")
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.json"])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b" \n"])
def test_a_file_of_nothing_but_line_ends_is_given_up_early(owner, name, line_end):
    """Reading twenty million of them took half a minute."""
    with pytest.raises(errors.DatasetRejected, match=r"^Most of the first \d+ (lines are blank|rows have problems)"):
        create(owner, raw=line_end * 300_000, file_name=name)


def test_a_blank_line_after_each_row_is_no_reason_to_stop(owner):
    dataset = create(owner, raw=f"{GOOD}\n\n".encode() * 1000)
    assert (dataset.valid_rows, dataset.notes) == (1000, ["1000 blank lines were skipped."])
