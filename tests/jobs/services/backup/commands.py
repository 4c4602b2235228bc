"""The commands, run as a person runs them, and what a console has before and after them."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.running import ROOT, environment

SEED = """
from datetime import timedelta
from jobs.models import Installation, SignInLink
from jobs.services.accounts import accounts
from tests.support import factories
from tests.support.stored import path_of
owner = accounts.owner()
factories.session(user=owner)
accounts.issue_link(owner, valid=timedelta(hours=1))
made = factories.dataset(owner=owner, name="Kept")
factories.job(owner=owner, dataset=made, display_name="Ahoy")
Installation.objects.create()
chat = factories.conversation(owner=owner, endpoint=None)
for text in ("What is snow?", "Cold."):
    factories.message(conversation=chat, content=text)
print(path_of(made))
"""
COUNTS = """
import json
from django.contrib.auth.models import User
from jobs.models import Conversation, Dataset, SignedInSession, SignInLink, TuningJob
from tests.support.stored import path_of
dataset = Dataset.objects.get(name="Kept")
print(json.dumps({
    "people": list(User.objects.values_list("username", flat=True)), "jobs": list(TuningJob.objects.values_list("display_name", flat=True)),
    "chats": list(Conversation.objects.values_list("head__content", flat=True)),
    "rows": len(path_of(dataset).read_text().splitlines()), "links": SignInLink.objects.count(), "sessions": SignedInSession.objects.count(),
}))
"""  # noqa: E501
RESTORED = {"people": ["owner"], "jobs": ["Ahoy"], "chats": ["Cold."], "rows": 12, "links": 0, "sessions": 0}


def run(
    command: list[str], data_dir: Path, database: str = "", more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    extra = {"CONSOLE_DATA_DIR": str(data_dir), "DATABASE_URL": database, "PYTHONPATH": str(ROOT)} | (more or {})
    return subprocess.run(
        command, cwd=ROOT, env=environment(extra), capture_output=True, text=True, timeout=120, check=False
    )


def manage(
    data_dir: Path, *arguments: str, database: str = "", fails: bool = False, more: dict[str, str] | None = None
) -> str:
    ended = run([sys.executable, str(ROOT / "manage.py"), *arguments], data_dir, database, more)
    assert (ended.returncode != 0) == fails, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    return (ended.stderr if fails else ended.stdout).strip()


def counts(data_dir: Path, database: str = "") -> dict[str, object]:
    found: dict[str, object] = json.loads(manage(data_dir, "shell", "-v0", "-c", COUNTS, database=database))
    return found


def members_of(backup: Path) -> dict[str, dict[str, object]]:
    with zipfile.ZipFile(backup) as archive:
        found: dict[str, dict[str, object]] = json.loads(archive.read("manifest.json"))["members"]
    return found
