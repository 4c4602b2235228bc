"""What the environment makes of the settings; those of production in a process of their own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from console.connections import database, files
from console.environment import (
    SECRET_VERSION,
    TRAINER_EXAMPLE,
    TRAINER_IMAGE,
    env_choice,
    env_locations,
    env_number,
    env_secret,
    env_text,
)

ROOT = Path(__file__).parents[2]
ASK = """
import json
from django import setup
setup()
from django.conf import settings
from django.test import Client
def asked(url):
    return Client().get(url, headers={"Host": "console.example.com"})
statuses = {url: asked(url).status_code for url in ("/healthz", "/readyz/nothing", "/metrics", "/accounts/sign-in/")}
print(json.dumps({"statuses": statuses, "trusted": settings.CSRF_TRUSTED_ORIGINS}))
"""


@pytest.fixture
def in_production(tmp_path):
    environment = {
        **os.environ, "DJANGO_SETTINGS_MODULE": "console.settings", "CONSOLE_DATA_DIR": str(tmp_path),
        "CONSOLE_HTTPS": "1", "CONSOLE_TRUSTED_PROXIES": "127.0.0.1",
        "CONSOLE_ALLOWED_HOSTS": "console.example.com,.example.org",
        "CONSOLE_SECRET_KEY": "0123456789abcdef" * 4,
    }  # fmt: skip

    def run(*arguments, **other):
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment | other, check=True, capture_output=True, text=True
        ).stdout

    return run


def test_django_finds_nothing_to_warn_of(in_production):
    arguments = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert in_production(*arguments) == "System check identified no issues (3 silenced).\n"


def test_a_health_check_is_answered_and_not_sent_to_the_proxy(in_production):
    assert json.loads(in_production("-c", ASK)) == {
        "statuses": {"/healthz": 200, "/readyz/nothing": 404, "/metrics": 404, "/accounts/sign-in/": 301},
        "trusted": ["https://console.example.com", "https://*.example.org"],
    }


def test_https_without_the_proxy_that_ends_it_stops_the_start(in_production):
    """Every page would lead to itself, for ever."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        in_production("-c", "import console.settings", CONSOLE_TRUSTED_PROXIES="")
    assert "CONSOLE_HTTPS=1 needs CONSOLE_TRUSTED_PROXIES" in failed.value.stderr


@pytest.mark.parametrize("text", ["many", "nan", "inf", "-1", "0.1"])
def test_a_number_that_is_no_amount_stops_the_start(monkeypatch, text):
    monkeypatch.setenv("VERTEX_POLL_SECONDS", text)
    with pytest.raises(ImproperlyConfigured, match="VERTEX_POLL_SECONDS"):
        env_number("VERTEX_POLL_SECONDS", 10, 0.2)


def test_locations_are_names_with_commas_between_them(monkeypatch):
    monkeypatch.setenv("VERTEX_LOCATIONS", " europe-west4,us-west1 ,, global")
    assert env_locations("VERTEX_LOCATIONS") == ["europe-west4", "us-west1", "global"]
    for wrong in ("Europe", "a b", "europe-", "x/y"):
        monkeypatch.setenv("VERTEX_LOCATIONS", f"us-west1,{wrong}")
        with pytest.raises(ImproperlyConfigured, match="VERTEX_LOCATIONS has .* which is not a location"):
            env_locations("VERTEX_LOCATIONS")


@pytest.mark.parametrize(
    "image",
    [
        "us-central1-docker.pkg.dev/my-project/garden/garden-trainer:1",
        "us-docker.pkg.dev/example.com/p/r/trainer@sha256:" + "a" * 64,
        "localhost:5000/trainer:v1.2",
        "",
    ],
)
def test_an_image_with_its_registry_is_one(monkeypatch, image):
    monkeypatch.setenv("VERTEX_TRAINER_IMAGE", image)
    assert env_text("VERTEX_TRAINER_IMAGE", TRAINER_IMAGE, TRAINER_EXAMPLE) == image


@pytest.mark.parametrize("image", ["trainer", "https://host/trainer", "host/trainer:1 --rm", "host/Trainer", "host/t:"])
def test_what_is_no_image_stops_the_start(monkeypatch, image):
    monkeypatch.setenv("VERTEX_TRAINER_IMAGE", image)
    with pytest.raises(ImproperlyConfigured, match="VERTEX_TRAINER_IMAGE.*Enter, for example, us-central1-docker"):
        env_text("VERTEX_TRAINER_IMAGE", TRAINER_IMAGE, TRAINER_EXAMPLE)


@pytest.mark.parametrize("name", ["hf-token", "projects/p/secrets/s", "hf_0123456789"])
def test_a_secret_is_named_and_never_written_down(monkeypatch, name):
    monkeypatch.setenv("VERTEX_TRAINER_SECRET", name)
    with pytest.raises(ImproperlyConfigured) as stopped:
        env_text("VERTEX_TRAINER_SECRET", SECRET_VERSION, "projects/p/secrets/NAME/versions/latest")
    assert str(stopped.value) == (
        "VERTEX_TRAINER_SECRET is not a valid value. Enter, for example, projects/p/secrets/NAME/versions/latest."
    )


def test_the_options_of_a_database_address_are_kept(tmp_path):
    found = database("postgres://a%40b:c@host:5433/name?sslmode=require", tmp_path)
    wanted = {"USER": "a@b", "PASSWORD": "c", "HOST": "host", "PORT": "5433", "NAME": "name"}
    assert found == {"ENGINE": "django.db.backends.postgresql", **wanted, "OPTIONS": {"sslmode": "require"}}


def test_another_kind_of_database_stops_the_start(tmp_path):
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        database("mysql://host/name", tmp_path)


@pytest.mark.parametrize(
    ("url", "bucket", "has_key", "sentence"),
    [
        ("ftp://x", "", True, "FILES_URL must begin with gs:// or s3://"),
        ("gs://jobs/datasets", "gs://jobs", True, "FILES_URL must not name gs://jobs/datasets, where the datasets and"),
        ("gs://jobs/console", "gs://jobs", False, "Set CONSOLE_SECRET_KEY to the same value everywhere."),
    ],
)
def test_a_store_of_files_that_cannot_be_right_stops_the_start(url, bucket, has_key, sentence):
    """Two containers that each make a secret key of their own sign out whom the other has signed in."""
    with pytest.raises(ImproperlyConfigured, match=re.escape(sentence)):
        files(url, bucket, has_key)


def test_without_a_store_files_lie_in_the_data_directory_and_the_key_too():
    assert files("", "gs://jobs", has_own_secret=False) == {"BACKEND": "jobs.files.folder.FolderFiles"}


@pytest.mark.parametrize("token", ["short", "fifteen letters", "a token that has spaces", "ein-längerer-schlüssel"])
def test_a_token_that_can_be_guessed_or_sent_by_nobody_stops_the_start(monkeypatch, token):
    """Without being repeated."""
    monkeypatch.setenv("METRICS_TOKEN", token)
    with pytest.raises(ImproperlyConfigured, match="^METRICS_TOKEN must have 16 characters or more") as stopped:
        env_secret("METRICS_TOKEN", 16)
    assert token not in str(stopped.value)


def test_a_form_of_the_log_that_there_is_not_stops_the_start(monkeypatch):
    assert env_choice("LOG_FORMAT", "text", "json") == "text"
    monkeypatch.setenv("LOG_FORMAT", "xml")
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT='xml' is not a valid value. Enter text or json"):
        env_choice("LOG_FORMAT", "text", "json")
