"""The cells of the list of tuning jobs: written here, because a page has hundreds of them."""

from collections.abc import Callable
from typing import Any

from django import template
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.models import TuningJob
from jobs.states import TuningState

from .console import ago, duration
from .tuning import loss, method, percent, progress_text, seconds_taken, short_model, sparkline

register = template.Library()

WAITING = frozenset({TuningState.QUEUED, TuningState.PENDING})


@register.simple_tag
def job_cell(column: str, job: TuningJob) -> SafeString:
    """`column` as the list's view names it."""
    return CELLS[column](job)


@register.simple_tag
def job_progress(job: TuningJob) -> SafeString:
    if job.state == TuningState.SUCCEEDED:
        steps = ngettext("%(counter)s step", "%(counter)s steps", job.step) % {"counter": job.step}
        return format_html('<span class="muted num">{}</span>', steps)
    if job.is_terminal and not job.step:
        return SafeString('<span class="muted">–</span>')
    if job.state in WAITING:
        return format_html('<span class="muted">{}</span>', _("Waiting to start"))
    label = _("Progress of %(name)s") % {"name": job.display_name}
    shown = {"label": label, "value": percent(job), "text": progress_text(job)}
    return SafeString(render_to_string("components/progress.html", shown))


def _cell(look: str, value: Callable[[TuningJob], Any]) -> Callable[[TuningJob], SafeString]:
    return lambda job: format_html('<td class="{}">{}</td>', look, value(job))


CELLS: dict[str, Callable[[TuningJob], SafeString]] = {
    "progress": _cell("progress-cell", job_progress),
    "loss": _cell("num wide", lambda job: sparkline(job) + SafeString(loss(job.train_loss))),
    "base": _cell("base", lambda job: short_model(job.base_model)),
    "created": _cell("created", lambda job: ago(job.created_at)),
    "duration": _cell("num wide", lambda job: duration(seconds_taken(job))),
    "method": _cell("wide", method),
    "region": _cell("wide", lambda job: job.location),
}
