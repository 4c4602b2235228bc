"""What each probe tries, and what it says of it."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from jobs.errors import StoreUnavailable
from jobs.files import store
from jobs.models import Installation, ProbeResult, ServiceState
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError

Step = dict[str, str]

API_IS_OFF = ("has not been used in project", "it is disabled", "SERVICE_DISABLED")
SKEW_SHOWN = 30.0
SKEW_REFUSED = 300.0
STORAGE_STEPS = ("bucket", "write", "read", "delete")
VERTEX_STEPS = ("credentials", "api", "rights")
FILES_STEPS = ("write", "read", "delete")


@dataclass
class Found:
    """`steps` in the order tried; the first that is not OK is the last that was tried."""

    state: ServiceState = ServiceState.OK
    detail: str = ""
    steps: list[Step] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    latency_ms: int | None = None

    def fail(self, detail: str) -> None:
        self.state, self.detail = ServiceState.FAILED, detail


@contextmanager
def step(found: Found, name: str) -> Iterator[None]:
    """Writes down how it went; what goes wrong goes on to whoever called."""
    step = {"name": name, "state": str(ServiceState.OK)}
    found.steps.append(step)
    try:
        yield
    except (VertexError, StoreUnavailable):
        step["state"] = str(ServiceState.FAILED)
        raise


def add_skipped(found: Found, names: tuple[str, ...]) -> None:
    tried = {step["name"] for step in found.steps}
    found.steps += [{"name": name, "state": str(ServiceState.UNKNOWN)} for name in names if name not in tried]


def storage(found: Found) -> None:
    if not settings.VERTEX_BUCKET:
        found.fail(_("No bucket is configured. Set VERTEX_BUCKET, for example gs://my-bucket, and start again."))
        add_skipped(found, STORAGE_STEPS)
        return
    try:
        _round_trip(found)
    finally:
        add_skipped(found, STORAGE_STEPS)


def _round_trip(found: Found) -> None:
    bucket, text = get_gateway().storage, _text()
    uri = f"{settings.VERTEX_BUCKET}/console-status/{text['installation']}.json"
    content = json.dumps(text)
    with step(found, "bucket"):
        if problem := bucket.problem_with_output(uri):
            raise VertexError(problem)
    with step(found, "write"), tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "status.json")
        file.write_text(content, encoding="utf-8")
        bucket.upload(file, uri)
    try:
        with step(found, "read"):
            if bucket.read_text(uri, 1000) != content:
                raise VertexError(_("The data read from the bucket differs from the data written to it. Check again."))
    finally:
        with step(found, "delete"):
            bucket.delete(uri)


def _text() -> dict[str, str]:
    installation = Installation.objects.order_by("created_at", "pk").first()
    return {"installation": str(installation.pk) if installation else "new", "time": timezone.now().isoformat()}


def vertex(found: Found) -> None:
    """The clock of the server comes with its answer, so this fills both parts; `roles` no call tells without a role."""
    found.facts |= {"project": settings.VERTEX_PROJECT, "location": settings.VERTEX_LOCATION}
    if not settings.VERTEX_PROJECT:
        found.fail(_("No project is configured. Set VERTEX_PROJECT and start again."))
        add_skipped(found, VERTEX_STEPS)
        return
    try:
        _connect(found)
    finally:
        add_skipped(found, VERTEX_STEPS)


def _connect(found: Found) -> None:
    connection = get_gateway().connection
    with step(found, "credentials"):
        credentials = connection.credentials()
    found.facts |= {"credentials": credentials.kind, "principal": credentials.principal}
    began = timezone.now()
    try:
        told = connection.look()
    except VertexError as error:
        _say_where(found, error)
        raise
    found.latency_ms = round((timezone.now() - began).total_seconds() * 1000)
    found.steps += [{"name": name, "state": str(ServiceState.OK)} for name in ("api", "rights")]
    if gpus := connection.list_gpus():
        found.facts["gpus"] = [asdict(gpu) for gpu in gpus]
    if told is not None:
        found.facts["skew"] = _skew(told, began, timezone.now())


def _say_where(found: Found, error: VertexError) -> None:
    """Which of the things that a call needs was missing, by what was answered."""
    if error.is_about_credentials:
        found.steps[0]["state"] = str(ServiceState.FAILED)
        return
    api_answers = error.code == "PERMISSION_DENIED" and not any(words in str(error) for words in API_IS_OFF)
    found.steps.append({"name": "api", "state": str(ServiceState.OK if api_answers else ServiceState.FAILED)})
    if api_answers:
        found.steps.append({"name": "rights", "state": str(ServiceState.FAILED)})


def _skew(told: datetime, began: datetime, ended: datetime) -> float:
    """Seconds that this machine is ahead. The header has whole seconds, cut off: the middle of that second is meant."""
    middle = began + (ended - began) / 2
    return round((middle - told).total_seconds() - 0.5, 1)


def clock(found: Found) -> None:
    """From what the probe of Vertex AI, a moment ago, has written down."""
    result = ProbeResult.objects.filter(name="vertex").first()
    skew = result.facts.get("skew") if result else None
    if skew is None:
        found.state, found.detail = ServiceState.UNKNOWN, _("Vertex AI didn't report the time.")
        return
    found.facts["skew"] = skew
    if abs(skew) > SKEW_SHOWN:
        found.state = ServiceState.FAILED if abs(skew) > SKEW_REFUSED else ServiceState.WARNING
        found.detail = _("The clock of this machine differs from the clock of Vertex AI by %(seconds)d seconds.") % {
            "seconds": skew
        }


def files(found: Found) -> None:
    """Where FILES_URL points; from this worker, whose credentials may be others than those of the web process."""
    found.facts["place"] = store.place()
    text = _text()
    name, content = f"owner/probe-{text['installation']}", json.dumps(text).encode()
    try:
        with step(found, "write"):
            store.save(name, content)
        with step(found, "read"):
            _read_back(name, content)
        with step(found, "delete"):
            store.delete(name)
    finally:
        add_skipped(found, FILES_STEPS)


def _read_back(name: str, content: bytes) -> None:
    try:
        read = store.read(name)
    except FileNotFoundError:
        read = b""
    if read != content:
        raise StoreUnavailable(_("The data read from the file store differs from the data written to it. Check again."))
