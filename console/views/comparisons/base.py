"""A tuned model against its base model: in one click where an endpoint serves that one, else after it was deployed."""

import uuid
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.forms.chat.compare import BaseForm
from console.forms.endpoints.endpoints import ServeForm
from console.presenters.comparisons import base as offer
from console.presenters.comparisons.columns import visible_comparison
from console.presenters.endpoints.deployment_stages import stages
from console.web.http import ConsoleRequest, hx_redirect, wants_fragment
from jobs import tasks
from jobs.errors import JobsError, NotAllowedNow
from jobs.models import Comparison, Endpoint
from jobs.services.comparisons import base, board as comparison_board, policies
from jobs.services.endpoints import endpoints

PAGE = "compare/base.html"


def visible_endpoint(request: ConsoleRequest, pk: uuid.UUID) -> Endpoint:
    mine = Endpoint.objects.visible_to(request.user).not_deleted().with_model()
    found: Endpoint = get_object_or_404(mine, pk=pk)
    return found


@require_POST
def compare(request: ConsoleRequest) -> HttpResponse:
    form = BaseForm(request.POST)
    if not form.is_valid():
        raise NotAllowedNow(_("Reload the page and try again."))
    tuned = visible_endpoint(request, form.cleaned_data["endpoint"])
    if (found := base.find(tuned)) is None:
        return hx_redirect(request, "compare-base-deploy", tuned.pk)
    made = base.compare(request.user, key=form.cleaned_data["key"], tuned=tuned, base=found)
    return hx_redirect(request, "compare-detail", made.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def deploy(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """Offers to deploy the base model of this endpoint's, and does it. A change of a choice asks for its cost alone."""
    tuned = visible_endpoint(request, pk)
    model = base.model_of(tuned)
    reason = policies.why_not_deploy_base(tuned, model)
    context: dict[str, Any] = {"tuned": tuned, "tuned_id": str(pk), "found": base.find(tuned), "reason": reason}
    if reason or model is None:
        return render(request, PAGE, context, status=409 if request.method == "POST" else 200)
    context |= offer.offer_of(model, tuned.location, request.POST if request.method == "POST" else None, request.GET)
    form = context["form"]
    if form.is_bound and form.is_valid() and (made := deploy_base(request, tuned, context)):
        return hx_redirect(request, "compare-detail", made.pk)
    is_cost = wants_fragment(request) and not form.is_bound
    response = render(request, f"{PAGE}#cost" if is_cost else PAGE, context, status=422 if form.is_bound else 200)
    patch_vary_headers(response, ["HX-Request"])
    return response


def deploy_base(request: ConsoleRequest, tuned: Endpoint, context: dict[str, Any]) -> Comparison | None:
    """The comparison, or None with the reason in the form."""
    form: ServeForm = context["form"]
    values = form.cleaned_data
    chosen = base.Deployment(
        machine=endpoints.Machine(**context["variant"].machine(values["machine"])),
        accepts_licence=values.get("accepts_licence", False),
        lease_kind=values["kind"],
        lease_hours=values["hours"],
    )
    try:
        made = base.deploy(request.user, key=values["key"], tuned=tuned, deployment=chosen)
    except JobsError as error:
        form.add_error(None, str(error))
        return None
    for column in made.columns.select_related("endpoint__main_model"):
        if column.endpoint and column.endpoint.is_transient:
            tasks.enqueue_endpoint(column.endpoint)
    return made


@require_safe
def waiting(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """How far the deployments are that a comparison waits for; once they have ended, the comparison itself."""
    board = comparison_board.load(visible_comparison(request, pk))
    if not board.awaited:
        return hx_redirect(request, "compare-detail", pk)
    awaited = [(endpoint, stages(endpoint.model)) for endpoint in board.awaited]
    return render(request, "compare/waiting.html", {"comparison": board.comparison, "awaited": awaited})
