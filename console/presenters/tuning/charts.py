"""Series of one job or of several as the chart controller wants them: curves to be compared on one chart."""

from collections.abc import Collection, Sequence
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy

from jobs.models import Series, TuningJob, series

# key: (title, tag without train_ or eval_, open at first)
GROUPS: dict[str, tuple[str | Promise, str, bool]] = {
    "loss": (gettext_lazy("Loss"), "total_loss", True),
    "accuracy": (gettext_lazy("Token accuracy"), "fraction_of_correct_next_step_preds", True),
    "predictions": (gettext_lazy("Predictions"), "num_predictions", False),
    "rate": (gettext_lazy("Learning rate"), "learning_rate", False),
}
COMPARED: dict[str, tuple[str | Promise, str]] = {
    "train-loss": (gettext_lazy("Training loss"), "/train_total_loss"),
    "eval-loss": (gettext_lazy("Validation loss"), "/eval_total_loss"),
    "train-accuracy": (gettext_lazy("Training token accuracy"), "/train_fraction_of_correct_next_step_preds"),
    "eval-accuracy": (gettext_lazy("Validation token accuracy"), "/eval_fraction_of_correct_next_step_preds"),
}
KINDS: dict[str, str | Promise] = {"train": gettext_lazy("Training"), "eval": gettext_lazy("Validation")}
TAGS = [f"/{kind}_{tag}" for kind in KINDS for _title, tag, _open in GROUPS.values()]


def chart_data(job: TuningJob) -> dict[str, Any]:
    found = series([job], TAGS)[job.pk]
    return {
        "groups": [
            {"key": key, "title": str(title), "x": _("step"), "series": curves(found, tag)}
            for key, (title, tag, _open) in GROUPS.items()
        ],
        "checkpoints": [{"x": each["step"], "label": each["checkpoint_id"]} for each in job.checkpoints],
    }


def curves(found: Series, tag: str) -> list[dict[str, Any]]:
    kinds = {kind: points(found, f"/{kind}_{tag}") for kind in KINDS}
    return [
        {"key": f"{kind}_{tag}", "label": str(KINDS[kind]), "kind": kind, "points": curve}
        for kind, curve in kinds.items()
        if curve
    ]


def comparison_data(jobs: Sequence[TuningJob], keys: Collection[str] = tuple(COMPARED)) -> dict[str, Any]:
    """One chart a tag, one curve a job."""
    compared = {key: COMPARED[key] for key in keys}
    found = series(jobs, [tag for _title, tag in compared.values()])
    groups = [
        {"key": key, "title": str(title), "x": _("step"), "series": runs(jobs, found, tag)}
        for key, (title, tag) in compared.items()
    ]
    return {"groups": groups, "checkpoints": []}


def runs(jobs: Sequence[TuningJob], found: dict[Any, Series], tag: str) -> list[dict[str, Any]]:
    return [
        {"key": str(job.pk), "label": f"{number}. {job.display_name}", "run": number, "points": curve}
        for number, job in enumerate(jobs, 1)
        if (curve := points(found[job.pk], tag))
    ]


def points(found: Series, tag: str) -> list[list[float]]:
    """[step, value, seconds since the first point of all of this job's curves]."""
    began = min((curve[0][2] for curve in found.values()), default=None)
    if began is None:
        return []
    return [[step, value, round((at - began).total_seconds(), 1)] for step, value, at in found.get(tag, [])]
