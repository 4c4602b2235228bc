"""The table of what the console asks Google is complete, and what the command writes."""

import re

from jobs.vertex.sdk.clients import CLIENTS
from tests.support import gateway_calls


def test_the_document_is_what_the_command_writes():
    assert gateway_calls.DOCUMENT.read_text(encoding="utf-8") == gateway_calls.write(), (
        "run python -m tests.support.gateway_calls"
    )


def test_the_paid_calls_are_in_it():
    requests = {f"{call.method} {call.path}" for call in gateway_calls.find_calls()}
    assert {
        "POST v1beta1/projects/*/locations/*/tuningJobs",
        "POST v1beta1/projects/*/locations/*:deploy",
        "POST v1beta1/projects/*/locations/*/endpoints/*:deployModel",
        "POST v1beta1/projects/*/locations/*/endpoints/*/chat/completions",
    } <= requests


def test_every_client_is_used():
    """One that is not would be in no row, and its calls would go unnoticed when they come back under another name."""
    code = "".join(path.read_text(encoding="utf-8") for path in gateway_calls.CODE.rglob("*.py"))
    assert [name for name in CLIENTS if len(re.findall(f'"{name}"', code)) < 2] == []


def test_each_has_documentation_of_google():
    assert [
        call
        for call in gateway_calls.find_calls()
        if not re.fullmatch(r"https://docs\.cloud\.google\.com/[\w./-]+", call.documentation)
    ] == []
