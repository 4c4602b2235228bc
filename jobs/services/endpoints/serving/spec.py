"""Options of a deployment beside machine and replicas: the one judge of them, and the form in which rows keep them.

Names, ranges and which go together as Google Cloud documents them: "Scale inference nodes by using autoscaling", "Use
Flex-start VMs with inference", "Use reservations with online inference", read on 2026-11-30.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Self

from django.conf import settings

from jobs.errors import Problem
from jobs.models.endpoint import Reservation
from jobs.models.fields.labels import check_labels
from jobs.text.deferred import gettext as _

SHORTEST_IDLE, LONGEST_IDLE = 5, 480  # minutes
LONGEST_FLEX_START = 168  # hours
MAX_TARGET, PERCENT = 1_000_000, 100
MAX_RESERVATIONS = 10
# What the local Vertex AI serves.
LEAST_CONTEXT, MAX_CONTEXT = 512, 8192
LONGEST_ACCOUNT = 200
# What a model server on accelerators tells; the last two are vLLM's, which serves the open models of Model Garden.
ON_ACCELERATORS = frozenset({"gpu", "kv_cache", "waiting"})
METRICS: Mapping[str, str] = {
    "gpu": "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle",
    "cpu": "aiplatform.googleapis.com/prediction/online/cpu/utilization",
    "requests": "aiplatform.googleapis.com/prediction/online/request_count",
    "kv_cache": "prometheus.googleapis.com/vertex_vllm_gpu_cache_usage_perc",
    "waiting": "prometheus.googleapis.com/vertex_vllm_num_requests_waiting",
}
NEED_NO_MACHINE = frozenset({"context_tokens", "endpoint_labels", "precision", "service_account"})
COUNTED = frozenset({"requests", "waiting"})
# Of the local Vertex AI, the smallest first; the names are llama.cpp's.
PRECISIONS: Mapping[str, str] = {"q4_k_m": "Q4_K_M", "q8_0": "Q8_0", "f16": "F16"}
# Of cloud TPUs, which Flex-start and Spot do not have.
TPU = re.compile(r"ct\d")
_RESERVATION = re.compile(r"projects/[a-z0-9:.-]{1,80}/zones/[a-z0-9-]{1,40}/reservations/[a-z0-9/_-]{1,130}")
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]*@[a-z0-9.-]+\.gserviceaccount\.com")


@dataclass(frozen=True)
class ServingOptions:
    """`idle_minutes`: without a request for so long, no machine is left; None: at least one always runs. `autoscaling`:
    targets by a key of METRICS. `flex_start_hours`: from then on the model is undeployed. `precision`, a key of
    PRECISIONS, and `context_tokens`, of the longest chat, are of the local Vertex AI alone. Empty: as Google, or the
    local Vertex AI, does it by itself."""

    idle_minutes: int | None = None
    reservation: str = ""
    reservations: tuple[str, ...] = ()
    flex_start_hours: int | None = None
    autoscaling: Mapping[str, int] = field(default_factory=dict)
    service_account: str = ""
    endpoint_labels: Mapping[str, str] = field(default_factory=dict)
    precision: str = ""
    context_tokens: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Without what was not asked for."""
        kept = {one.name: getattr(self, one.name) for one in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
            for name, value in kept.items()
            if value not in (None, "", (), {})
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Of `as_json`, and of the answers of a form. What another version of this program has kept beside it is left
        out."""
        known = {one.name: kept[one.name] for one in fields(cls) if kept.get(one.name) is not None}
        return cls(**known | {"reservations": tuple(known.get("reservations", ()))})

    @property
    def is_plain(self) -> bool:
        return not self.as_json()


def is_json_of_options(value: Any) -> bool:
    """Of the right types, whatever the values: what comes from a file is not trusted before."""
    if not isinstance(value, dict) or not value.keys() <= {one.name for one in fields(ServingOptions)}:
        return False
    return all(_has_type(name, one) for name, one in value.items())


def _has_type(name: str, value: Any) -> bool:
    first = next(one for one in fields(ServingOptions) if one.name == name)
    if name == "autoscaling":
        return isinstance(value, dict) and all(isinstance(one, int) for one in value.values())
    if name == "endpoint_labels":
        return isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
    if name == "reservations":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if first.default is None:
        return value is None or (isinstance(value, int) and not isinstance(value, bool))
    return first.default is not MISSING and isinstance(value, str)


def list_offered(*, accelerators: bool, is_local: bool, beside: bool) -> list[str]:
    """Names of options, those of metrics as `autoscaling_gpu`. `beside`: the model joins others on an endpoint."""
    if is_local:
        local = ["context_tokens", "endpoint_labels", "precision"]
        return local if beside else ["idle_minutes", *local]
    metrics = [f"autoscaling_{name}" for name in METRICS if accelerators or name not in ON_ACCELERATORS]
    first = ["service_account"] if beside else ["idle_minutes"]
    return [*first, *metrics, "reservation", "reservations", "flex_start_hours", "endpoint_labels"]


def find_problems(options: ServingOptions) -> Iterator[Problem]:
    """Of each by itself."""
    if options.idle_minutes is not None and not is_within(options.idle_minutes, SHORTEST_IDLE, LONGEST_IDLE):
        yield Problem("out_of_range", "idle_minutes", idle_remedy())
    if options.flex_start_hours is not None and not is_within(options.flex_start_hours, 1, LONGEST_FLEX_START):
        yield Problem("out_of_range", "flex_start_hours", flex_start_remedy())
    if options.context_tokens is not None and not is_within(options.context_tokens, LEAST_CONTEXT, MAX_CONTEXT):
        yield Problem("out_of_range", "context_tokens", context_remedy())
    if options.context_tokens is not None and not settings.VERTEX_API_ENDPOINT:
        sentence = _("On Google Cloud, Vertex AI chooses the context. Leave this empty.")
        yield Problem("not_offered", "context_tokens", sentence)
    for name, target in options.autoscaling.items():
        most = MAX_TARGET if name in COUNTED else PERCENT
        if name not in METRICS:
            sentence = _("Vertex AI doesn't scale by %(metric)s.") % {"metric": name[:40]}
            yield Problem("invalid_choice", "autoscaling", sentence)
        elif not is_within(target, 1, most):
            yield Problem("out_of_range", f"autoscaling_{name}", target_remedy(most))
    if options.service_account and not is_service_account(options.service_account):
        sentence = _("Enter the e-mail address of a service account, such as name@project.iam.gserviceaccount.com.")
        yield Problem("invalid", "service_account", sentence)
    if options.precision and options.precision not in PRECISIONS:
        yield Problem("invalid_choice", "precision", _("Choose one of the precisions in the list."))
    try:
        check_labels(options.endpoint_labels)
    except ValueError as error:
        yield Problem("invalid", "endpoint_labels", str(error))
    yield from _bad_reservations(options)


def _bad_reservations(options: ServingOptions) -> Iterator[Problem]:
    names = options.reservations
    if options.reservation not in ("", *Reservation.values):
        yield Problem("invalid_choice", "reservation", _("Choose how reservations are used."))
    elif options.reservation != Reservation.SPECIFIC and names:
        sentence = _("To use only these reservations, choose so above. Else leave this empty.")
        yield Problem("not_offered", "reservations", sentence)
    elif options.reservation == Reservation.SPECIFIC and not 1 <= len(names) <= MAX_RESERVATIONS:
        sentence = _("Enter the reservations, from 1 to %(most)d, one on each line.") % {"most": MAX_RESERVATIONS}
        yield Problem("required", "reservations", sentence)
    elif wrong := next((name for name in names if not _RESERVATION.fullmatch(name)), ""):
        sentence = _(
            "“%(name)s” isn't the name of a reservation, such as projects/PROJECT/zones/ZONE/reservations/NAME."
        )
        yield Problem("invalid", "reservations", sentence % {"name": wrong[:80]})


def find_conflicts(
    options: ServingOptions, *, machine_type: str, accelerators: int, spot: bool = False, shared_address: bool = False
) -> Iterator[Problem]:
    """Of those that do not go together, or not with the machine."""
    if options.idle_minutes is not None and shared_address:
        sentence = _("Scaling to zero needs dedicated DNS. Clear “Turn off dedicated DNS”, or leave this empty.")
        yield Problem("not_offered", "idle_minutes", sentence)
    if options.flex_start_hours is not None and spot:
        sentence = _("A machine is either Spot or Flex-start. Choose one of them.")
        yield Problem("not_offered", "flex_start_hours", sentence)
    if options.reservation and (spot or options.flex_start_hours is not None):
        sentence = _("Spot and Flex-start machines don't come from reservations. Choose one of them.")
        yield Problem("not_offered", "reservation", sentence)
    if options.flex_start_hours is not None and TPU.match(machine_type):
        sentence = _("Flex-start isn't offered for %(machine)s.") % {"machine": machine_type}
        yield Problem("not_offered", "flex_start_hours", sentence)
    for name in ON_ACCELERATORS & options.autoscaling.keys() if machine_type and not accelerators else ():
        sentence = _("%(machine)s has no GPU to scale by.") % {"machine": machine_type}
        yield Problem("not_offered", f"autoscaling_{name}", sentence)
    if options.precision and not settings.VERTEX_API_ENDPOINT:
        sentence = _("Vertex AI serves a model in the precision of its weights. Leave this empty.")
        yield Problem("not_offered", "precision", sentence)
    if not machine_type and options.as_json().keys() - NEED_NO_MACHINE:
        sentence = _("Choose a machine. Without one, Vertex AI decides on all of the Advanced settings.")
        yield Problem("required", "machine", sentence)


def idle_remedy() -> str:
    return _("Enter a whole number of minutes from %(least)d to %(most)d.") % {
        "least": SHORTEST_IDLE, "most": LONGEST_IDLE,
    }  # fmt: skip


def context_remedy() -> str:
    return _("Enter a whole number of tokens from %(least)d to %(most)d.") % {
        "least": LEAST_CONTEXT, "most": MAX_CONTEXT,
    }  # fmt: skip


def flex_start_remedy() -> str:
    return _("Enter a whole number of hours from 1 to %(most)d.") % {"most": LONGEST_FLEX_START}


def target_remedy(most: int) -> str:
    return _("Enter a whole number from 1 to %(most)d.") % {"most": most}


def is_service_account(text: str) -> bool:
    return len(text) <= LONGEST_ACCOUNT and bool(_ACCOUNT.fullmatch(text))


def is_within(value: Any, least: int, most: int) -> bool:
    """A whole number, and neither less nor more."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
