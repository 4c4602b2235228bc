"""Draws the transition tables into docs/states.md, so that the page cannot say anything else than the code."""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import TextChoices

from jobs import states

HEAD = """# States

Drawn by `manage.py statemachine` from `jobs/states.py`; do not edit. Every change of state goes through one of these
tables, a move that is not drawn here raises `InvalidTransition`.
"""

MACHINES: list[tuple[str, str, type[TextChoices], Mapping[str, frozenset[str]]]] = [
    (
        "Tuning job",
        "What Vertex AI does with the job; its JobState names.",
        states.TuningState,
        states.TUNING_TRANSITIONS,
    ),
    (
        "Creating a remote resource",
        "How sure the console is that the tuning job or endpoint exists. Only SUBMITTING sends the paid request.",
        states.Phase,
        states.PHASE_TRANSITIONS,
    ),
    ("Endpoint", "What is paid for, and what becomes of it.", states.EndpointState, states.ENDPOINT_TRANSITIONS),
    (
        "Model on an endpoint",
        "An endpoint has any number of deployed models; the first one comes with it.",
        states.DeployedState,
        states.DEPLOYED_TRANSITIONS,
    ),
    ("Answer in a chat", "How a turn of the model ended.", states.MessageState, states.MESSAGE_TRANSITIONS),
]


class Command(BaseCommand):
    help = "Writes docs/states.md; with --check only says whether it is up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="fail when docs/states.md is stale")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / "docs" / "states.md"
        text = page()
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise CommandError("docs/states.md is stale; run: manage.py statemachine")


def page() -> str:
    return "\n".join([HEAD, *(section(*machine) for machine in MACHINES)])


def section(
    title: str, remark: str, choices: type[TextChoices], table: Mapping[str, frozenset[str]]
) -> str:  # fmt: skip
    names = [str(choice.value) for choice in choices]
    first = next(iter(table))
    lines = [f"    [*] --> {first}"]
    for old in names:
        lines += [f"    {old} --> {new}" for new in names if new in table[old]]
        lines += [] if table[old] else [f"    {old} --> [*]"]
    meanings = "\n".join(f"- `{choice.value}`: {choice.label}" for choice in choices)
    diagram = "\n".join(lines)
    return f"## {title}\n\n{remark}\n\n```mermaid\nstateDiagram-v2\n{diagram}\n```\n\n{meanings}\n"
