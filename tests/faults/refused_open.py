"""Google's client in a process in which the system refuses to open one file, with each of its errors in turn.

Prints, for each number, what became of a create of each kind and of a read, as JSON.
"""

import errno
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import django


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    django.setup()
    from jobs.vertex.sdk import Gateway  # noqa: PLC0415  # not before Django is set up
    from tests.jobs.vertex.sdk.test_clients_wire import CREATES  # noqa: PLC0415

    file, number = os.environ["GOOGLE_APPLICATION_CREDENTIALS"], 0

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if number and event == "open" and arguments[0] == file:
            raise OSError(number, os.strerror(number), file)

    sys.addaudithook(refuse)
    calls = {**CREATES, "read": lambda: Gateway().tuning.get("projects/1/locations/us-central1/tuningJobs/7")}
    found: dict[int, dict[str, list[str]]] = {}
    for number in errno.errorcode:
        found[number] = {name: outcome(call) for name, call in calls.items()}
    print(json.dumps(found))


def outcome(call: Callable[[], Any]) -> list[str]:
    try:
        call()
    except Exception as error:
        return [type(error).__name__, str(error), getattr(error, "code", "")]
    return ["", "", ""]


if __name__ == "__main__":
    main()
