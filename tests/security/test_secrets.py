"""Marked secrets in every setting, field and header of a console that works: they are where they must be, and nowhere
else. What may know which is written out below."""

import logging
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse

from console.environment import env_url
from console.management.processes import without_secrets
from jobs.log_lines import LineFormatter
from tests.security.leaks import Watch, files_of, found_in, messages_of, names_in, tables_of, watching
from tests.support import factories
from tests.support.headless_client import Visitor
from tests.support.journey import (
    Tune,
    ask,
    deploy_base,
    fill_in,
    start,
    wait_for_catalogue,
    wait_until_ready,
)
from tests.support.localservers import free_port
from tests.support.receivers import receiving, wait_until
from tests.support.routes import patterns
from tests.support.running import GEMMA, ROOT, Running, environment, running, with_tiny_model

pytestmark = [pytest.mark.threat("T15"), pytest.mark.timeout(400)]
SETTINGS = {"key", "mail", "cloud", "metrics"}
# Programs that read the settings; every other one is given none of them.
CONSOLE = ("manage.py up", "-m console.serve", "-m celery")
PROGRAMS = {
    "valkey", "jobs.localvertex.storage", "-m jobs.localvertex ", "localvertex.engine", "serving.child",
    "sandbox/image.py",
}  # fmt: skip
KNOWN_FILES = {
    ("cache/valkey.conf", "cache"),
    # Where it is sent to; its owner reads it in Settings, Notifications.
    *((f"console.sqlite3{end}", name) for end in ("", "-wal", "-shm") for name in ("webhook", "webhook query")),
}
KNOWN_COLUMNS = {("jobs_notificationchoice", "webhook"), ("jobs_notificationchoice", "webhook query")}
KNOWN_PAGES = {
    *(("/settings/notifications/", name) for name in ("webhook", "webhook query", "signing key")),
    # Once, to the person who made it.
    ("share", "share"),
}


SET_PASSWORD = """
import os, django
django.setup()
from django.contrib.auth.models import User
owner = User.objects.get()
owner.set_password(os.environ["NEW"])
owner.save()
assert owner.username == "owner"
"""


@dataclass
class Story:
    console: Running
    planted: dict[str, str]
    watch: Watch
    pages: dict[str, str]
    files: dict[str, bytes]
    tables: dict[str, str]
    messages: dict[str, str]


def mark(name: str) -> str:
    return f"canary-{name.replace(' ', '-')}-{secrets.token_hex(12)}"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    names = (
        *SETTINGS,
        "old password",
        "wrong password",
        "password",
        "webhook",
        "webhook query",
        "bearer",
        "api key",
        "cookie",
        "query",
    )
    planted = {name: mark(name) for name in names}
    folder = tmp_path_factory.mktemp("secrets")
    given = settings_with(planted, folder) | with_tiny_model()
    with running(folder / "data", given) as console, watching(console.process.pid) as watch:
        cache = (console.data_dir / "cache/valkey.conf").read_text()
        port, planted["cache"] = re.findall(r"^(?:port|requirepass) (\S+)$", cache, re.M)
        planted["link"] = console.link.rstrip("/").rpartition("/")[2]
        with Visitor(console.address) as person, receiving(500) as receiver:
            told = Person(person, planted, {})
            told.signs_in(console)
            told.is_notified(receiver.url)
            told.chats_and_shares(watch)
            told.tunes(watch)
            console.kill("cache")
            told.sends_secrets_everywhere()
            told.reads_every_page()
        broker = redis.Redis(port=int(port), password=planted["cache"])
        assert wait_until(lambda: answers(broker), 60)
        yield Story(
            console, planted, watch, told.pages, files_of(console.data_dir) | {"terminal": console.output().encode()},
            tables_of(console.data_dir / "console.sqlite3"), messages_of(broker),
        )  # fmt: skip


def settings_with(planted: dict[str, str], folder: Path) -> dict[str, str]:
    key_file = folder / "key.json"
    key_file.write_text(f'{{"type": "service_account", "private_key": "{planted["cloud"]}"}}')
    return {
        "CONSOLE_SECRET_KEY": planted["key"],
        "EMAIL_URL": f"smtp://console:{planted['mail']}@127.0.0.1:{free_port()}",
        "EMAIL_FROM": "console@example.com",
        "GOOGLE_APPLICATION_CREDENTIALS": str(key_file),
        "CONSOLE_WEBHOOK_PRIVATE": "1",
        "METRICS_TOKEN": planted["metrics"],
    }


def set_password(console: Running, password: str) -> None:
    given = {"CONSOLE_DATA_DIR": str(console.data_dir), "DJANGO_SETTINGS_MODULE": "console.settings", "NEW": password}
    subprocess.run([sys.executable, "-c", SET_PASSWORD], cwd=ROOT, env=environment(given), check=True)


def answers(broker: redis.Redis) -> bool:
    with suppress(redis.RedisError):
        return bool(broker.ping())
    return False


