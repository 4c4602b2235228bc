"""A job's series as the chart controller wants them: the curves to be compared on one chart, with names for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

GROUPS: dict[str, tuple[str | Promise, str]] = {
    "loss": (gettext_lazy("Loss"), "total_loss"),
    "accuracy": (gettext_lazy("Token accuracy"), "fraction_of_correct_next_step_preds"),
}
KINDS: dict[str, str | Promise] = {"train": gettext_lazy("Training"), "eval": gettext_lazy("Validation")}
TAGS = [f"/{kind}_{tag}" for kind in KINDS for _title, tag in GROUPS.values()]
Series = Mapping[str, Sequence[tuple[int, float]]]


def chart_data(series: Series, checkpoints: Sequence[Any]) -> dict[str, Any]:
    return {
        "groups": [
            {"key": key, "title": str(title), "x": _("step"), "series": curves(series, tag)}
            for key, (title, tag) in GROUPS.items()
        ],
        "checkpoints": [{"x": each["step"], "label": each["checkpoint_id"]} for each in checkpoints],
    }


def curves(series: Series, tag: str) -> list[dict[str, Any]]:
    found = {kind: series.get(f"/{kind}_{tag}", []) for kind in KINDS}
    return [
        {
            "key": f"{kind}_{tag}",
            "label": str(KINDS[kind]),
            "kind": kind,
            "points": points,
        }
        for kind, points in found.items()
        if points
    ]
