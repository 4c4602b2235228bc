"""The command that prints a link."""

import io
import json
import re
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from tests.support import factories
from tests.support.running import ROOT, environment

pytestmark = pytest.mark.django_db


def printed(*arguments):
    out, notes = io.StringIO(), io.StringIO()
    call_command("sign-in-link", *arguments, stdout=out, stderr=notes)
    return out.getvalue().strip(), notes.getvalue()


def test_it_signs_its_owner_in(owner):
    url, notes = printed()
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/accounts/link/[\w-]{43}/", url)
    browser = Client()
    assert browser.post(url.partition(":8000")[2]).status_code == 303
    assert browser.session["_auth_user_id"] == str(owner.pk)
    assert "within 15 minutes" in notes


def test_it_names_the_console_that_runs_on_this_folder(owner, settings):
    (settings.DATA_DIR / "run").mkdir()
    (settings.DATA_DIR / "run/processes.json").write_text(json.dumps({"url": "http://127.0.0.1:8123"}))
    assert printed()[0].startswith("http://127.0.0.1:8123/accounts/link/")


def test_it_names_the_configured_address_first(owner, settings):
    settings.CONSOLE_URL = "https://console.example.com"
    assert printed()[0].startswith("https://console.example.com/accounts/link/")


def test_another_account_is_named(owner, team_mate):
    browser = Client()
    browser.post(printed("team-mate")[0].partition(":8000")[2])
    assert browser.session["_auth_user_id"] == str(team_mate.pk)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nobody"], "There is no account named nobody"),
        (["left"], "The account left is disabled"),
        (["owner", "--minutes", "0"], "A link works for 1 to 1440 minutes"),
    ],
)
def test_what_cannot_be_done_is_said(owner, arguments, sentence):
    factories.user(username="left", is_active=False)
    with pytest.raises(CommandError, match=sentence):
        printed(*arguments)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "The database has no tables yet. Start the console once, or specify its folder with --data-dir."),
        ("no database" * 500, "cannot be used: file is not a database. The file is damaged."),
    ],
)
def test_a_database_that_cannot_be_used_is_one_sentence(tmp_path, content, sentence):
    (tmp_path / "console.sqlite3").write_text(content)
    command = [sys.executable, "manage.py", "sign-in-link"]
    given = environment({"CONSOLE_DATA_DIR": str(tmp_path)})
    failed = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)
    assert (failed.returncode, sentence in failed.stderr, len(failed.stderr.splitlines())) == (1, True, 1)
