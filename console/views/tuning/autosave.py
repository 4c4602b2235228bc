"""What is being typed into a step of a draft, field by field, before anybody presses Continue."""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from console.forms.fields import StepForm
from console.forms.tuning.steps import STEPS
from console.presenters.tuning.wizard.drafts import SENT, Wizard
from console.presenters.tuning.wizard.typed import FOLLOWED, add_known, differences, followed_by, known_of
from console.web.http import ConsoleRequest
from jobs import errors
from jobs.services.tuning import drafts
from jobs.services.tuning.drafts import Known

from .new import own_draft

# Of these, other steps follow what is sent.
LEADING = {"name", "base-model"}


@require_POST
def keep(request: ConsoleRequest, pk: UUID, step: str) -> HttpResponse:
    """Answers with the part of the page that says how it stands; 409 where nothing can be kept any more."""
    draft = own_draft(request, pk)
    if step not in STEPS:
        raise Http404(f"There is no step {step}.")
    wizard, known = Wizard(draft, request.user), known_of(request.POST)
    if not wizard.may_open(step):
        return answer(request, wizard, known, problem=_("Finish the earlier steps first."), status=409)
    form = wizard.form(step, request.POST)
    typed = typed_of(request, form)
    beside = {FOLLOWED: followed_by(wizard, step)} if step in LEADING else {}
    # Another base model changes what the later steps offer: they open again once it is sent.
    drops = SENT if step == "base-model" else ""
    try:
        conflicts = drafts.keep(draft, step, typed, known, beside=beside, drops=drops)
    except errors.NotAllowedNow as error:
        return answer(request, wizard, known, problem=str(error), status=409)
    there = {conflict.field: conflict.there for conflict in conflicts}
    undecided = differences(wizard, form, [*conflicts, *waiting(request, wizard, step, form)])
    return answer(request, wizard, known, typed=typed | there, differences=undecided)


def typed_of(request: ConsoleRequest, form: StepForm) -> dict[str, Any]:
    """What the page shows. What it does not, such as a model that a filter hides, stays as it is; so does a field of
    which two values wait for a choice."""
    waiting_for_choice = set(request.POST.getlist("undecided"))
    raw = {name: value for name, value in form.raw_data().items() if value is not None}
    return {name: value for name, value in raw.items() if name not in waiting_for_choice}


def waiting(request: ConsoleRequest, wizard: Wizard, step: str, form: StepForm) -> list[drafts.Conflict]:
    """Conflicts of before of which nobody has said yet which value counts."""
    kept, raw = wizard.values(step), form.raw_data()
    names = [name for name in dict.fromkeys(request.POST.getlist("undecided")) if name in form.fields and name in kept]
    return [drafts.Conflict(name, raw[name], kept[name]) for name in names if not drafts.same(raw[name], kept[name])]


def answer(
    request: ConsoleRequest,
    wizard: Wizard,
    known: Known,
    *,
    typed: dict[str, Any] | None = None,
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    context |= {"draft": wizard.draft, "known": add_known(known, typed or {}), "is_kept": typed is not None}
    return render(request, "tuning/new_kept.html", context, status=status)
