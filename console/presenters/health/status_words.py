"""What each part of the console is called, what stops without it, and how it is put right."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy as _, ngettext

from jobs.models import ServiceState
from jobs.services.health.status import Service

Words = str | Promise
RANK = {ServiceState.FAILED: 0, ServiceState.WARNING: 1, ServiceState.UNKNOWN: 2, ServiceState.OK: 3}
LOOKS = {
    ServiceState.OK: "READY",
    ServiceState.WARNING: "NEEDS_DECISION",
    ServiceState.FAILED: "FAILED",
    ServiceState.UNKNOWN: "UNKNOWN",
}


@dataclass(frozen=True)
class Entry:
    """`commands` by where they are run; `{bucket}` and `{data_dir}` stand for the configured ones."""

    title: Words
    icon: str
    breaks: Words
    remedy: Words
    commands: Mapping[Words, str]


ONE_MACHINE, WITH_DOCKER = _("On one machine"), _("With Docker")
UP = "python manage.py up"
SWITCH_ON = "gcloud services enable aiplatform.googleapis.com"
SIGN_IN_AGAIN = "gcloud auth application-default login"
ENTRIES = {
    "database": Entry(
        _("Database"), "table_chart", _("Nothing can be read or changed."),
        _("Start the database and check its log."), {ONE_MACHINE: UP, WITH_DOCKER: "docker compose up -d postgres"},
    ),
    "broker": Entry(
        _("Broker"), "swap_vert",
        _("Jobs progress more slowly, chats don't answer, and pages don't update automatically."),
        _("Restart Redis. No data is lost."),
        {ONE_MACHINE: UP, WITH_DOCKER: "docker compose restart redis"},
    ),
    "worker": Entry(
        _("Workers"), "model_training", _("Jobs, deployments and chats wait."),
        _("Restart the worker. It resumes where it stopped."),
        {ONE_MACHINE: UP, WITH_DOCKER: "docker compose up -d worker-jobs worker-chat"},
    ),
    "chat": Entry(
        _("Chat workers"), "chat", _("Chats and comparisons wait for their answers."),
        _("Restart the chat worker. Waiting questions are answered then."),
        {ONE_MACHINE: UP, WITH_DOCKER: "docker compose up -d worker-chat"},
    ),
    "web": Entry(
        _("Pages"), "language", _("Pages served by a process that doesn't respond don't open."),
        _("Restart the web process. No data is lost."),
        {ONE_MACHINE: UP, WITH_DOCKER: "docker compose up -d web"},
    ),
    "scheduler": Entry(
        _("Scheduler"), "schedule", _("Jobs aren't checked, and endpoints aren't undeployed on time."),
        _("Restart the scheduler. Running two at once does no harm."),
        {ONE_MACHINE: UP, WITH_DOCKER: "docker compose up -d beat"},
    ),
    "storage": Entry(
        _("Object storage"), "folder", _("Datasets can't be uploaded, and results can't be written."),
        _("Check the failed step, and grant the worker's account access to the bucket."),
        {ONE_MACHINE: UP, _("Grant access"): "gcloud storage buckets add-iam-policy-binding {bucket}"
         " --member=serviceAccount:ACCOUNT --role=roles/storage.objectUser"},
    ),
    "files": Entry(
        _("File store"), "folder", _("Datasets and chat images can't be opened or added."),
        _("Check the failed step, FILES_URL, its credentials, and its access to the bucket."),
        {WITH_DOCKER: "docker compose logs --tail 50 web worker-jobs"},
    ),
    "vertex": Entry(
        _("Vertex AI"), "deployed_code", _("You can't tune, deploy, or chat with models."),
        _("Check the failed step. Sign in again, or enable the API in the project."),
        {ONE_MACHINE: UP, _("Sign in"): SIGN_IN_AGAIN, _("Enable the API"): SWITCH_ON},
    ),
    "clock": Entry(
        _("Clock"), "timer",
        _("Google rejects credentials if the clock is off by minutes, and displayed times are wrong."),
        _("Turn on automatic time synchronization."), {_("On Linux"): "sudo timedatectl set-ntp true"},
    ),
    "live": Entry(
        _("Live updates"), "sync_problem", _("Pages show changes only after you reload them."),
        _("Restart Redis, or check its log. Its memory might be full."),
        {ONE_MACHINE: UP, WITH_DOCKER: "docker compose restart redis"},
    ),
    "disk": Entry(
        _("Disk"), "dns", _("When the disk is full, uploads, training on this machine, and all changes stop."),
        _("Free up disk space. To see what uses it, run:"), {_("The data directory"): "du -sh {data_dir}/*"},
    ),
}  # fmt: skip
CREDENTIALS_REMEDY = _(
    "Give the workers credentials that they can read, as described above. They check again automatically."
)
CREDENTIALS_COMMANDS: Mapping[Words, str] = {
    _("Sign in"): SIGN_IN_AGAIN,
    _("File permissions, with Docker"): "docker compose exec worker-jobs"
    " sh -c 'id; ls -lnd \"$GOOGLE_APPLICATION_CREDENTIALS\"'",
}
LOCAL_REMEDIES: dict[str, Words] = {
    "storage": _("Check the failed step. To restart the local storage, restart the console."),
    "vertex": _("Check the failed step. To restart the local Vertex AI, restart the console."),
}
STEPS: dict[str, Words] = {
    "credentials": _("Find credentials"),
    "api": _("Reach Vertex AI in the region, with its API enabled"),
    "rights": _("List tuning jobs"),
    "bucket": _("Find the bucket, with write access"),
    "write": _("Write a test object"),
    "read": _("Read it back"),
    "delete": _("Delete it"),
}
LOCAL_STEPS: dict[str, Words] = {
    "credentials": _("Find credentials (none needed)"),
    "api": _("Reach the local Vertex AI"),
}
CREDENTIALS: dict[str, Words] = {
    "none": _("None: the local Vertex AI needs none"),
    "user": _("User account (gcloud)"),
    "service-account": _("Service account"),
    "metadata": _("Service account of the machine"),
    "federation": _("Workload identity federation"),
    "other": _("Other"),
}
STEP_LOOKS = {ServiceState.OK: ("check_circle", "ok"), ServiceState.FAILED: ("error", "bad")}


@dataclass(frozen=True)
class Step:
    label: Words
    state: ServiceState

    @property
    def icon(self) -> str:
        return STEP_LOOKS.get(self.state, ("help", "off"))[0]

    @property
    def look(self) -> str:
        return STEP_LOOKS.get(self.state, ("help", "off"))[1]


@dataclass(frozen=True)
class Card:
    service: Service

    @property
    def entry(self) -> Entry:
        entry = ENTRIES[self.service.name]
        if self.service.facts.get("lacks") == "credentials":
            return replace(entry, remedy=CREDENTIALS_REMEDY, commands=CREDENTIALS_COMMANDS)
        if settings.VERTEX_API_ENDPOINT and self.service.name in LOCAL_REMEDIES:
            return replace(entry, remedy=LOCAL_REMEDIES[self.service.name], commands={ONE_MACHINE: UP})
        return entry

    @property
    def commands(self) -> list[tuple[Words, str]]:
        bucket = "/".join((settings.VERTEX_BUCKET or "gs://BUCKET").split("/")[:3])
        named = {"bucket": bucket, "data_dir": str(settings.DATA_DIR)}
        return [(where, command.format(**named)) for where, command in self.entry.commands.items()]

    @property
    def look(self) -> str:
        return LOOKS[self.service.state]

    @property
    def steps(self) -> list[Step]:
        labels = STEPS | LOCAL_STEPS if settings.VERTEX_API_ENDPOINT else STEPS
        return [Step(labels[one["name"]], ServiceState(one["state"])) for one in self.service.facts.get("steps", [])]

    @property
    def facts(self) -> list[tuple[Words, Words]]:
        return [(label, value) for label, value in FACTS.get(self.service.name, _no_facts)(self.service.facts) if value]

    @property
    def latency(self) -> str:
        """Never 0 ms: what takes less than one is shown as that."""
        if self.service.latency_ms is None:
            return ""
        if self.service.latency_ms < 1:
            return gettext("less than 1 ms")
        if self.service.latency_ms < 1000:
            return gettext("%(number)d ms") % {"number": round(self.service.latency_ms)}
        return gettext("%(value).1f s") % {"value": self.service.latency_ms / 1000}


def cards(services: list[Service]) -> list[Card]:
    """The failing first, the rest in their order."""
    return [Card(service) for service in sorted(services, key=lambda service: RANK[service.state])]


def overall(numbers: Mapping[ServiceState, int]) -> tuple[str, str]:
    """A look and a line."""
    problems = numbers[ServiceState.FAILED] + numbers[ServiceState.WARNING]
    if problems:
        text = ngettext("%(count)d problem", "%(count)d problems", problems) % {"count": problems}
        return LOOKS[ServiceState.FAILED if numbers[ServiceState.FAILED] else ServiceState.WARNING], text
    if unknown := numbers[ServiceState.UNKNOWN]:
        text = ngettext(
            "%(count)d service has an unknown status", "%(count)d services have an unknown status", unknown
        ) % {"count": unknown}  # fmt: skip
        return LOOKS[ServiceState.UNKNOWN], text
    return LOOKS[ServiceState.OK], gettext("All services working")


def _no_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    return []


def _broker_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    waiting = facts.get("queues", {})
    return [(_("Messages waiting"), " · ".join(f"{queue} {count}" for queue, count in waiting.items()))]


def _worker_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    waits = facts.get("waiting", 0)
    oldest = gettext("%(s)d s") % {"s": waits} if waits >= 1 else _("Nothing is waiting")
    told = [
        (_("Version"), facts.get("version", "")), (_("Machine"), facts.get("host", "")), (_("Longest wait"), oldest),
    ]  # fmt: skip
    return [*told, *_process_facts(facts)]


def _process_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    """Each by its number and machine."""
    words = [gettext("%(pid)s on %(host)s") % one for one in facts.get("processes", [])]
    return [(_("Processes"), " · ".join(words))]


def _vertex_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    kind = facts.get("credentials", "")
    return [
        (_("Project"), facts.get("project", "")),
        (_("Region"), facts.get("location", "")),
        (_("Credentials"), CREDENTIALS.get(kind, kind)),
        (_("Account"), facts.get("principal", "")),
        (_("Roles"), "" if settings.VERTEX_API_ENDPOINT else _("Unknown: Vertex AI doesn't report them")),
        *((_("GPU"), _gpu_words(one)) for one in facts.get("gpus", [])),
    ]


def _gpu_words(gpu: Mapping[str, Any]) -> str:
    sizes = {"free": filesizeformat(gpu["free"]), "total": filesizeformat(gpu["total"])}
    return f"{gpu['name']} · " + gettext("%(free)s of %(total)s free") % sizes


def _clock_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    skew = facts.get("skew")
    if skew is None:
        return []
    told = _("Less than a second") if abs(skew) < 1 else gettext("%(s)+.1f s") % {"s": skew}
    return [(_("Difference from Vertex AI"), told)]


def _disk_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    words = {"free": filesizeformat(facts.get("free", 0)), "total": filesizeformat(facts.get("total", 0))}
    return [(_("Free"), gettext("%(free)s of %(total)s") % words)] if facts else []


def _live_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    return [(_("Pages open in this process"), str(facts["pages"]))] if "pages" in facts else []


def _database_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    return [(_("Kind"), {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(facts.get("engine", ""), ""))]


def _files_facts(facts: Mapping[str, Any]) -> list[tuple[Words, Words]]:
    return [(_("Location"), facts.get("place", ""))]


FACTS = {
    "database": _database_facts,
    "broker": _broker_facts,
    "worker": _worker_facts,
    "chat": _process_facts,
    "web": _process_facts,
    "vertex": _vertex_facts,
    "clock": _clock_facts,
    "disk": _disk_facts,
    "files": _files_facts,
    "live": _live_facts,
}
