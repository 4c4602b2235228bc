import json

from jobs.localvertex.batch.journal import Journal
from jobs.localvertex.batch.rows import CONTENTS, INSTANCE


def test_rows_are_written_in_the_order_of_the_input(tmp_path):
    journal = Journal(tmp_path / "job")
    for number in (2, 0, 1):
        journal.note(number, CONTENTS, {"number": number}, is_error=False)
    (path,) = journal.write_outputs()
    journal.close()
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [0, 1, 2]


def test_what_was_noted_is_known_again_but_for_a_line_that_was_cut(tmp_path):
    journal = Journal(tmp_path)
    journal.note(0, INSTANCE, {"a": 1}, is_error=False)
    journal.note(1, INSTANCE, {"a": 2}, is_error=True)
    journal.close()
    with (tmp_path / "done.jsonl").open("ab") as file:
        file.write(b'{"number": 2, "sha')
    again = Journal(tmp_path)
    assert (again.done, again.failed, [again.has(number) for number in range(3)]) == (2, 1, [True, True, False])
    again.note(2, INSTANCE, {"a": 3}, is_error=False)
    outputs = {path.name: path.read_text() for path in again.write_outputs()}
    assert outputs == {
        "prediction.errors_stats-00000-of-00001": '{"a": 2}\n',
        "prediction.results-00000-of-00001": '{"a": 1}\n{"a": 3}\n',
    }
    again.discard()
    assert not tmp_path.exists()
