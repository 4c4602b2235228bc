import pytest

from console.management import processes
from console.management.rundir import RunDirectory

OURS = (
    "VERTEX_PROJECT",
    "VERTEX_API_ENDPOINT",
    "VERTEX_BUCKET",
    "VERTEX_POLL_SECONDS",
    "VERTEX_TUNING_AT_ONCE",
    "STORAGE_EMULATOR_HOST",
    "REDIS_URL",
    "CONSOLE_LOCAL_OPTIONS",
)


@pytest.fixture
def plan(tmp_path, monkeypatch):
    run = RunDirectory(tmp_path)

    def drawn(**environment: str) -> processes.Plan:
        for name in OURS:
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return processes.draw_up(run, data_dir=tmp_path, project_dir=tmp_path, host="127.0.0.1", port=8000)

    yield drawn
    run.give_back()


def names(plan: processes.Plan) -> list[str]:
    return [process.name for process in plan.backends + plan.front]


def test_a_laptop_runs_everything(plan):
    assert names(plan()) == ["cache", "storage", "vertex", "web", "worker", "chat"]


def test_a_project_needs_no_local_servers(plan):
    assert names(plan(VERTEX_PROJECT="real")) == ["cache", "web", "worker", "chat"]


def test_a_given_redis_is_used(plan):
    found = plan(VERTEX_PROJECT="real", REDIS_URL="redis://elsewhere:6379/0")
    assert (names(found), found.environment["REDIS_URL"]) == (["web", "worker", "chat"], "redis://elsewhere:6379/0")


def test_a_given_address_of_vertex_is_used(plan):
    found = plan(VERTEX_API_ENDPOINT="http://127.0.0.1:1")
    assert (names(found), found.environment["VERTEX_API_ENDPOINT"]) == (
        ["cache", "web", "worker", "chat"],
        "http://127.0.0.1:1",
    )


def test_the_console_is_told_where_the_local_servers_are(plan):
    given = plan().front[0].environment
    assert given["VERTEX_TUNING_AT_ONCE"] == "1"
    assert (given["VERTEX_POLL_SECONDS"], given["VERTEX_API_ENDPOINT"][:17]) == ("2", "http://127.0.0.1:")
    assert given["STORAGE_EMULATOR_HOST"].startswith("http://127.0.0.1:")


def test_answers_hold_up_no_job_and_jobs_no_answer(plan):
    found = {process.name: process.command for process in plan().front}
    queues = {name: command[command.index("-Q") + 1] for name, command in found.items() if "-Q" in command}
    assert queues == {"worker": "jobs", "chat": "chat"}
    assert [name for name, command in found.items() if "--with-schedule" in command] == ["worker"]
    assert "--concurrency=128" in found["chat"]


def test_the_console_knows_its_own_address(plan, monkeypatch):
    monkeypatch.delenv("CONSOLE_URL", raising=False)
    assert plan().front[1].environment["CONSOLE_URL"] == "http://127.0.0.1:8000"
    assert processes.address("::", 80) == "http://[::1]:80"
    assert plan(CONSOLE_URL="https://console.example").environment["CONSOLE_URL"] == "https://console.example"


@pytest.mark.parametrize(
    ("host", "hours"), [("127.0.0.1", "168"), ("::1", "168"), ("localhost", "168"), ("0.0.0.0", None)]
)
def test_a_session_that_only_this_machine_can_have_may_be_idle_for_as_long_as_it_lasts(
    tmp_path, monkeypatch, host, hours
):
    for name in (*OURS, "CONSOLE_SESSION_IDLE_HOURS"):
        monkeypatch.delenv(name, raising=False)
    run = RunDirectory(tmp_path)
    drawn = processes.draw_up(run, data_dir=tmp_path, project_dir=tmp_path, host=host, port=8000)
    run.give_back()
    assert drawn.front[0].environment.get("CONSOLE_SESSION_IDLE_HOURS") == hours


def test_trainings_may_use_every_core(plan):
    found = {process.name: process.environment for process in plan().backends + plan().front}
    assert "OMP_NUM_THREADS" not in found["vertex"]
    assert {found[name]["OMP_NUM_THREADS"] for name in ("web", "worker", "storage")} == {"1"}


def test_the_password_of_the_cache_is_nobody_elses_to_read(plan, tmp_path):
    plan()
    assert oct((tmp_path / "cache/valkey.conf").stat().st_mode)[-3:] == "600"


def test_the_local_server_gets_its_own_options(plan):
    command = plan(CONSOLE_LOCAL_OPTIONS="--base-model 'a@b=/a folder'").backends[2].command
    assert command[-2:] == ["--base-model", "a@b=/a folder"]


def test_options_that_cannot_be_read_are_refused(plan):
    with pytest.raises(processes.BadSetting, match="Quote it as in a shell"):
        plan(CONSOLE_LOCAL_OPTIONS="--base-model 'a")


def test_missing_packages_are_named():
    needed = (*processes.NEEDED_LOCALLY, "a_package_that_nobody_wrote")
    assert processes.missing_packages({}, needed) == ["a_package_that_nobody_wrote"]
    assert processes.missing_packages({"VERTEX_PROJECT": "real"}, needed) == []


def test_what_a_local_console_needs_is_installed_for_the_tests():
    assert ("torch" in processes.NEEDED_LOCALLY, processes.missing_packages({})) == (True, [])


def test_the_console_and_the_server_share_a_key_for_imports_and_nobody_else_has_it(plan, monkeypatch):
    monkeypatch.delenv(processes.IMPORT_KEY, raising=False)
    found = plan()
    keys = {one.name: one.environment.get(processes.IMPORT_KEY) for one in (*found.backends, *found.front)}
    key = keys["vertex"]
    assert len(key) >= 32
    assert keys == {"cache": None, "storage": None, "vertex": key, "web": key, "worker": key, "chat": key}
    assert plan().environment[processes.IMPORT_KEY] != key
