import pytest

from jobs.localvertex.batch.inputs import read_lines
from jobs.localvertex.batch.rows import CHAT, CONTENTS, INSTANCE, LONGEST_LINE, Fields, parse_row


@pytest.mark.parametrize(
    ("line", "shape", "asked"),
    [
        (b'{"request": {"contents": []}}', CONTENTS, {"contents": []}),
        (b'{"body": {"messages": []}, "custom_id": "1"}', CHAT, {"messages": []}),
        (b'{"prompt": "a", "max_tokens": 5.0}', INSTANCE, {"prompt": "a", "max_tokens": 5}),
        (b'{"request": "a"}', INSTANCE, {"request": "a"}),
    ],
)
def test_shapes(line, shape, asked):
    row = parse_row(0, line, Fields())
    assert (row.shape, row.asked, row.problem) == (shape, asked, None)


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b"NaN", b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 100_000])
def test_what_is_no_row(line):
    assert parse_row(0, line, Fields()).problem is not None


def test_fields_of_an_instance():
    row = {"id": 1, "a": 2, "b": 3, "c": 4}
    assert Fields(key="id").choose(row) == {"a": 2, "b": 3, "c": 4}
    assert Fields(excluded=("a", "id")).choose(row) == {"b": 3, "c": 4}
    assert Fields(key="id", included=("c", "a", "none")).choose(row) == {"c": 4, "a": 2}


def test_a_line_without_end_is_not_read_whole(tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"a" * (LONGEST_LINE + 5) + b"\n\n{}\n" + b"b" * 3)
    long, *rest = read_lines(path)
    assert (len(long), rest) == (LONGEST_LINE + 1, [b"{}", b"bbb"])
    assert "more than" in str(parse_row(0, long, Fields()).problem)
