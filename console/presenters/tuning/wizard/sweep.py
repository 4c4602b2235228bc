"""The sweep of a draft: how many jobs, what they vary, and what all of them take together."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.functional import Promise
from django.utils.translation import gettext as _

from console.forms.tuning.sweep import LABELS
from jobs.services.costs import estimates
from jobs.services.tuning.spec import TuningSpec
from jobs.services.tuning.sweeps.spec import Varied, count_jobs, format_value, list_combinations, list_variants


@dataclass(frozen=True)
class Plan:
    count: int
    lines: list[tuple[str | Promise, str]]
    first: str
    folders: tuple[str, str]


@dataclass(frozen=True)
class Totals:
    """Of all jobs, one after the other; None where that of one is not known."""

    count: int
    tokens: int
    seconds: float | None
    cost_usd: Decimal | None


def plan_of(spec: TuningSpec, varied: Varied) -> Plan:
    variants = list_variants(spec, varied)
    return Plan(
        count=len(variants),
        lines=lines_of(varied),
        first=variants[0].display_name,
        folders=(variants[0].output_uri, variants[-1].output_uri),
    )


def add_up(varied: Varied, estimate: Callable[[int | None, int | None], estimates.Estimate]) -> Totals | None:
    """`estimate`: of one job, by its epochs and batch size where these vary; nothing else makes a difference to it.
    None: there is no sweep."""
    if not varied:
        return None
    pairs = [(one.get("epochs"), one.get("batch_size")) for one in list_combinations(varied)]
    by_pair = {pair: estimate(*pair) for pair in set(pairs)}
    found = [by_pair[pair] for pair in pairs]
    times, costs = [one.seconds for one in found], [one.cost_usd for one in found]
    return Totals(
        count=len(found),
        tokens=sum(one.tokens for one in found),
        seconds=None if None in times else sum(time for time in times if time is not None),
        cost_usd=None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0)),
    )


def lines_of(varied: Varied) -> list[tuple[str | Promise, str]]:
    return [(LABELS[name], ", ".join(map(format_value, values))) for name, values in varied.items()]


def sweep_line(varied: Varied) -> tuple[str, object]:
    """As a line of the review."""
    words = " × ".join(f"{label} {values}" for label, values in lines_of(varied))
    return _("Sweep"), _("%(count)d jobs: %(settings)s") % {"count": count_jobs(varied), "settings": words}
