"""`migrate` in a process that is killed with the statement that it was told, counted from one."""

import os
import signal
import sys
from typing import Any

import django


def main(killed_at: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415  # not before Django is set up
    from django.db import connection  # noqa: PLC0415

    left = [killed_at]

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("SELECT", "PRAGMA")):
            left[0] -= 1
        done = execute(sql, params, many, context)
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    with connection.execute_wrapper(count):
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
