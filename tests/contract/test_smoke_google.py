"""The smoke run as a program, on Google Cloud as the local server plays it: what it pays for and takes down."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.googlecloud import GoogleCloud, google_cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleCloud]:
    with google_cloud(tmp_path_factory.mktemp("google")) as cloud:
        cloud.be_friendly()
        yield cloud


@pytest.fixture
def manage(google: GoogleCloud, tmp_path: Path):
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("VERTEX_", "STORAGE_", "CONSOLE_", "DJANGO_"))
    }
    environment = kept | google.environment | {"CONSOLE_DATA_DIR": str(tmp_path / "data")}

    def run(*command: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "manage.py", *command]
        return subprocess.run(
            line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )  # fmt: skip

    assert run("migrate", "--verbosity=0").returncode == 0
    made = run("shell", "-c", "from django.contrib.auth.models import User; User.objects.create_user('owner')")
    assert made.returncode == 0, made.stderr
    return run


def test_a_smoke_run_pays_once_and_leaves_nothing(google, manage, tmp_path):
    report = tmp_path / "report.md"
    done = manage("vertex-smoke", "--yes", "--accept-terms", f"--report={report}")
    told = report.read_text()
    assert done.returncode == 0, done.stdout + done.stderr + told
    assert [len(google.servers.list_created(kind)) for kind in ("create_tuning_job", "deploy")] == [1, 1]
    assert google.list_endpoints() == []
    verdicts = {
        line.split(" | ")[0].removeprefix("| "): line.split(" | ")[1] for line in told.splitlines() if " | " in line
    }
    assert verdicts["Chat completions at that address answer."] == "held"
    assert verdicts["Nothing is left after the undeployment."] == "held"
    assert verdicts["modelGardenEula:check answers for the base model."] == "held"
    assert (
        verdicts["A second job at once is refused with 429, or fails with a sentence about the quota."] == "not tried"
    )


def test_a_project_without_billing_stops_it_before_it_pays(google, manage, tmp_path):
    before = [len(google.servers.list_created(kind)) for kind in ("create_tuning_job", "deploy")]
    google.servers.order({"mode": "project", "billing": False})
    done = manage("vertex-smoke", "--yes", "--accept-terms", f"--report={tmp_path / 'report.md'}")
    google.be_friendly()
    assert done.returncode != 0
    (outcome,) = [
        line for line in (tmp_path / "report.md").read_text().splitlines() if line.startswith("| Check the project")
    ]
    assert "gcloud billing projects link garden-local --billing-account=BILLING_ACCOUNT" in outcome
    assert [len(google.servers.list_created(kind)) for kind in ("create_tuning_job", "deploy")] == before