@dataclass
class Person:
    visitor: Visitor
    planted: dict[str, str]
    pages: dict[str, str]

    @property
    def client(self) -> httpx.Client:
        return self.visitor.client

    def send(self, address: str, **values: str) -> httpx.Response:
        data = {"csrfmiddlewaretoken": self.client.cookies["csrftoken"], **values}
        return self.client.post(address, data=data, headers={"Referer": str(self.client.base_url)})

    def signs_in(self, console: Running) -> None:
        """By the link, then with a password: once without the token of the form, once wrong, once right."""
        self.visitor.sign_in(console.link)
        self.client.put(console.link)
        old, password, wrong = (self.planted[name] for name in ("old password", "password", "wrong password"))
        set_password(console, old)
        page = self.visitor.get("/accounts/sign-in/")
        self.client.post("/accounts/sign-in/", data={"username": "owner", "password": wrong})
        self.visitor.submit(page, "/accounts/sign-in/", username="owner", password=wrong)
        self.enters(old)
        page = self.visitor.get("/settings/security/")
        page = self.visitor.submit(
            page, "/settings/password/", old_password=old, new_password1=password, new_password2=password
        )
        self.send("/accounts/sign-out/")
        self.enters(password)
        self.planted["session"] = self.client.cookies["sessionid"]

    def enters(self, password: str) -> None:
        page = self.visitor.get("/accounts/sign-in/")
        page = self.visitor.submit(page, "/accounts/sign-in/", username="owner", password=password)
        assert page.url == f"{self.client.base_url}/"

    def is_notified(self, receiver: str) -> None:
        """Neither the receiver nor the mail server takes it."""
        address = f"{receiver}/{self.planted['webhook']}?token={self.planted['webhook query']}"
        page = self.visitor.get("/settings/notifications/")
        values: dict[str, Any] = {"email": "somebody@example.com", "webhook_url": address}
        page = self.visitor.submit(page, "/settings/notifications/", **values)
        self.planted["signing key"] = re.findall(r"whsec_[\w+/=-]+", page.response.text)[0]
        for way in ("webhook", "email"):
            self.send("/settings/notifications/test/", way=way)

    def chats_and_shares(self, watch: Watch) -> None:
        """The program that looks at a picture lives for a tenth of a second, and may be missed once."""
        wait_for_catalogue(self.visitor)
        endpoint = deploy_base(self.visitor, GEMMA)
        wait_until_ready(self.visitor, endpoint, 90)
        picture = {"file": ("a.png", factories.png())}
        data = {"csrfmiddlewaretoken": self.client.cookies["csrftoken"], "endpoint": endpoint}
        for _ in range(10):
            self.client.post(
                "/studio/chat/pictures/", data=data, files=picture, headers={"Referer": str(self.client.base_url)}
            )
            if any("sandbox/image.py" in line for line, _ in watch.programs()):
                break
        talk = ask(self.visitor, endpoint, "Hello", stop_after=0.5).conversation
        page = self.visitor.submit(self.visitor.get(f"/studio/chat/{talk}/share/"), "/share/")
        self.pages["share"] = page.response.text
        self.planted["share"] = re.findall(r"/shared/([^/\"]+)/", page.response.text)[0]
        shared = f"/shared/{self.planted['share']}/"
        assert self.client.get(shared).status_code == 200
        self.client.put(shared)
        self.send(shared)
        self.client.get(f"{shared}pictures/{uuid4()}")
        for ending in ("md", "json"):
            self.pages[f"export {ending}"] = self.client.get(f"/studio/chat/{talk}/export.{ending}").text

    def tunes(self, watch: Watch) -> None:
        """Until the program that trains was there."""
        tune = Tune(GEMMA, auto_deploy=False, training={"epochs": "1"})
        start(self.visitor, fill_in(self.visitor, tune), tune)
        assert wait_until(lambda: any("localvertex.engine" in line for line, _ in watch.programs()), 90)

    def sends_secrets_everywhere(self) -> None:
        """To every address without an id, with and without a session, and to some that do not exist."""
        headers = {
            "Authorization": f"Bearer {self.planted['bearer']}",
            "X-Api-Key": self.planted["api key"],
            "X-CSRFToken": self.planted["api key"],
            "Referer": f"{self.client.base_url}/?token={self.planted['query']}",
            "Cookie": f"extra={self.planted['cookie']}",
        }
        query = {name: self.planted["query"] for name in ("token", "password", "key", "next", "q")}
        nobody = httpx.Client(base_url=self.client.base_url, trust_env=False, timeout=60)
        with nobody:
            for address in [*addresses(), "/nothing/", "/shared/nothing/", "/accounts/link/nothing/", "/healthz/x"]:
                nobody.get(address, params=query, headers=headers)
                nobody.post(address, params=query, headers=headers, data=query)
                self.client.put(address, params=query)

    def reads_every_page(self) -> None:
        """As their owner and administrator does: status, diagnostics, audit log, exports."""
        exports = [f"/settings/audit/export.{ending}" for ending in ("csv", "jsonl")]
        for address in [*addresses(), *exports]:
            self.pages[address] = self.client.get(address).text
        scraped = self.client.get("/metrics", headers={"Authorization": f"Bearer {self.planted['metrics']}"})
        assert scraped.status_code == 200
        self.pages["figures"] = scraped.text


