from datetime import UTC, datetime, timedelta

from google.cloud.aiplatform_v1beta1.types import CustomJob

from jobs.localvertex.api.wire import now
from jobs.localvertex.engine.job import say
from jobs.localvertex.observability.entries import LOG_BYTES, Folders, list_entries
from jobs.localvertex.store import Store

NAME = "projects/p/locations/us-central1/customJobs/1"


def test_a_line_keeps_its_id_while_a_long_log_grows(tmp_path):
    store, log = Store(tmp_path / "store.sqlite3"), tmp_path / "train.log"
    store.insert(CustomJob(name=NAME, create_time=now()))

    def read() -> dict[str, str]:
        body = {"resourceNames": ["projects/p"], "pageSize": 1000, "orderBy": "timestamp desc"}
        found = list_entries(store, Folders(lambda _: tmp_path, lambda _: tmp_path), body)["entries"]
        return {one["textPayload"]: one["insertId"] for one in found}

    lines = [f"{number} {'x' * 998}" for number in range(LOG_BYTES // 1000 + 100)]
    log.write_text("".join(f"{line}\n" for line in lines))
    before = read()
    with log.open("a") as file:
        file.write("one more\n")
    after = read()
    store.close()
    assert set(before) <= set(lines)
    assert list(after)[0] == "one more"
    assert [line for line in before.keys() & after.keys() if before[line] != after[line]] == []


def test_a_line_of_a_training_has_the_time_at_which_it_was_written(tmp_path, capsys):
    """Once, and as its own: not the time of the last line that the server itself wrote."""
    store, began = Store(tmp_path / "store.sqlite3"), datetime.now(UTC).replace(microsecond=0)
    store.insert(CustomJob(name=NAME, create_time=began - timedelta(hours=1)))
    say("Step 1 of 3")
    (tmp_path / "train.log").write_text(f"2026-01-31 10:00:00 Reading gs://b/rows.jsonl\n{capsys.readouterr().out}")
    folders = Folders(lambda _: tmp_path, lambda _: tmp_path)
    line = list_entries(store, folders, {"resourceNames": ["projects/p"]})["entries"][-1]
    store.close()
    written = datetime.fromisoformat(line["timestamp"])
    assert (line["textPayload"], began <= written <= datetime.now(UTC)) == ("Step 1 of 3", True)
