"""A model: what it is, what can be done with it here, and what that costs."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from console.forms.chat.chat import TryForm
from console.forms.endpoints.deploy import DeployForm
from console.presenters.catalogue import model_families as catalogue, model_words, precisions
from console.presenters.catalogue.machines import list_offered_options
from console.presenters.catalogue.model_code import TABS, Code
from console.presenters.catalogue.model_families import Family, Variant
from console.presenters.catalogue.removal import removal_url
from console.presenters.chat.turns import first_answer
from console.presenters.components.memory import request_memory
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import errors, tasks
from jobs.models import Endpoint, PublisherModel
from jobs.services.catalogue import regions
from jobs.services.costs import memory
from jobs.services.endpoints import endpoints
from jobs.services.preflight import preflight
from jobs.states import EndpointState
from jobs.text import markdown

PAGE = "model_garden/detail.html"
# By which the panel shows prices and memory before the form is sent.
CHOSEN = ("location", "machine", "precision", "context_tokens")


@require_safe
def detail(request: ConsoleRequest, publisher: str, slug: str) -> HttpResponse:
    family = family_or_404(publisher, slug)
    variant = family.variant(request.GET.get("variant", ""))
    context = context_of(request, family, variant)
    action = request.GET.get("action", "")
    if action == "deploy" and variant.can_deploy:
        request_memory(request, variant.name)
        context |= deploy_context(variant, deploy_form(variant, asked=request.GET))
        context["asks_memory"] = memory.is_pending(variant.name, timezone.now())
        if "location" in request.GET:
            return page_or_fragment(request, PAGE, "deploy", context)
    if action == "code":
        context["code"] = code_of(request, variant, context["ready"])
        return page_or_fragment(request, PAGE, "code", context)
    return render(request, PAGE, context)


def family_or_404(publisher: str, slug: str) -> Family:
    named = PublisherModel.objects.only_listed().filter(publisher=publisher, family=slug)
    models = [] if "\x00" in publisher + slug else list(named)
    if not models:
        raise Http404(f"{publisher}/{slug} is not in the catalogue.")
    return catalogue.family(models)


def get_variant_or_404(family: Family, name: str) -> Variant:
    variant = next((variant for variant in family.variants if variant.name == name), None)
    if variant is None:
        raise Http404(f"{name} is not one of {family.title}.")
    return variant


def context_of(request: ConsoleRequest, family: Family, variant: Variant) -> dict[str, Any]:
    """Endpoints of the model itself and of models tuned from it; those of the model itself come first."""
    mine = list(
        Endpoint.objects.visible_to(request.user).not_deleted().with_model().filter(main_model__base_model=variant.name)
    )
    mine.sort(key=lambda endpoint: not endpoint.model.publisher_model)
    ready = [endpoint for endpoint in mine if endpoint.state == EndpointState.READY]
    return {
        "family": family,
        "variant": variant,
        "sections": model_words.sections_of(variant),
        "overview": SafeString(markdown.render(variant.overview)),
        "endpoints": mine,
        "ready": ready,
        "trial": try_form(ready),
        "checks_project": preflight.applies(),
        "remove_url": removal_url(request.user, variant.model),
    }


def code_of(request: ConsoleRequest, variant: Variant, ready: list[Endpoint]) -> Code:
    tab = request.GET.get("tab", "")
    return Code(variant, next(iter(ready), None), tab if tab in TABS else next(iter(TABS)))


def deploy_context(variant: Variant, form: DeployForm) -> dict[str, Any]:
    """The form, the machines with their prices in the region that it names, and whether the model fits into memory."""
    named = str(form["location"].value() or "") if "location" in form.fields else ""
    region = named if named in regions.list_serving_regions() else regions.default_serving_region()
    fit = memory.of_deployment(variant.name, _context_of(form), _precision_of(form))
    return {"form": form, "options": variant.machine_options_in(region), "price_region": region, "fit": fit}


def _context_of(form: DeployForm) -> int | None:
    """None for what is no number, which the form says."""
    if "context_tokens" not in form.fields:
        return None
    try:
        found: int | None = form.fields["context_tokens"].clean(form["context_tokens"].value())
    except ValidationError:
        return None
    return found


def _precision_of(form: DeployForm) -> str:
    return str(form["precision"].value() or "") if "precision" in form.fields else ""


def deploy_form(variant: Variant, data: Any = None, asked: Mapping[str, str] = MappingProxyType({})) -> DeployForm:
    """`asked`: what is chosen in the form already."""
    name = variant.model.version if any(map(str.isalpha, variant.model.version)) else variant.model.family
    initial = {
        "key": uuid.uuid4(),
        "model": variant.name,
        "model_display_name": name[:100],
        "display_name": f"{name[:100]}-mg-one-click-deploy",
        "machine": next(iter(variant.machines), ""),
        "location": regions.default_serving_region(),
    } | {name: asked[name] for name in CHOSEN if name in asked}
    form = DeployForm(
        data,
        initial=initial,
        machines=variant.machines,
        licence=variant.licence_to_accept,
        scalable=not all(option.is_local for option in variant.machine_options),
        regions=regions.list_serving_regions() if regions.has_choice() else (),
        offered=list_offered_options(variant.machine_options),
    )
    options = variant.precision_options
    form.choose_precision(precisions.choices_of(options), precisions.default_of(options))
    return form


@require_http_methods(["GET", "HEAD", "POST"])
def deploy(request: ConsoleRequest, publisher: str, slug: str) -> HttpResponse:
    family = family_or_404(publisher, slug)
    if request.method != "POST":
        return hx_redirect(request, f"{family.url}?action=deploy")
    variant = get_variant_or_404(family, request.POST.get("model", ""))
    form = deploy_form(variant, answers_of(request))
    endpoint = deploy_variant(request, variant, form) if form.is_valid() else None
    if endpoint is None:
        request_memory(request, variant.name)
        context = context_of(request, family, variant) | deploy_context(variant, form)
        return page_or_fragment(request, PAGE, "deploy", context, status=422)
    messages.success(request, _("Deployment of %(name)s started.") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


def answers_of(request: ConsoleRequest) -> QueryDict:
    """With the context of the button that deploys with a shorter one."""
    answers = request.POST.copy()
    action, _colon, tokens = answers.get("action", "").partition(":")
    if action == "context":
        answers["context_tokens"] = tokens
    return answers


def deploy_variant(request: ConsoleRequest, variant: Variant, form: DeployForm) -> Endpoint | None:
    """The endpoint, or None with the reason in the form."""
    if variant.deploy_reason:
        form.add_error(None, variant.deploy_reason)
        return None
    values = form.cleaned_data
    options = {name: values[name] for name in endpoints.OPTIONS if name in values}
    spec = endpoints.DeploymentSpec(
        display_name=values["display_name"],
        publisher_model=variant.name,
        accepts_licence=values.get("accepts_licence", False),
        machine=endpoints.Machine(**variant.machine(values["machine"])),
        location=values.get("location", ""),
        options=form.options,
        **options,
    )
    try:
        endpoint = endpoints.deploy_model(request.user, key=values["key"], spec=spec)
    except errors.JobsError as error:
        form.add_error(None, str(error))
        return None
    tasks.enqueue_endpoint(endpoint)
    return endpoint


def try_form(ready: list[Endpoint], data: Any = None) -> TryForm:
    return TryForm(data, initial={"key": uuid.uuid4()}, ready=ready, auto_id="try_%s")


@require_http_methods(["GET", "HEAD", "POST"])
def try_out(request: ConsoleRequest, publisher: str, slug: str) -> HttpResponse:
    """The prompt begins a conversation; its answer is read there."""
    family = family_or_404(publisher, slug)
    variant = family.variant(request.GET.get("variant", ""))
    if request.method != "POST":
        return hx_redirect(request, variant.url)
    context = context_of(request, family, variant)
    form = try_form(context["ready"], request.POST)
    answer = first_answer(request, form, **form.parameters()) if form.is_valid() else None
    if answer is None:
        return page_or_fragment(request, PAGE, "try", context | {"trial": form}, status=422)
    return hx_redirect(request, "chat-conversation", answer.conversation_id)
