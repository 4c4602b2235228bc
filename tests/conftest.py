import gc
import os
import re
import socket
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.db.backends.signals import connection_created
from django.dispatch import receiver
from django.utils import translation
from xdist.scheduler import LoadFileScheduling

from console.web import audit
from jobs import live, shortages, tasks
from jobs.services.accounts import sign_in_limits
from jobs.vertex import get_gateway
from tests.fakes import FakeGateway
from tests.support import factories
from tests.support.localservers import LocalVertex, local_servers
from tests.support.migrated import migrated as migrated_database
from tests.support.queues import broker_at, take_messages
from tests.support.redis_server import redis_server

SHARING = ("tests/contract", "tests/contract/clients")
OURS = ("CONSOLE_", "VERTEX_", "STORAGE_", "GOOGLE_", "WEBHOOK_", "REDIS_URL", "DATA_DIR")
AT_FIRST = pytest.StashKey[dict[str, Any]]()
LOOPBACK = ("127.", "::1", "localhost")
# httpx reads every authority that the world trusts for each request that is made without a client: 7 ms. Here is one.
os.environ["SSL_CERT_FILE"] = str(Path(__file__).parent / "fixtures/authority.pem")


audit_log = import_module("jobs.migrations.0030_audit_log")


class ByServer(LoadFileScheduling):  # type: ignore[misc]
    """One process runs a file, and all files of a folder that share servers which are slow to start."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        folder = file.rpartition("/")[0]
        return folder if folder in SHARING else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer:
    return ByServer(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Function]) -> None:
    """Files that take long come first, as their limits say, so that no core waits for one at the end. Another database
    is shown only the tests that use one."""
    if os.environ.get("TEST_DATABASE_URL"):
        without = {item for item in items if not (item.get_closest_marker("django_db") or "db" in item.fixturenames)}
        config.hook.pytest_deselected(items=list(without))
        items[:] = [item for item in items if item not in without]
    longest: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0), marker.args[0] if marker else 0)
    items.sort(key=lambda item: (item.path.parts.count("contract"), longest[item.path]), reverse=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Eleven thousand tests and what they import stay until the end: a look through all of them for garbage finds none,
    and takes a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class NetworkUsed(RuntimeError):
    pass


class NameServer:
    """`answer`, while there is one, gives the addresses of a name, or raises what the system would."""

    answer: Callable[[str], list[str]] | None = None


name_server = NameServer()


@pytest.fixture
def names() -> Iterator[NameServer]:
    """What names stand for, for this test."""
    yield name_server
    name_server.answer = None


@pytest.fixture(autouse=True, scope="session")
def _only_loopback() -> Iterator[None]:
    """A name is never looked up and a connection never made but to this machine."""
    guard = pytest.MonkeyPatch()
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(host: Any) -> None:
        name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
        if not name.startswith(LOOPBACK):
            raise NetworkUsed(f"A test wanted to reach {name}.")

    def checked(original: Any) -> Any:
        def call(self: socket.socket, address: Any) -> Any:
            if isinstance(address, tuple):
                check(address[0])
            return original(self, address)

        return call

    def looked_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if name_server.answer:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in name_server.answer(host)]
        check(host)
        return getaddrinfo(host, port, *args, **kwargs)

    guard.setattr(socket.socket, "connect", checked(connect))
    guard.setattr(socket.socket, "connect_ex", checked(connect_ex))
    guard.setattr(socket, "getaddrinfo", looked_up)
    yield
    guard.undo()


BY_A_JOIN = re.compile(r'UPDATE "(\w+)" .* WHERE .*"\1"\."(\w+)" IN \(SELECT \w+\."\2" FROM "\1"')


def refuse_update_by_join(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    """Two workers that claim one row would both get it with PostgreSQL: the one that waited for the other's lock is
    asked again about the row itself, and not about what was selected before it waited."""
    assert not BY_A_JOIN.search(sql), f"Update without a join: {sql}"
    return execute(sql, params, many, context)


@receiver(connection_created)
def _watch_updates(connection: Any, **more: Any) -> None:
    if refuse_update_by_join not in connection.execute_wrappers:
        connection.execute_wrappers.append(refuse_update_by_join)


data_dirs = count()


@pytest.fixture(scope="session")
def all_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def _from_the_start(all_data: Path) -> Iterator[None]:
    """An empty folder of data. No language of a page that was asked for before, which stays on in this thread. Nothing
    that a process keeps of a moment ago: failed sign-ins, how many lines of strangers the audit log still takes, which
    shortage it met, that Redis did not answer, how far the clock was ahead. One fixture, because each costs a tenth of
    a millisecond for each of ten thousand tests."""
    before = settings.DATA_DIR
    settings.DATA_DIR = all_data / str(next(data_dirs))
    settings.DATA_DIR.mkdir()
    shortages.seen.forget()
    live.breaker.reset()
    live.missed.reset()
    tasks.clock.forget()
    sign_in_limits.alone.clear()
    audit.strangers.left, audit.strangers.left_out = audit.strangers.a_minute, 0
    audit.refusals.people.clear()
    with translation.override("en"):
        yield
    settings.DATA_DIR = before


TRIGGERS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
}
migrated_triggers: set[str] = set()


def change_triggers(change: Callable[[Any, Any], None]) -> None:
    with connection.schema_editor() as editor:
        change(None, editor)


@pytest.fixture(scope="session")
def migrated(django_db_setup: None) -> set[str]:
    """The triggers that there were after the migrations."""
    return migrated_triggers


@pytest.fixture(autouse=True, scope="session")
def _one_migrated_database(tmp_path_factory: pytest.TempPathFactory) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        migrated_database.share(tmp_path_factory.getbasetemp().parent)


@pytest.fixture(scope="session")
def django_db_keepdb(_one_migrated_database: None, django_db_modify_db_settings: None) -> bool:
    """Whether the tables are there already, in a copy."""
    if connection.vendor != "sqlite":
        return False
    file = Path(connection.settings_dict["TEST"]["NAME"])
    migrated_database.copy_to(file)
    connection.settings_dict["TEST"]["MIGRATE"] = not file.exists()
    return file.exists()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests that commit empty all tables afterwards, which the audit log's triggers refuse. `append_only` puts them
    back for the tests that are about them."""
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            cursor.execute(TRIGGERS[connection.vendor])
            migrated_triggers.update(name for (name,) in cursor.fetchall())
        change_triggers(audit_log.drop_triggers)


