import os
import subprocess
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from console.management.processes import without_secrets

SECONDS = 60


class Command(BaseCommand):
    help = "Says what this machine trains and serves models with, CPU or GPU, and why."
    requires_system_checks: list[str] = []  # noqa: RUF012  # Django's own declaration

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.VERTEX_PROJECT and not settings.VERTEX_API_ENDPOINT:
            self.stdout.write(f"Vertex AI of the project {settings.VERTEX_PROJECT} trains and serves. On this machine:")
        command = [sys.executable, "-m", "jobs.localvertex.engine", "devices"]
        try:
            answer = subprocess.run(
                command,
                cwd=settings.BASE_DIR,
                env=without_secrets(os.environ),
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CommandError(f"The GPUs did not answer within {SECONDS} seconds. Look at nvidia-smi.") from None
        if answer.returncode:
            reason = (answer.stderr.strip().splitlines() or ["it gave no reason"])[-1]
            raise CommandError(f"The engine of this installation does not start: {reason}")
        self.stdout.write(answer.stdout.rstrip())
