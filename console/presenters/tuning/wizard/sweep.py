"""The sweep of a draft: how many jobs, what they vary, and what all of them take together."""

from dataclasses import dataclass
from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from console.forms.tuning.sweep import LABELS
from jobs.services.costs import estimates
from jobs.services.tuning.spec import TuningSpec
from jobs.services.tuning.sweeps.spec import Varied, count_jobs, format_value, list_variants


@dataclass(frozen=True)
class Plan:
    """`seconds` and `cost_usd`: one after the other, of all; None where that of one is not known."""

    count: int
    lines: list[tuple[str | Promise, str]]
    first: str
    folders: tuple[str, str]
    seconds: float | None
    cost_usd: Decimal | None


def plan_of(spec: TuningSpec, varied: Varied) -> Plan:
    variants = list_variants(spec, varied)
    by_epochs = {epochs: _estimate(spec, epochs) for epochs in {one.epochs for one in variants}}
    found = [by_epochs[one.epochs] for one in variants]
    times, costs = [one.seconds for one in found], [one.cost_usd for one in found]
    return Plan(
        count=len(variants),
        lines=lines_of(varied),
        first=variants[0].display_name,
        folders=(variants[0].output_uri, variants[-1].output_uri),
        seconds=None if None in times else sum(time for time in times if time is not None),
        cost_usd=None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0)),
    )


def _estimate(spec: TuningSpec, epochs: int) -> estimates.Estimate:
    """What else varies makes no difference to it."""
    return estimates.of_data(
        spec.dataset,
        epochs,
        spec.base_model,
        spec.tuning_mode,
        training_machine=spec.training_machine,
        region=spec.location,
    )


def lines_of(varied: Varied) -> list[tuple[str | Promise, str]]:
    return [(LABELS[name], ", ".join(map(format_value, values))) for name, values in varied.items()]


def sweep_line(varied: Varied) -> tuple[str, object]:
    """As a line of the review."""
    words = " × ".join(f"{label} {values}" for label, values in lines_of(varied))
    return _("Sweep"), _("%(count)d jobs: %(settings)s") % {"count": count_jobs(varied), "settings": words}
