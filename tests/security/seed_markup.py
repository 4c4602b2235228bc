"""For tests/security/test_markup_browser.py, with CONSOLE_DATA_DIR in the environment: `… deploy DRAFT` makes what a
trained draft leaves, an endpoint of the name that it gives; `… plant TEXT` puts a text into everything. `… whole` tells
whether the owner still has no password. Prints JSON."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

import django

django.setup()

from django.contrib.auth.models import User  # noqa: E402  # models are there only after setup()
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from jobs.models import TuningDraft  # noqa: E402
from jobs.services.accounts import accounts  # noqa: E402
from tests.security import planting  # noqa: E402
from tests.support import factories  # noqa: E402


def deploy(draft: str) -> dict[str, str]:
    name = TuningDraft.objects.get(pk=draft).data["deployment"]["endpoint_display_name"]
    job = factories.job(state="SUCCEEDED", phase="CLOSED", endpoint_display_name=name, next_check_at=None)
    endpoint = factories.ready_endpoint(job=job, display_name=name, next_check_at=None, artifact_uri="gs://bucket/a")
    talk = factories.conversation(endpoint=endpoint)
    factories.message(conversation=talk, role="assistant", content="Ahoy", created_at=timezone.now())
    return {"endpoint": str(endpoint.pk), "name": name}


def unlock_audit_log() -> None:
    """What nobody can change in a console: the texts get there as they would with a request."""
    with connection.cursor() as cursor:
        for trigger in ("audit_no_update", "audit_no_delete", "audit_no_replace"):
            cursor.execute(f"DROP TRIGGER IF EXISTS {trigger}")


def plant(text: str) -> dict[str, Any]:
    """As the owner still is called "owner", and keeps the session."""
    unlock_audit_log()
    grown = planting.grow()
    planting.plant(text)
    User.objects.filter(username__startswith="0").update(username=accounts.OWNER)
    return grown


def whole() -> bool:
    return not accounts.owner().has_usable_password()


if __name__ == "__main__":
    act, *given = sys.argv[1:]
    acts: dict[str, Callable[..., Any]] = {"deploy": deploy, "plant": plant, "whole": whole}
    print(json.dumps(acts[act](*given), default=str))
