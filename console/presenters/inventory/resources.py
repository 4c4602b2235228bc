"""What was found, row by row: what it costs, what it works on, and what can be done with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import Count, Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy

from console.presenters.components.price_words import money
from console.templatetags.endpoints import machine_words
from jobs.models import Endpoint, FoundKind, FoundResource, InventoryLook
from jobs.services.inventory import attachment, policies
from jobs.states import TuningState

TABS: dict[str, tuple[FoundKind, str | Promise]] = {
    "endpoints": (FoundKind.ENDPOINT, gettext_lazy("Endpoints")),
    "models": (FoundKind.MODEL, gettext_lazy("Registered models")),
    "tuning-jobs": (FoundKind.TUNING_JOB, gettext_lazy("Tuning jobs")),
    "custom-jobs": (FoundKind.CUSTOM_JOB, gettext_lazy("Custom jobs")),
}
GOOGLE = "https://console.cloud.google.com"
# As the links of Google's SDK lead there.
JOB_PAGES = {
    FoundKind.TUNING_JOB: "vertex-ai/generative/language/locations/{location}/tuning/tuningJob/{job}",
    FoundKind.CUSTOM_JOB: "agent-platform/locations/{location}/training/{job}",
}
KNOWN_STATES = dict(TuningState.choices)


@dataclass(frozen=True)
class Machine:
    title: str | Promise
    count: str


@dataclass(frozen=True)
class Shown:
    """`attached`: the endpoint of this person that stands for it."""

    found: FoundResource
    attached: Endpoint | None
    why_not_attach: str

    @property
    def is_endpoint(self) -> bool:
        return self.found.kind == FoundKind.ENDPOINT

    @property
    def is_job(self) -> bool:
        return self.found.kind in JOB_PAGES

    @property
    def google_url(self) -> str:
        """Where a job can be changed; nothing on a local run, which Google's console does not know."""
        if not self.is_job or settings.VERTEX_API_ENDPOINT:
            return ""
        page = JOB_PAGES[FoundKind(self.found.kind)]
        path = page.format(location=quote(self.found.location, safe=""), job=quote(self.found.key, safe=""))
        return f"{GOOGLE}/{path}?{urlencode({'project': settings.VERTEX_PROJECT})}"

    @property
    def models(self) -> list[dict[str, Any]]:
        told = self.found.facts.get("models", [])
        return [one | {"machine": machine_title(one), "replicas": replicas(one)} for one in told]

    @property
    def machines(self) -> list[Machine]:
        """Each as often as there are models or pools on it."""
        return [Machine(machine_title(one), replicas(one)) for one in self.found.facts.get("machines", [])]

    @property
    def look(self) -> str:
        """The state whose sign it has."""
        if self.found.state:
            return self.found.state
        return "READY" if self.found.is_running or self.found.kind == FoundKind.MODEL else "UNDEPLOYED"

    @property
    def state_words(self) -> str | Promise:
        if self.found.kind == FoundKind.MODEL:
            return _("Registered")
        if self.is_endpoint:
            return _("Serving") if self.found.is_running else _("Empty")
        return KNOWN_STATES.get(self.found.state) or self.found.state.replace("_", " ").capitalize()

    @property
    def cost_words(self) -> str | Promise:
        """An hour, of what always works."""
        if not self.found.is_running:
            return "–"
        price = self.found.usd_per_hour
        if price is None:
            return _("Unknown")
        return money(price) if price else _("No cost")


def machine_title(told: dict[str, Any]) -> str | Promise:
    return machine_words(
        told.get("machine_type", ""), told.get("accelerator_type", ""), told.get("accelerator_count", 0)
    )


def replicas(told: dict[str, Any]) -> str:
    low, high = told.get("count", 0), told.get("most", 0)
    return str(low) if high <= low else f"{low}–{high}"


def describe(user: User, found: Iterable[FoundResource]) -> list[Shown]:
    rows = list(found)
    attached = attachment.find_attached(user, rows)
    return [Shown(row, attached.get(row.resource_name), policies.why_not_attach(user, row)) for row in rows]


def tabs(user: User) -> list[tuple[str, str | Promise, int]]:
    counts = {str(kind): Count("pk", filter=Q(kind=kind)) for kind, _label in TABS.values()}
    found = FoundResource.objects.visible_to(user).aggregate(**counts)
    return [(key, label, found[kind]) for key, (kind, label) in TABS.items()]


@dataclass(frozen=True)
class Region:
    """How the last look at a region went. `problems`: each kind that could not be read, with why."""

    name: str
    looks: list[InventoryLook]

    @property
    def problems(self) -> list[InventoryLook]:
        return [look for look in self.looks if look.problem]

    @property
    def cut(self) -> list[InventoryLook]:
        return [look for look in self.looks if not look.is_whole and not look.problem]

    @property
    def looked_at(self) -> Any:
        return min(look.looked_at for look in self.looks)


def regions() -> list[Region]:
    """Those with a problem first."""
    found: dict[str, list[InventoryLook]] = {}
    for look in InventoryLook.objects.all():
        found.setdefault(look.location, []).append(look)
    return sorted((Region(name, looks) for name, looks in found.items()), key=lambda one: (not one.problems, one.name))
