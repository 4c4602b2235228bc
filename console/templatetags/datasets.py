from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import template
from django.conf import settings
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from jobs.models import Dataset
from jobs.services.datasets import policies

from .console import compact, status as shown_status

register = template.Library()
ACTIONS: dict[str, Callable[[Dataset], str]] = {
    "convert": policies.why_not_convert,
    "split": policies.why_not_split,
    "tune_with": policies.why_not_tune_with,
}


@register.simple_tag
def cloud_limit() -> str:
    """How large a file of Cloud Storage may be."""
    return f"{settings.DATASET_CLOUD_MAX_BYTES // 2**20} MB"


@register.filter
def dataset_may(dataset: Dataset, action: str) -> bool:
    """One of ACTIONS."""
    return not ACTIONS[action](dataset)


PLOT_HEIGHT = 140
BAR_SHARE = 0.84
LABELS = 8


@dataclass(frozen=True, slots=True)
class Bar:
    """`x` and `width` in percent of the picture, `y` and `height` in pixels."""

    first: int
    last: int
    rows: int
    share: float
    x: str
    width: str
    y: float
    height: float
    is_over: bool


@dataclass(frozen=True, slots=True)
class Mark:
    x: str
    label: str
    is_last: bool = False


@register.simple_tag
def tokens(count: int) -> SafeString:
    """An estimate; the figure that was computed is in its title."""
    sentence = ngettext("≈ %(count)s token", "≈ %(count)s tokens", count) % {"count": compact(count)}
    return format_html('<span class="num" title="{}">{}</span>', group_digits(count), sentence)


@register.filter
def group_digits(number: int) -> str:
    return str(number_format(number, use_l10n=True, force_grouping=True))


@register.simple_tag
def dataset_status(dataset: Dataset) -> SafeString:
    if dataset.shape:
        return shown_status("NEEDS_DECISION", gettext("Convert it first"))
    if dataset.is_usable:
        return shown_status("VALID", gettext("Ready to use"))
    return shown_status("INVALID", gettext("Not usable yet"))


@register.inclusion_tag("datasets/histogram.html")
def histogram(dataset: Dataset, limits: list[int]) -> dict[str, Any]:
    bins: list[list[int]] = dataset.stats.get("bins", [])
    shortest = min(limits, default=0)
    return {
        "dataset": dataset,
        "stats": dataset.stats,
        "bars": bars(bins, shortest),
        "labels": labels(bins),
        "marks": [mark for limit in limits if (mark := mark_of(limit, bins))],
        "over": [(limit, dataset.rows_over_limit(limit)) for limit in limits],
    }


def bars(bins: list[list[int]], limit: int) -> list[Bar]:
    most, total = max((rows for *_edges, rows in bins), default=1), sum(rows for *_edges, rows in bins)
    step = 100 / max(len(bins), 1)
    made = []
    for index, (first, last, rows) in enumerate(bins):
        height = max(round(PLOT_HEIGHT * rows / most, 1), 2) if rows else 0
        x = step * (index + (1 - BAR_SHARE) / 2)
        made.append(
            Bar(
                first + 1, last, rows, 100 * rows / total, f"{x:.2f}%", f"{step * BAR_SHARE:.2f}%",
                round(PLOT_HEIGHT - height, 1) + 16, height, bool(limit) and first >= limit,
            )
        )  # fmt: skip
    return made


def labels(bins: list[list[int]]) -> list[Mark]:
    """The edges of the bars, as many as have room; the last one ends at the right."""
    every = -(-len(bins) // LABELS)
    step = 100 / max(len(bins), 1)
    edges = [
        Mark(f"{step * index:.2f}%", group_digits(first))
        for index, (first, *_rest) in enumerate(bins)
        if index % every == 0
    ]
    return [*edges, Mark("100%", group_digits(bins[-1][1]), is_last=True)] if bins else []


def mark_of(limit: int, bins: list[list[int]]) -> Mark | None:
    """Where a limit stands; nothing when it is outside of the picture."""
    step = 100 / max(len(bins), 1)
    for index, (first, last, _rows) in enumerate(bins):
        if first <= limit < last and limit > bins[0][0]:
            x = step * (index + (limit - first) / (last - first))
            return Mark(f"{x:.2f}%", group_digits(limit), is_last=x > 75)
    return None
