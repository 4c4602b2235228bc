"""Series of one job or of several as the chart controller wants them: curves to be compared on one chart."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy

from jobs.models import Metric, Series, TuningJob, series, thin_out

VALIDATION = re.compile(r"/?(?:eval|val|valid|validation|test)[^a-z]", re.IGNORECASE)


@dataclass(frozen=True)
class Group:
    """A chart. `tags` by kind; `is_open` at first; `name`: what it is searched by."""

    key: str
    title: str | Promise
    tags: Mapping[str, str]
    is_open: bool = False

    @property
    def name(self) -> str:
        return " ".join([str(self.title), *self.tags.values()])


def _both(key: str, title: str | Promise, tag: str, *, is_open: bool = False) -> Group:
    return Group(key, title, {kind: f"/{kind}_{tag}" for kind in KINDS}, is_open)


KINDS: dict[str, str | Promise] = {"train": gettext_lazy("Training"), "eval": gettext_lazy("Validation")}
# These are there before anything was measured; the others when they have points.
EXPECTED = (
    _both("loss", gettext_lazy("Loss"), "total_loss", is_open=True),
    _both("accuracy", gettext_lazy("Token accuracy"), "fraction_of_correct_next_step_preds", is_open=True),
    _both("predictions", gettext_lazy("Predictions"), "num_predictions"),
    _both("rate", gettext_lazy("Learning rate"), "learning_rate"),
)
KNOWN = (
    _both("perplexity", gettext_lazy("Perplexity"), "perplexity", is_open=True),
    _both("bleu", gettext_lazy("BLEU"), "bleu", is_open=True),
    _both("grad-norm", gettext_lazy("Gradient norm"), "grad_norm"),
)
COMPARED: dict[str, tuple[str | Promise, str]] = {
    "train-loss": (gettext_lazy("Training loss"), "/train_total_loss"),
    "eval-loss": (gettext_lazy("Validation loss"), "/eval_total_loss"),
    "train-accuracy": (gettext_lazy("Training token accuracy"), "/train_fraction_of_correct_next_step_preds"),
    "eval-accuracy": (gettext_lazy("Validation token accuracy"), "/eval_fraction_of_correct_next_step_preds"),
}


# Of each curve of a comparison that is none of these: several jobs may have sixty of them each.
POINTS_OF_OTHERS = 300


def groups_of(job: TuningJob) -> list[Group]:
    """Of every curve that the training has reported: known ones first, then the others by their own names."""
    tags = _find_tags([job])
    found = [*EXPECTED, *(group for group in KNOWN if tags & set(group.tags.values()))]
    others = tags - {tag for group in (*EXPECTED, *KNOWN) for tag in group.tags.values()}
    return [*found, *(_by_own_name(tag) for tag in sorted(others))]


def _find_tags(jobs: Sequence[TuningJob]) -> set[str]:
    return set(Metric.objects.filter(job__in=jobs).order_by().values_list("tag", flat=True).distinct())


def others_of(jobs: Sequence[TuningJob]) -> dict[str, tuple[str | Promise, str]]:
    """Title and tag of each curve that any of them has reported beyond those that are always compared."""
    tags = _find_tags(jobs) - {tag for _title, tag in COMPARED.values()}
    known = {
        tag: (f"{group.key}-{kind}", f"{group.title} · {KINDS[kind]}")
        for group in (*EXPECTED, *KNOWN)
        for kind, tag in group.tags.items()
    }
    found: dict[str, tuple[str | Promise, str]] = {
        key: (title, tag) for tag, (key, title) in known.items() if tag in tags
    }
    return found | {_by_own_name(tag).key: (tag, tag) for tag in sorted(tags - known.keys())}


def _by_own_name(tag: str) -> Group:
    """What the name is made of does not matter to the page: its key is a number."""
    kind = "eval" if VALIDATION.match(tag) else "train"
    return Group(f"own-{crc32(tag.encode()):08x}", tag, {kind: tag})


def chart_data(job: TuningJob) -> dict[str, Any]:
    groups = groups_of(job)
    found = series([job], [tag for group in groups for tag in group.tags.values()])[job.pk]
    return {
        "groups": [
            {"key": group.key, "title": str(group.title), "x": _("step"), "series": curves(found, group)}
            for group in groups
        ],
        "checkpoints": [{"x": each["step"], "label": each["checkpoint_id"]} for each in job.checkpoints],
    }


def curves(found: Series, group: Group) -> list[dict[str, Any]]:
    kinds = {kind: points(found, tag) for kind, tag in group.tags.items()}
    return [
        {"key": group.tags[kind].lstrip("/"), "label": str(KINDS[kind]), "kind": kind, "points": curve}
        for kind, curve in kinds.items()
        if curve
    ]


def comparison_data(jobs: Sequence[TuningJob], keys: Collection[str] = ()) -> dict[str, Any]:
    """One chart a tag, one curve a job. Without keys, all that any of the jobs has reported."""
    compared = {key: COMPARED[key] for key in keys} or {**COMPARED, **others_of(jobs)}
    always = {tag for _title, tag in COMPARED.values()}
    found = {
        job: {tag: curve if tag in always else thin_out(curve, POINTS_OF_OTHERS) for tag, curve in curves.items()}
        for job, curves in series(jobs, [tag for _title, tag in compared.values()]).items()
    }
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
