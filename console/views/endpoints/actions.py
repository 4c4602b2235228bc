"""What is asked before something happens to an endpoint: in a dialog, or on a page where there are no scripts."""

import uuid
from collections.abc import Callable
from datetime import datetime

from django import forms
from django.contrib import messages
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from console.forms.endpoints.endpoints import ConfirmForm, LeaseForm, ReplicasForm
from console.presenters.endpoints.questions import Question, in_use_by
from console.web.http import ConsoleRequest, hx_redirect, wants_fragment
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import Endpoint
from jobs.services.diagnosis import endpoint_fixes, model_fixes
from jobs.services.endpoints import endpoints, lifetime, policies, scaling, usage
from jobs.services.inventory import attachment, policies as inventory_policies

from .endpoints import one_of, visible_endpoint

asks = require_http_methods(["GET", "HEAD", "POST"])


def handle_form(
    request: ConsoleRequest,
    endpoint: Endpoint,
    question: Question,
    form: forms.Form,
    do: Callable[[], HttpResponse | None],
) -> HttpResponse:
    """Does it when the form was sent as it should be, and asks otherwise; again when `do` found something wrong."""
    if form.is_bound and form.is_valid() and (done := do()):
        return done
    context = {"endpoint": endpoint, "question": question, "form": form, "url": request.path}
    context["is_dialog"] = wants_fragment(request)
    template = "endpoints/ask.html"
    if wants_fragment(request):
        template = f"{template}#form" if form.is_bound else f"{template}#dialog"
    response = render(request, template, context, status=422 if form.is_bound else 200)
    patch_vary_headers(response, ["HX-Request"])
    return response


