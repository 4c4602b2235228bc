"""What a notification says. Kept are facts; the sentence is made when it is read, in the reader's language."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.formats import time_format
from django.utils.translation import gettext as _, gettext_lazy, ngettext

from jobs.states import EndpointState, TuningState

Facts = Mapping[str, Any]


class Kind(models.TextChoices):
    """The values are the `type` of a webhook, so they are never renamed."""

    TUNING_SUCCEEDED = "tuning.succeeded", gettext_lazy("Tuning job succeeded")
    TUNING_FAILED = "tuning.failed", gettext_lazy("Tuning job failed")
    TUNING_CANCELLED = "tuning.cancelled", gettext_lazy("Tuning job cancelled")
    TUNING_UNDECIDED = "tuning.undecided", gettext_lazy("Tuning job needs your decision")
    ENDPOINT_READY = "endpoint.ready", gettext_lazy("Endpoint ready")
    ENDPOINT_FAILED = "endpoint.failed", gettext_lazy("Endpoint failed")
    ENDPOINT_SCALED = "endpoint.scaled", gettext_lazy("Replicas changed")
    ENDPOINT_UNDEPLOYED = "endpoint.undeployed", gettext_lazy("Endpoint undeployed")
    ENDPOINT_DELETED = "endpoint.deleted", gettext_lazy("Endpoint deleted")
    ENDPOINT_IDLE = "endpoint.idle", gettext_lazy("Idle endpoint incurs costs")
    ENDPOINT_ENDING = "endpoint.ending", gettext_lazy("Time limit ends soon")
    MODEL_READY = "model.ready", gettext_lazy("Model added to an endpoint")
    MODEL_FAILED = "model.failed", gettext_lazy("Model not added to an endpoint")
    MODEL_UNDEPLOYED = "model.undeployed", gettext_lazy("Model undeployed from an endpoint")
    DATASET_MADE = "dataset.made", gettext_lazy("Dataset converted or split")
    IMPORT_SUCCEEDED = "model_import.succeeded", gettext_lazy("Model import succeeded")
    IMPORT_FAILED = "model_import.failed", gettext_lazy("Model import failed or paused")
    TEST = "test", gettext_lazy("Test")


def title(kind: str, facts: Facts) -> str:
    made = TITLES_BY_STATE.get((kind, facts.get("state", ""))) or TITLES[kind]
    return made() % {name: " ".join(str(facts.get(name, "")).split()) for name in ("name", "endpoint")}


def detail(kind: str, facts: Facts) -> str:
    if kind == Kind.TUNING_UNDECIDED:
        return _("It's unclear whether Vertex AI accepted the job. Decide whether to send it again or give it up.")
    if kind == Kind.ENDPOINT_SCALED and not facts.get("reason"):
        return _("Current number of replicas: %s.") % str(facts.get("replicas", "?"))
    if kind == Kind.ENDPOINT_IDLE:
        return _idle(str(facts.get("usd_per_hour", "")))
    if kind == Kind.ENDPOINT_ENDING:
        at = timezone.localtime(datetime.fromisoformat(facts["at"]))
        return _("It ends at %s. If you still need the endpoint, extend the time limit on its page.") % time_format(
            at, "TIME_FORMAT"
        )
    if cause := facts.get("cause"):
        return _cause(str(cause), facts)
    return str(facts.get("reason", ""))


def _idle(usd_per_hour: str) -> str:
    if usd_per_hour:
        return _("It costs about $%s per hour. Undeploy it or set a time limit.") % usd_per_hour
    return _("The price of its machine is unknown. Undeploy it or set a time limit.")


def _cause(cause: str, facts: Facts) -> str:
    hours = int(facts.get("hours", 0))
    if cause == "idle":
        return (
            ngettext(
                "Time limit reached: no requests for %d hour.", "Time limit reached: no requests for %d hours.", hours
            )
            % hours
        )
    if cause == "lease":
        return _("Time limit reached.")
    return _("It was done outside this console.") if cause == "outside" else ""


TITLES: dict[str, Callable[[], str]] = {
    Kind.TUNING_SUCCEEDED: lambda: _("Tuning %(name)s succeeded"),
    Kind.TUNING_FAILED: lambda: _("Tuning %(name)s failed"),
    Kind.TUNING_CANCELLED: lambda: _("Tuning %(name)s was cancelled"),
    Kind.TUNING_UNDECIDED: lambda: _("Tuning %(name)s needs your decision"),
    Kind.ENDPOINT_READY: lambda: _("The endpoint %(name)s is ready"),
    Kind.ENDPOINT_FAILED: lambda: _("The endpoint %(name)s failed"),
    Kind.ENDPOINT_SCALED: lambda: _("The replicas of the endpoint %(name)s were changed"),
    Kind.ENDPOINT_UNDEPLOYED: lambda: _("The endpoint %(name)s was undeployed"),
    Kind.ENDPOINT_DELETED: lambda: _("The endpoint %(name)s was deleted"),
    Kind.ENDPOINT_IDLE: lambda: _("No requests to the endpoint %(name)s for a day"),
    Kind.ENDPOINT_ENDING: lambda: _("The time limit of the endpoint %(name)s ends soon"),
    Kind.MODEL_READY: lambda: _("The model %(name)s is ready on the endpoint %(endpoint)s"),
    Kind.MODEL_FAILED: lambda: _("The model %(name)s could not be deployed on the endpoint %(endpoint)s"),
    Kind.MODEL_UNDEPLOYED: lambda: _("The model %(name)s was undeployed from the endpoint %(endpoint)s"),
    Kind.DATASET_MADE: lambda: _("The dataset %(name)s was created"),
    Kind.IMPORT_SUCCEEDED: lambda: _("The model %(name)s was imported"),
    Kind.IMPORT_FAILED: lambda: _("The import of %(name)s failed"),
    Kind.TEST: lambda: _("This is a test"),
}
TITLES_BY_STATE: dict[tuple[str, str], Callable[[], str]] = {
    (Kind.TUNING_SUCCEEDED, TuningState.PARTIALLY_SUCCEEDED): lambda: _("Tuning %(name)s partially succeeded"),
    (Kind.TUNING_FAILED, TuningState.EXPIRED): lambda: _("Tuning %(name)s expired"),
    (Kind.IMPORT_FAILED, "PAUSED"): lambda: _("The import of %(name)s was paused"),
    (Kind.ENDPOINT_SCALED, EndpointState.FAILED): lambda: _("The replicas of the endpoint %(name)s were not changed"),
}
