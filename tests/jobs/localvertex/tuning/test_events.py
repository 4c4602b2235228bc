import json

from jobs.localvertex.tuning.events import EventFile, Point, points


def write(path, *events):
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


def test_gives_only_what_is_new(tmp_path):
    path = tmp_path / "events.jsonl"
    write(path, {"event": "loading"})
    file = EventFile(path)
    assert [event["event"] for event in file.new()] == ["loading"]
    with path.open("a") as stream:
        stream.write('{"event": "done"}\n{"event": "to')
    assert [event["event"] for event in file.new()] == ["done"]
    assert file.seen == {"loading", "done"}


def test_no_file_is_no_event(tmp_path):
    assert EventFile(tmp_path / "nothing").new() == []


def test_a_repeated_step_counts_as_it_was_last(tmp_path):
    path = tmp_path / "events.jsonl"
    steps = [
        {"event": "step", "step": step, "loss": loss, "time": 1.5} for step, loss in ((1, 9), (2, 8), (2, 7), (3, 6))
    ]
    write(path, *steps, {"event": "eval", "step": 2, "loss": 5, "time": 2})
    assert points(path, "/train_total_loss") == [Point(1, 1.5, 9), Point(2, 1.5, 7), Point(3, 1.5, 6)]
    assert points(path, "/eval_total_loss") == [Point(2, 2, 5)]


def test_a_torn_line_is_skipped(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text('{"event": "step", "st{"event": "done"}\n{"event": "loading"}\n')
    assert [event["event"] for event in EventFile(path).new()] == ["loading"]