def addresses() -> list[str]:
    names = {pattern.name for pattern in patterns() if not pattern.pattern.converters}
    return sorted(reverse(name) for name in names if name)


def without(planted: dict[str, str], *names: str) -> dict[str, str]:
    return {name: secret for name, secret in planted.items() if name not in names}


def test_no_log_and_no_other_file_has_one(story: Story) -> None:
    """But the link, on the terminal, which is used up."""
    logs = [line for name, content in story.files.items() if name.endswith(".log") for line in content.splitlines()]
    assert [line for line in logs if names_in(line, story.planted)] == []
    used = story.files["terminal"].replace(story.console.link.encode(), b"")
    assert found_in(story.files | {"terminal": used}, story.planted) - KNOWN_FILES == set()


def test_the_logs_were_written(story: Story) -> None:
    """All that was to be refused was refused and noted."""
    text = b"".join(content for name, content in story.files.items() if name.startswith("logs/")).decode()
    said = ["Sign-in failed", "Method Not Allowed (POST): /shared/", "Not Found: /shared/", "Forbidden (CSRF"]
    assert [words for words in said if words not in text] == []


def test_no_command_line_has_one(story: Story) -> None:
    lines = {line: line for line, _environment in story.watch.programs()}
    assert found_in(lines, story.planted) == set()


def test_only_the_console_itself_is_given_its_settings(story: Story) -> None:
    programs = {line: given for line, given in story.watch.programs() if not any_of(CONSOLE, line)}
    assert {word for word in PROGRAMS if not any(word in line for line in programs)} == set()
    assert found_in(programs, story.planted) == set()
    settings = {line for line, content in programs.items() if b"GOOGLE_APPLICATION" in content or b"EMAIL_" in content}
    settings |= {line for line, content in programs.items() if b"METRICS_" in content}
    assert settings == set()


def any_of(words: tuple[str, ...], line: str) -> bool:
    return any(word in line for word in words)


def test_the_database_has_hashes_only(story: Story) -> None:
    assert found_in(story.tables, story.planted) - KNOWN_COLUMNS == set()


def test_no_message_has_one(story: Story) -> None:
    assert found_in(story.messages, story.planted) == set()


def test_no_page_and_no_export_shows_one(story: Story) -> None:
    """What a person asks with in the address of a page is theirs, and may come back as the link to it."""
    assert len(story.pages) > 40
    assert "Sign-in" in story.pages["/settings/audit/"] or "sign_in" in story.pages["/settings/audit/export.csv"]
    assert found_in(story.pages, without(story.planted, "query")) - KNOWN_PAGES == set()


LINKS = {
    "Not Found: /shared/AbC-123_x/": "Not Found: /shared/…/",
    "Forbidden: http://a/accounts/link/AbC?next=/": "Forbidden: http://a/accounts/link/…?next=/",
    "'/settings/notifications/confirm/AbC:1:x/'": "'/settings/notifications/confirm/…/'",
    "/shared/AbC/pictures/1 and /shared/DeF/": "/shared/…/pictures/1 and /shared/…/",
    "/settings/shared/ /studio/chat/links/": "/settings/shared/ /studio/chat/links/",
}


@pytest.mark.parametrize("text", LINKS)
def test_a_line_of_a_log_opens_nothing(text: str) -> None:
    assert LineFormatter().format(logging.makeLogRecord({"msg": text})) == LINKS[text]


def test_neither_does_a_traceback() -> None:
    try:
        raise ValueError("/shared/AbC/")
    except ValueError:
        record = logging.makeLogRecord({"msg": "x", "exc_info": sys.exc_info()})
    assert "ValueError: /shared/…/" in LineFormatter().format(record)


@pytest.mark.parametrize("name", ["REDIS_URL", "VERTEX_API_ENDPOINT", "CONSOLE_URL"])
def test_a_wrong_setting_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "gopher://user:canary/@host/")
    with pytest.raises(ImproperlyConfigured) as stopped:
        env_url(name, {"http"}, "http://example.com")
    assert str(stopped.value).startswith(f"{name}='gopher://…@host/' is not an address. ")


def test_a_local_server_is_given_what_it_needs() -> None:
    needed = {
        "PATH": "/bin",
        "STORAGE_EMULATOR_HOST": "http://a",
        "TOKENIZERS_PARALLELISM": "0",
        "CONSOLE_DATA_DIR": "/d",
    }
    secret = (
        "CONSOLE_SECRET_KEY",
        "DATABASE_URL",
        "EMAIL_URL",
        "REDIS_URL",
        "HF_TOKEN",
        "PGPASSWORD",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "FILES_URL",
    )
    assert without_secrets(needed | dict.fromkeys(secret, "x")) == needed
