"""What may be spent in a day, what was reserved today, and what was spent. Administrators set the limits."""

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from console.accounts.confirmation import require_reauthentication
from console.accounts.pending_actions import Facts, facts_of_form
from console.forms.spending import SpendingForm
from console.presenters.components import costs
from console.web.http import ConsoleRequest
from jobs.services.accounts.reauthentication import SensitiveAction
from jobs.services.costs import spending

from .own import READ_OR_SEND, success_response

FIELDS = ("person_usd", "console_usd", "allows_unknown")


def describe(request: ConsoleRequest) -> Facts:
    refuse_others(request)
    return facts_of_form(SpendingForm(request.POST))


def refuse_others(request: ConsoleRequest) -> None:
    if not request.user.is_superuser:
        raise PermissionDenied


@require_http_methods(READ_OR_SEND)
@require_reauthentication(SensitiveAction.ADMINISTRATION, may_read=True, describe=describe)
def index(request: ConsoleRequest) -> HttpResponse:
    may_change = request.user.is_superuser
    if request.method == "POST":
        refuse_others(request)
    standing = spending.standing(request.user)
    form = SpendingForm(request.POST or None, initial={name: getattr(standing.limits, name) for name in FIELDS})
    if form.is_bound and form.is_valid():
        spending.set_limits(**form.cleaned_data)
        return success_response(request, "settings-spending")
    context = {
        "form": form if may_change else None,
        "standing": standing,
        "people": spending.by_person(spending.day_of(timezone.now())) if may_change else [],
        "is_local": bool(settings.VERTEX_API_ENDPOINT),
        **costs.costs_context(request.user, of_everybody=may_change),
        **costs.prices_context(),
    }
    return render(request, "settings/spending.html", context, status=422 if form.is_bound else 200)
