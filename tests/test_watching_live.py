"""A whole console as `manage.py up` runs it, watched from outside: its figures, its readiness and its logs."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.running import Running, running, with_tiny_model

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]
TOKEN = "a-token-that-nobody-guesses"
KINDS = {"web": "web", "worker": "worker", "chat": "chat"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    options = {"METRICS_TOKEN": TOKEN, "LOG_FORMAT": "json"}
    with running(tmp_path_factory.mktemp("watching") / "data", with_tiny_model() | options) as started:
        yield started


def ask(console: Running, path: str, token: str = TOKEN) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{console.address}{path}", headers=headers, timeout=20, trust_env=False)


def figures(console: Running) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(ask(console, "/metrics").text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def eventually(holds: Callable[[], bool], patience: float = 60) -> bool:
    until = time.monotonic() + patience
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def test_one_address_tells_of_all_processes(console: Running) -> None:
    """Also what only the worker did: it asks Vertex AI by itself once a minute and after the start."""
    wanted = {
        ("garden_vertex_calls_total", "connection.look", "ok"),
        ("garden_http_requests_total", "GET", "metrics", "2xx"),
        *(("garden_processes", kind) for kind in KINDS),
        ("garden_sweep_age_seconds", "sweep"),
    }
    assert eventually(lambda: all(figures(console).get(key, 0) > 0 for key in wanted)), figures(console)
    assert figures(console)["garden_figures_readable", "redis"] == 1
    assert [ask(console, "/metrics", token).status_code for token in ("x", TOKEN[:-1])] == [401, 401]


def test_everything_gets_ready(console: Running) -> None:
    assert eventually(lambda: ask(console, "/readyz/all").status_code == 200), ask(console, "/readyz/all").text
    assert {kind: ask(console, f"/readyz/{kind}").status_code for kind in (*KINDS, "scheduler")} == dict.fromkeys(
        (*KINDS, "scheduler"), 200
    )
    assert ask(console, "/readyz").json()["processes"] == dict.fromkeys(("worker", "scheduler", "chat"), "ok")


def test_each_process_writes_json_that_names_it(console: Running) -> None:
    ask(console, "/nothing/")

    def written() -> dict[str, list[str]]:
        folder = console.data_dir / "logs"
        return {name: lines_of(folder / f"{name}.log") for name in KINDS}

    assert eventually(lambda: all(written().values()) and "/nothing/" in "".join(written()["web"])), written()
    for name, lines in written().items():
        parsed = [json.loads(line) for line in lines]
        assert {line["process"] for line in parsed} == {KINDS[name]}, lines
        assert {"time", "level", "logger", "message", "pid"} <= set.intersection(*map(set, parsed))
    assert TOKEN not in "".join(line for lines in written().values() for line in lines)
    not_found = [line for line in map(json.loads, written()["web"]) if "/nothing/" in line["message"]]
    assert [len(line["request_id"]) for line in not_found] == [16]


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []
