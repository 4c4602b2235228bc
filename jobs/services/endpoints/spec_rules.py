"""What an endpoint and a deployed model may be asked to be: the one judge for forms and services."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobs.errors import InvalidValues, Problem
from jobs.models import LeaseKind
from jobs.models.endpoint import LONGEST_LEASE, MAX_REPLICAS
from jobs.models.fields.names import name_problem
from jobs.services.catalogue import regions
from jobs.text.deferred import gettext as _

from . import traffic_split
from .serving import spec as serving
from .traffic_split import ALL, share_remedy

__all__ = ["ALL", "find_problems", "hours_remedy", "replicas_remedy", "share_remedy", "validate"]
Values = Mapping[str, Any]


def validate(**values: Any) -> None:
    """Raises InvalidValues with all that is wrong."""
    if problems := find_problems(values):
        raise InvalidValues(problems)


def find_problems(values: Values) -> list[Problem]:
    """By the rules all of whose fields are there; others are not looked at."""
    return [problem for needs, find in RULES.items() if needs <= values.keys() for problem in find(values)]


def replicas_remedy() -> str:
    return _("Enter a whole number from 1 to %(most)d.") % {"most": MAX_REPLICAS}


def hours_remedy() -> str:
    return _("Enter a whole number of hours from 1 to %(most)d.") % {"most": LONGEST_LEASE}


def no_idle_beside() -> str:
    return _("An endpoint scales to zero only while it has one model. Leave this empty for a model beside others.")


def _name(values: Values) -> Iterator[Problem]:
    code, sentence = name_problem(values["display_name"])
    if code:
        yield Problem(code, "display_name", sentence)


def _model_name(values: Values) -> Iterator[Problem]:
    code, sentence = name_problem(values["model_display_name"]) if values["model_display_name"] else ("", "")
    if code:
        yield Problem(code, "model_display_name", sentence)


def _replicas(values: Values) -> Iterator[Problem]:
    """None at the least only for a model that scales to zero, as its deployment said."""
    to_zero = values["min_replicas"] == 0 and values.get("scales_to_zero", False) is True
    names = ("max_replicas",) if to_zero else ("min_replicas", "max_replicas")
    wrong = [name for name in names if not serving.is_within(values[name], 1, MAX_REPLICAS)]
    for name in wrong:
        yield Problem("out_of_range", name, replicas_remedy())
    if not wrong and values["max_replicas"] < values["min_replicas"]:
        yield Problem("below_minimum", "max_replicas", _("The maximum can't be smaller than the minimum."))


def _lease(values: Values) -> Iterator[Problem]:
    """Neither, for an endpoint that serves until somebody undeploys it, or both."""
    kind, hours = values["lease_kind"], values["lease_hours"]
    if not kind and hours is None:
        return
    if kind not in LeaseKind.values:
        yield Problem("invalid_choice", "lease_kind", _("Select when the model is undeployed."))
    elif not serving.is_within(hours, 1, LONGEST_LEASE):
        yield Problem("out_of_range", "lease_hours", hours_remedy())


def _location(values: Values) -> Iterator[Problem]:
    if reason := regions.why_not_deploy_in(values["location"]):
        yield Problem("invalid_choice", "location", reason)


def _options(values: Values) -> Iterator[Problem]:
    yield from serving.find_problems(values["options"])


def _conflicts(values: Values) -> Iterator[Problem]:
    yield from serving.find_conflicts(
        values["options"], machine_type=values["machine_type"], accelerators=values["accelerator_count"],
        spot=values["spot"], shared_address=values["shared_address"],
    )  # fmt: skip


def _share(values: Values) -> Iterator[Problem]:
    if not traffic_split.is_share(values["share"]):
        yield Problem("out_of_range", "share", share_remedy())


def _traffic_split(values: Values) -> Iterator[Problem]:
    if reason := traffic_split.why_not_use(values["traffic_split"]):
        yield Problem("wrong_sum", "traffic_split", reason)


RULES: Mapping[frozenset[str], Callable[[Values], Iterator[Problem]]] = {
    frozenset({"display_name"}): _name,
    frozenset({"model_display_name"}): _model_name,
    frozenset({"min_replicas", "max_replicas"}): _replicas,
    frozenset({"lease_kind", "lease_hours"}): _lease,
    frozenset({"location"}): _location,
    frozenset({"options"}): _options,
    frozenset({"options", "machine_type", "accelerator_count", "spot", "shared_address"}): _conflicts,
    frozenset({"share"}): _share,
    frozenset({"traffic_split"}): _traffic_split,
}
