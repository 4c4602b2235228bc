"""Answers one request with the whole application, and dies where it was told to. What to do comes as JSON on the
standard input; where it lives to the end, the answer's status and place go to the standard output."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings

ROW = 'INSERT INTO "jobs_'
KILLED = 137


def prepare(told: dict[str, Any]) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    settings.DATABASES["default"]["NAME"] = told["database"]
    settings.DATA_DIR = Path(told["data_dir"])
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    settings.ALLOWED_HOSTS = ["testserver"]
    django.setup()


def die_at_the_commit(table: str, *, after: bool) -> None:
    """Of the transaction that writes the row, as if the machine had taken the process away."""
    from django.db import connection  # noqa: PLC0415  # not before Django is set up

    written = []

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith(f"{ROW}{table}"):
            written.append(sql)
        return execute(sql, params, many, context)

    commit = connection._commit  # type: ignore[attr-defined]

    def end() -> None:
        if written and not after:
            os._exit(KILLED)
        commit()
        if written:
            os._exit(KILLED)

    connection.ensure_connection()
    connection._commit = end  # type: ignore[attr-defined]
    connection.execute_wrappers.append(watch)


def main() -> None:
    told = json.load(sys.stdin)
    prepare(told)
    from django.test import Client  # noqa: PLC0415  # not before Django is set up

    if told["dies"] != "never":
        die_at_the_commit(told["table"], after=told["dies"] == "after")
    browser = Client()
    browser.cookies.load(told["cookies"])
    answer = browser.post(told["path"], told["values"])
    json.dump([answer.status_code, answer.get("Location", "")], sys.stdout)


if __name__ == "__main__":
    main()