def post_data(request: ConsoleRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


@asks
def undeploy(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    refuse_to_ask(request, policies.why_not_undeploy(endpoint))
    uses = usage.uses_of(endpoint, timezone.now())
    text = _(
        "The endpoint stops answering immediately, in chats and for all other programs, and no longer incurs "
        "costs. The model files aren't deleted."
    )
    title = _("Undeploy %(name)s?") % {"name": endpoint.display_name}
    question = Question(_("Undeploy"), title, text, _("Undeploy"), is_danger=True, uses=in_use_by(uses))
    form = ConfirmForm(post_data(request), name=endpoint.display_name if uses.requests else "")
    return handle_form(request, endpoint, question, form, lambda: start_undeploy(request, endpoint))


def start_undeploy(request: ConsoleRequest, endpoint: Endpoint) -> HttpResponse:
    endpoints.request_undeploy(endpoint)
    tasks.enqueue_endpoint(endpoint)
    messages.info(request, _("Undeploying %(name)s") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


@asks
def delete(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    refuse_to_ask(request, policies.why_not_delete(endpoint))
    uses = usage.uses_of(endpoint, timezone.now())
    text = _(
        "The endpoint and its address are deleted. Deployed models are undeployed first. You can still read "
        "its chats, and continue them with another endpoint. The model files aren't deleted."
    )
    title = _("Delete %(name)s?") % {"name": endpoint.display_name}
    question = Question(_("Delete"), title, text, _("Delete"), is_danger=True, uses=in_use_by(uses))
    form = ConfirmForm(post_data(request), name=endpoint.display_name if uses.requests else "")
    return handle_form(request, endpoint, question, form, lambda: start_delete(request, endpoint))


def start_delete(request: ConsoleRequest, endpoint: Endpoint) -> HttpResponse:
    endpoints.request_delete(endpoint)
    tasks.enqueue_endpoint(endpoint)
    messages.info(request, _("Deleting %(name)s") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-list")


@asks
def detach(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    refuse_to_ask(request, inventory_policies.why_not_detach(endpoint))
    text = _(
        "The endpoint leaves your list of endpoints. In Vertex AI nothing changes: it keeps answering and keeps "
        "costing what it costs. You can still read its chats, and attach it again."
    )
    title = _("Remove %(name)s from your list?") % {"name": endpoint.display_name}
    question = Question(_("Remove from list"), title, text, _("Remove from list"))
    return handle_form(
        request, endpoint, question, ConfirmForm(post_data(request), name=""), lambda: start_detach(request, endpoint)
    )


def start_detach(request: ConsoleRequest, endpoint: Endpoint) -> HttpResponse:
    attachment.detach(endpoint)
    messages.info(request, _("%(name)s is no longer in your list.") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-list")


def refuse_to_ask(request: ConsoleRequest, why_not: str | Promise) -> None:
    """A form that was sent is for the service to judge: sent twice, it is not wrong."""
    if why_not and request.method != "POST":
        raise NotAllowedNow(str(why_not))


@asks
def replicas(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    refuse_to_ask(request, policies.why_not_scale(endpoint.model))
    text = _(
        "Each replica runs on its own machine and costs the same as the first. Vertex AI scales between the "
        "minimum and the maximum as needed."
    )
    title = _("Replicas of %(name)s") % {"name": endpoint.display_name}
    question = Question(_("Replicas"), title, text, _("Save"))
    initial = {"minimum": endpoint.model.min_replicas, "maximum": endpoint.model.max_replicas}
    form = ReplicasForm(post_data(request), initial=initial, scales_to_zero=scaling.scales_to_zero(endpoint.model))

    def do() -> HttpResponse:
        endpoints.request_replicas(endpoint.model, **form.cleaned_data)
        tasks.enqueue_after_commit(tasks.advance_deployed_model, model_id=str(endpoint.main_model_id))
        return hx_redirect(request, "endpoint-detail", pk)

    return handle_form(request, endpoint, question, form, do)


@asks
def lease(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    refuse_to_ask(request, policies.why_not_set_lease(endpoint))
    text = _(
        "A time limit undeploys an endpoint that you forget, so that it doesn't keep using money or "
        "memory. Answers in progress are never cut off."
    )
    title = _("Time limit of %(name)s") % {"name": endpoint.display_name}
    question = Question(_("Time limit"), title, text, _("Save"))
    form = LeaseForm(post_data(request), initial={"kind": endpoint.lease_kind, "hours": endpoint.lease_hours or 2})

    def do() -> HttpResponse:
        lifetime.set_lease(endpoint, **form.cleaned_data)
        return hx_redirect(request, "endpoint-detail", pk)

    return handle_form(request, endpoint, question, form, do)


@require_POST
def extend(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    try:
        seen = datetime.fromisoformat(request.POST.get("seen", ""))
    except ValueError:
        raise NotAllowedNow(_("The form was incomplete. Open the page again.")) from None
    lifetime.extend(endpoint, seen=seen)
    return hx_redirect(request, reverse("endpoint-detail", args=[pk]))


@require_POST
def again(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = endpoints.deploy_again(visible_endpoint(request, pk))
    tasks.enqueue_endpoint(endpoint)
    messages.success(request, _("Deployment of %(name)s started.") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


@require_POST
def fix(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    """What the page offers against the failure of the endpoint, or of the `model` that was to join others on it."""
    endpoint, chosen = one_of(Endpoint.objects.visible_to(request.user), pk), request.POST.get("fix", "")
    if deployed := request.GET.get("model"):
        rows = endpoint.deployed_models.select_related("endpoint", "job")
        model = next((one for one in rows if one.deployed_model_id == deployed), None)
        if model is None:
            raise Http404(f"{deployed} is not on {endpoint.pk}.")
        made_model = model_fixes.mend(model, chosen)
        tasks.enqueue_after_commit(tasks.advance_deployed_model, model_id=str(made_model.pk))
        name, made = made_model.display_name, endpoint
    else:
        made = endpoint_fixes.mend(endpoint, chosen)
        tasks.enqueue_endpoint(endpoint)
        tasks.enqueue_endpoint(made)
        name = made.display_name
    messages.success(request, _("Deployment of %(name)s started.") % {"name": name})
    return hx_redirect(request, "endpoint-detail", made.pk)
