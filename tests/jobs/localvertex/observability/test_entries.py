from google.cloud.aiplatform_v1beta1.types import CustomJob

from jobs.localvertex.api.wire import now
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
