"""Addresses with a password in them: taken as they are where one reading is possible, else refused in a sentence."""

import pytest
import redis as redis_client
from django.core.exceptions import ImproperlyConfigured
from kombu.connection import Connection

from console.connections import database, mail, redis
from console.environment import env_url
from console.server_urls import parse

RAW = [
    "pa/ss", "pa#ss", "pa?ss", "p@ss", "p@ss/w#rd?", "50%", "50%zz", "[x]", "a:b", "12/ss", "12?x", "12?k=v",
    "k=v&w", "a b", "/", "#", "@", "//u:p@", "a@b:1/c#d", "ü+ö", "GHx/3kq1+Uw==", "%2F", "%40x",
]  # fmt: skip
DECODED = {"%2F": "/", "%40x": "@x"}


@pytest.mark.parametrize("password", RAW)
def test_of_a_database(tmp_path, password):
    found = database(f"postgres://console:{password}@postgres:5432/console?sslmode=require", tmp_path)
    expected = ("console", DECODED.get(password, password), "postgres", "5432", "console", {"sslmode": "require"})
    assert tuple(found[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME", "OPTIONS")) == expected


@pytest.mark.parametrize("password", RAW)
def test_of_redis_as_its_clients_read_it(password):
    url = redis(f"redis://:{password}@redis:6380/2")
    told = redis_client.Redis.from_url(url).connection_pool.connection_kwargs
    broker = Connection(url)
    expected = (DECODED.get(password, password), "redis", 6380)
    assert (told["password"], told["host"], told["port"], told["db"]) == (*expected, 2)
    assert (broker.password, broker.hostname, broker.port, broker.virtual_host) == (*expected, "2")


@pytest.mark.parametrize("password", RAW)
def test_of_a_mail_server(password):
    found = mail(f"smtps://me@example.com:{password}@mail.example".replace("me@", "me%40"), "a@b.example")
    assert (found["EMAIL_HOST_USER"], found["EMAIL_HOST_PASSWORD"], found["EMAIL_HOST"]) == (
        "me@example.com", DECODED.get(password, password), "mail.example",
    )  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:6379/0", "rediss://user:word@redis.example:6379/0?ssl_cert_reqs=none", "redis://redis",
        "redis://[::1]:6379/0", "redis://:word@10.0.0.1:6379",
    ],
)  # fmt: skip
def test_what_was_right_stays_as_it_is(url):
    assert redis(url) == url


def test_an_at_sign_behind_the_name_is_no_password(tmp_path):
    found = database("postgres://u:p@h/db?application_name=a@b", tmp_path)
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["OPTIONS"]["application_name"]) == (
        "u", "p", "h", "a@b",
    )  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "postgres://u:secret#x@a/b?c=@h/db", "postgres://u:secret@h:port/db", "postgres://u:secret@h:99999/db",
        "postgres://u:secret@[::1/db", "postgres://u:secret@h/db#part", "postgres:/u:secret@h/db", "mysql://u:secret@h/db",
        "postgres://u:secret@h", "secret",
    ],
)  # fmt: skip
def test_what_may_mean_two_things_or_nothing_names_the_variable_and_hides_the_password(tmp_path, url):
    with pytest.raises(ImproperlyConfigured) as refused:
        database(url, tmp_path)
    text = str(refused.value)
    assert ("DATABASE_URL" in text, "postgres://user:password@host:5432/name" in text, "secret" in text) == (
        True, True, False,
    )  # fmt: skip


def test_the_sentence_says_how_to_write_it():
    with pytest.raises(ImproperlyConfigured, match="percent-encode .*%2F for /.*openssl rand -hex 32"):
        parse("REDIS_URL", "redis://:a@b:x/0", {"redis"}, "redis://:password@host:6379/0")


@pytest.mark.parametrize("url", ["http://[", "http://h:port", "http://h:99999", "http://", "ftp://h"])
def test_an_address_that_cannot_be_read_stops_the_start_with_its_name(monkeypatch, url):
    monkeypatch.setenv("CONSOLE_URL", url)
    with pytest.raises(ImproperlyConfigured, match="CONSOLE_URL"):
        env_url("CONSOLE_URL", {"http", "https"}, "https://console.example.com")
