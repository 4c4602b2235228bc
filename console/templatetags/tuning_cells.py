"""The rows of the list of tuning jobs: their cells are written here, because a page has hundreds of them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django import template
from django.template.context import Context
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _, ngettext

from jobs.models import TuningJob
from jobs.services.tuned_models import policies as tuned_models
from jobs.services.tuning import policies
from jobs.services.tuning.policies import Place
from jobs.states import TUNING_NOT_BEGUN, TuningState

from .console import ago, duration, progress_bar
from .stencil import stencil
from .tuning import (
    first_line,
    job_status,
    loss,
    method,
    percent,
    place_words,
    progress_text,
    seconds_taken,
    short_model,
    sparkline,
)

register = template.Library()

REASON_SHOWN = 80


class Kind(NamedTuple):
    """What decides which parts a row has; `moves`: where it can be moved in the queue."""

    is_live: bool
    may_stop: bool
    is_tuned: bool
    is_ready: bool
    moves: tuple[str, ...]


@register.simple_tag(takes_context=True)
def job_row(
    context: Context,
    job: TuningJob,
    columns: Iterable[str],
    places: Mapping[UUID, Place],
    ready: Mapping[UUID, UUID],
) -> SafeString:
    """`columns` as the list's view names them; by job, `places` and the ids of its `ready` endpoint."""
    place, endpoint = places.get(job.pk), ready.get(job.pk)
    is_paused = context["queue"].pause is not None
    live, moves = not job.is_terminal, policies.list_moves(job, place)
    may_stop = live and not policies.why_not_cancel(job)
    return stencil(
        context,
        "tuning/row.html",
        Kind(live, may_stop, job.is_tuned, endpoint is not None, moves),
        id=job.pk,
        name=job.display_name,
        endpoint=endpoint or "",
        loses=tuned_models.what_cancelling_loses(job) if may_stop else "",
        cells=SafeString(_state(job, place, is_paused) + "".join(CELLS[column](job) for column in columns)),
    )


def _state(job: TuningJob, place: Place | None, is_paused: bool) -> SafeString:
    note = place_words(place.number, is_paused) if place else ""
    if job.error_message and not note:
        note = Truncator(first_line(job.error_message)).chars(REASON_SHOWN)
    return format_html(
        '<td class="state">{}{}</td>', job_status(job), format_html("<small>{}</small>", note) if note else ""
    )


@register.simple_tag
def job_progress(job: TuningJob) -> SafeString:
    if job.state == TuningState.SUCCEEDED:
        steps = ngettext("%(counter)s step", "%(counter)s steps", job.step) % {"counter": job.step}
        return format_html('<span class="muted num">{}</span>', steps)
    if job.is_terminal and not job.step:
        return SafeString('<span class="muted">–</span>')
    if job.state in TUNING_NOT_BEGUN:
        return format_html('<span class="muted">{}</span>', _("Waiting to start"))
    label = _("Progress of %(name)s") % {"name": job.display_name}
    return progress_bar(label, percent(job), progress_text(job))


def _cell(look: str, value: Callable[[TuningJob], Any]) -> Callable[[TuningJob], str]:
    return lambda job: f'<td class="{look}">{conditional_escape(value(job))}</td>'


CELLS: dict[str, Callable[[TuningJob], str]] = {
    "progress": _cell("progress-cell", job_progress),
    "loss": _cell("num wide", lambda job: sparkline(job) + SafeString(loss(job.train_loss))),
    "base": _cell("base", lambda job: short_model(job.base_model)),
    "created": _cell("created", lambda job: ago(job.created_at)),
    "duration": _cell("num wide", lambda job: duration(seconds_taken(job))),
    "method": _cell("wide", method),
    "region": _cell("wide", lambda job: job.location),
}
