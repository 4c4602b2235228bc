import sqlite3
import subprocess
import sys
import threading

import pytest
from google.cloud.aiplatform_v1beta1.types import Model, TuningJob

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.api.wire import Operation
from jobs.localvertex.store import Store
from tests.jobs.localvertex.servers import ROOT


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "vertex.sqlite3")
    yield store
    store.close()


def test_survives_a_restart(store, tmp_path):
    store.insert(TuningJob(name="p/tuningJobs/1", state=3))
    store.write_note("p/tuningJobs/1", secret=1)
    store.close()
    again = Store(tmp_path / "vertex.sqlite3")
    assert again.get(TuningJob, "p/tuningJobs/1").state == 3
    assert again.note("p/tuningJobs/1") == {"secret": 1}
    again.close()


def test_a_name_exists_once(store):
    store.insert(Model(name="p/models/1"))
    with pytest.raises(ApiError, match="p/models/1 already exists"):
        store.insert(Model(name="p/models/1"))


def test_lists_newest_first_below_a_parent(store):
    for name in ("p/models/1", "p/models/2", "pp/models/3", "p_/models/4"):
        store.insert(Model(name=name))
    assert [model.name for model in store.all(Model, "p/models")] == ["p/models/2", "p/models/1"]


def test_get_checks_the_kind(store):
    store.insert(Model(name="p/models/1"))
    with pytest.raises(ApiError, match="not found"):
        store.get(TuningJob, "p/models/1")


def test_a_failed_edit_changes_nothing(store):
    store.insert(Model(name="p/models/1", display_name="old"))

    def fail():
        with store.transaction(), store.edit(Model, "p/models/1") as model:
            model.display_name = "new"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert store.get(Model, "p/models/1").display_name == "old"


def test_edits_of_many_threads_are_all_kept(store):
    store.insert(Model(name="p/models/1"))

    def add(key):
        with store.edit(Model, "p/models/1") as model:
            model.labels[key] = "x"

    threads = [threading.Thread(target=add, args=(f"k{n}",)) for n in range(20)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(store.get(Model, "p/models/1").labels) == 20


def test_delete_takes_the_note_too(store):
    store.insert(Model(name="p/models/1"))
    store.write_note("p/models/1", a=1)
    store.delete("p/models/1")
    assert store.find(Model, "p/models/1") is None
    assert store.note("p/models/1") == {}


def header(content):
    return b"This is no database. " * 500


def last_page(content):
    return content[:-4096] + b"\xa5" * 4096


@pytest.mark.parametrize("damage", [header, last_page])
def test_a_damaged_file_is_one_sentence(own_server, damage):
    """The last page may be far from what a start reads."""
    own_server.start().stop()
    path = own_server.data / "vertex.sqlite3"
    sqlite3.connect(path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    path.write_bytes(damage(path.read_bytes()))
    command = [sys.executable, "-m", "jobs.localvertex", "--data-dir", str(own_server.data), "--port", "0"]
    failed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    told = failed.stderr.splitlines()
    assert (failed.returncode, len(told), f"{path} cannot be used: " in told[0]) == (1, 1, True), failed.stderr
    assert "restore the last backup" in told[0]


def test_a_store_from_before_the_bytes_is_read_and_written(tmp_path):
    path = tmp_path / "vertex.sqlite3"
    old = sqlite3.connect(path)
    old.execute("CREATE TABLE resources (number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
                " kind TEXT NOT NULL, body TEXT NOT NULL)")  # fmt: skip
    old.execute("INSERT INTO resources (name, kind, body) VALUES ('p/models/1', 'Model', '{\"displayName\": \"old\"}')")
    old.commit()
    old.close()
    store = Store(path)
    assert [model.display_name for model in store.all(Model, "p/models")] == ["old"]
    with store.edit(Model, "p/models/1") as model:
        model.name, model.display_name = "p/models/1", "new"
    assert store.get(Model, "p/models/1").display_name == "new"
    store.close()


def test_what_an_older_program_changed_is_read(store, tmp_path):
    store.insert(Model(name="p/models/1", display_name="new"))
    older = sqlite3.connect(tmp_path / "vertex.sqlite3")
    older.execute('UPDATE resources SET body = \'{"name": "p/models/1", "displayName": "older"}\'')
    older.commit()
    older.close()
    assert store.get(Model, "p/models/1").display_name == "older"
    with store.edit(Model, "p/models/1") as model:
        model.display_name = "newer"
    assert store.get(Model, "p/models/1").display_name == "newer"


def test_a_list_reads_what_is_asked_for(store):
    for number in range(5):
        store.insert(Model(name=f"p/models/{number}"))
    found = store.all(Model, "p/models")
    store.delete("p/models/3")
    assert len(found) == 5
    assert [model.name for model in found[1:3]] == ["p/models/2"]
    assert (found[0].name, found[-1].name) == ("p/models/4", "p/models/0")
    assert [model.name for model in reversed(found)] == [f"p/models/{number}" for number in (0, 1, 2, 4)]


def test_unfinished_work_is_found_among_much_that_is_done(store):
    for number, state in enumerate((4, 3, 5, 2)):
        store.insert(TuningJob(name=f"p/tuningJobs/{number}", state=state))
    states = ["JOB_STATE_RUNNING", "JOB_STATE_PENDING"]
    assert [job.name for job in store.find_in_states(TuningJob, states)] == ["p/tuningJobs/3", "p/tuningJobs/1"]
    for number in range(3):
        store.insert(Operation(name=f"p/operations/{number}", done=number != 1))
    assert [operation.name for operation in store.find_undone(Operation)] == ["p/operations/1"]


def test_versions(store):
    for name in ("p/models/a", "p/models/a@2", "p/models/ab", "p/models/a-b@3"):
        store.insert(Model(name=name))
    assert [model.name for model in store.find_versions(Model, "p/models/a")] == ["p/models/a@2", "p/models/a"]
    assert [model.name for model in store.find_unversioned(Model, "p/models")] == ["p/models/ab", "p/models/a"]
