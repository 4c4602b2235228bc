"""A tuning job's figures in words."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from jobs.models import TuningJob, TuningMode
from jobs.states import Phase, TuningState

from .console import status as shown_status

register = template.Library()


@register.filter
def progress_text(job: TuningJob) -> str:
    if not job.total_steps:
        return _("step %(step)d") % {"step": job.step} if job.step else ""
    figures = {"epoch": current_epoch(job), "epochs": job.epochs, "step": job.step, "steps": job.total_steps}
    return _("epoch %(epoch)d of %(epochs)d · step %(step)d of %(steps)d") % figures


@register.filter
def current_epoch(job: TuningJob) -> int:
    """Counted from 1: the one being trained, or the last."""
    return min(int(job.epoch) + 1, job.epochs)


@register.filter
def percent(job: TuningJob) -> int | None:
    done = job.fraction_done
    return None if done is None else int(100 * done)


@register.filter
def seconds_taken(job: TuningJob) -> float | None:
    """From the start to the end, or to now; None before the start."""
    if job.started_at is None:
        return None
    return ((job.ended_at or timezone.now()) - job.started_at).total_seconds()


@register.filter
def loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


@register.filter
def method(job: TuningJob) -> str:
    return _("Full") if job.tuning_mode == TuningMode.FULL else _("LoRA")


@register.filter
def short_model(name: str) -> str:
    """`google/gemma3@gemma-3-270m` → `gemma-3-270m`."""
    return name.rpartition("@")[2].rpartition("/")[2]


@register.simple_tag
def job_status(job: TuningJob) -> SafeString:
    note = job.error_message or job.notice
    if not job.is_terminal and job.phase in {Phase.AMBIGUOUS, Phase.NEEDS_DECISION}:
        return shown_status(job.phase, _("Outcome unknown"), note)
    return shown_status(job.state, TuningState(job.state).label, note)


@register.simple_tag
def sparkline(job: TuningJob) -> SafeString:
    """The training loss in 60 by 20 pixels; nothing before there are two values."""
    values = [float(value) for value in job.loss_curve]
    if len(values) < 2:
        return SafeString("")
    low, high = min(values), max(values)
    scale = 16 / (high - low or 1)
    points = [
        f"{left},{2 + (high - value) * scale:.1f}" for left, value in zip(_lefts(len(values)), values, strict=True)
    ]
    ends = {"first": f"{values[0]:.3f}", "last": f"{values[-1]:.3f}"}
    return format_html(
        '<svg class="spark" viewBox="0 0 60 20" role="img" aria-label="{}"><polyline points="{}"></polyline></svg> ',
        _("Training loss from %(first)s to %(last)s") % ends, " ".join(points),
    )  # fmt: skip


@cache
def _lefts(count: int) -> list[str]:
    """Where each value stands from left to right: the same for all pictures of a list."""
    step = 58 / (count - 1)
    return [f"{1 + place * step:.1f}" for place in range(count)]


@register.simple_tag
def place_words(place: int, is_paused: bool = False) -> str:
    if is_paused:
        return _("Queue paused (place %(place)d)") % {"place": place}
    return _("Next in the queue") if place == 1 else _("Number %(place)d in the queue") % {"place": place}


@register.filter
def first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


@register.filter
def spread(distribution: Mapping[str, Any]) -> list[str]:
    """Least, mean, median, 95 % and most, as Vertex AI counted them."""
    return [_figure(distribution.get(name)) for name in ("min", "mean", "median", "p95", "max")]


def _figure(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "–"