@pytest.fixture
def append_only(transactional_db: None) -> Iterator[None]:
    """The audit log as in production: no row of it can be changed or deleted."""
    change_triggers(audit_log.add_triggers)
    yield
    change_triggers(audit_log.drop_triggers)


@pytest.fixture(autouse=True, scope="module")
def _what_a_module_sets_it_puts_back(request: pytest.FixtureRequest) -> Iterator[None]:
    """Neither a module nor what is made once for all of them leaves a setting to what runs next in this process."""
    untouched = request.config.stash[AT_FIRST]
    yield
    assert _everything_set() == untouched


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[AT_FIRST] = _everything_set()


def _everything_set() -> dict[str, Any]:
    set_up = {name: getattr(settings, name) for name in dir(settings)} | dict(os.environ)
    return {name: value for name, value in set_up.items() if name.startswith(OURS)}


@pytest.fixture
def fake_gateway(settings: Any) -> Iterator[FakeGateway]:
    """The gateway that services get from now on; `automatic = True` makes its jobs go on by themselves."""
    settings.VERTEX_GATEWAY = "tests.fakes.FakeGateway"
    get_gateway.cache_clear()
    gateway = get_gateway()
    assert isinstance(gateway, FakeGateway)
    yield gateway
    get_gateway.cache_clear()


@pytest.fixture
def with_imports(settings: Any, fake_gateway: FakeGateway) -> None:
    """A console of the local Vertex AI that may import models."""
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_IMPORT_KEY = "http://127.0.0.1:1", "a key of a test of imports"


@pytest.fixture
def sent() -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """What was put on the queues since it was last asked, or since the test began."""
    take_messages()
    return take_messages


@pytest.fixture
def no_broker() -> Iterator[None]:
    """Nobody listens where the messages of this process go."""
    with broker_at("redis://127.0.0.1:1/0"):
        yield


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def broker(redis_url: str) -> Iterator[Any]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def limits(settings: Any, redis_url: str, broker: Any) -> None:
    """Failed sign-ins are counted in Redis, also when a test before had none."""
    settings.REDIS_URL = redis_url
    live.breaker.reset()


@pytest.fixture(scope="session")
def local_vertex(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalVertex]:
    """The local Vertex AI and the storage emulator, as programs of their own on free ports."""
    with local_servers(tmp_path_factory.mktemp("local-vertex")) as servers:
        yield servers


@pytest.fixture
def owner(db: None) -> Any:
    return factories.owner()


@pytest.fixture
def team_mate(db: None) -> Any:
    return factories.team_mate()


@pytest.fixture
def stranger(db: None) -> Any:
    return factories.stranger()
