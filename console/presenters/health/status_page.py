"""The page of settings and status, and its diagnostics."""

import os
import platform
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import django
from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy

from console.presenters.health.status_words import cards, overall
from console.web import streams
from jobs.services.health import processes, status
from jobs.services.health.status import Service

SECRETS = (
    (re.compile(r"(://)[^/@\s]+@"), r"\1…@"),
    (re.compile(r"[\w.+-]+(@[\w-]+\.[\w.-]+)"), r"…\1"),
    (re.compile(r"\b(ya29\.|AIza|GOCSPX-|eyJ)[\w.~+/=-]+"), "…"),
    (re.compile(r"(?i)\b(password|passwd|secret|token|api[_-]?key|private[_-]?key)([\"']?\s*[=:]\s*)\S+"), r"\1\2…"),
)
VARIABLES = (
    ("VERTEX_PROJECT", gettext_lazy("Project")),
    ("VERTEX_LOCATION", gettext_lazy("Region")),
    ("VERTEX_BUCKET", gettext_lazy("Bucket")),
    ("VERTEX_API_ENDPOINT", gettext_lazy("Vertex AI address")),
    ("STORAGE_EMULATOR_HOST", gettext_lazy("Cloud Storage address")),
)
GOOGLES = frozenset({"VERTEX_API_ENDPOINT", "STORAGE_EMULATOR_HOST"})


@dataclass(frozen=True)
class Setting:
    """`is_set`: by the environment variable `name`, and not by default."""

    name: str
    label: str | Promise
    value: str | Promise
    is_set: bool


def status_context(now: datetime) -> dict[str, Any]:
    found = [with_pages(service) for service in status.list_services(now)]
    look, line = overall(status.count_states(found))
    return {
        "cards": cards(found),
        "overall_look": look,
        "overall": line,
        "supervised": processes.read_supervised(),
        "diagnostics": diagnostics(found, now),
    }


def with_pages(service: Service) -> Service:
    """Only this process knows of its own streams."""
    if service.name != "live":
        return service
    return replace(service, facts={"pages": sum(streams.app.open_by_user.values())})


def settings_shown() -> list[Setting]:
    return [Setting(name, label, value_of(name), bool(os.environ.get(name))) for name, label in VARIABLES]


def value_of(name: str) -> str | Promise:
    value = str(getattr(settings, name, "") or os.environ.get(name, ""))
    return redact(value) or (_("Google's default") if name in GOOGLES else _("Not set"))


def diagnostics(found: list[Service], now: datetime) -> str:
    """For a bug report, so in English and without secrets or people's addresses."""
    system = os.uname()  # platform.platform() would start a program, which inherits every setting
    lines = [
        f"Garden Console {settings.VERSION}, {now:%Y-%m-%d %H:%M:%S} UTC",
        f"Python {platform.python_version()}, Django {django.get_version()}, "
        f"{system.sysname} {system.release} {system.machine}",
        *(f"{one.name}={one.value}" for one in settings_shown() if one.is_set),
    ]
    lines += [line_of(service) for service in found]
    return redact("\n".join(lines + [line_of_supervised(one) for one in processes.read_supervised()]))


def line_of_supervised(one: processes.Supervised) -> str:
    last = f", the last time because it {one.reason}" if one.reason else ""
    since = one.since.isoformat(timespec="seconds")
    return f"process {one.name} {one.pid}: since {since}, started again {one.restarts} times{last}"


def line_of(service: Service) -> str:
    facts = {name: value for name, value in service.facts.items() if name != "principal"}
    checked = service.checked_at.isoformat(timespec="seconds") if service.checked_at else "never"
    latency = "" if service.latency_ms is None else f" {service.latency_ms} ms"
    return (
        f"{service.name}: {service.state.value} (checked {checked}{latency}) {service.problem} {facts or ''}".rstrip()
    )


def redact(text: str) -> str:
    for pattern, kept in SECRETS:
        text = pattern.sub(kept, text)
    return text
