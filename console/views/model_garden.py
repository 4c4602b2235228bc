import re
import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.catalogue import CatalogueFilter, feature_facets, provider_facets
from console.forms.deploy import DeployForm
from console.http import ConsoleRequest, hx_redirect, page_or_fragment, wants_fragment
from jobs import errors, markup, tasks
from jobs.models import CatalogueSync, Endpoint, PublisherModel
from jobs.services import endpoints

from . import catalogue
from .catalogue import Family, Variant


@require_GET
def index(request: ConsoleRequest) -> HttpResponse:
    models = list(PublisherModel.objects.listed())
    chosen = CatalogueFilter.parse(request.GET)
    context = {
        "chosen": chosen,
        "facets": [
            ("provider", _("Providers"), provider_facets(chosen, models)),
            ("feature", _("Features"), feature_facets(chosen, models)),
        ],
        "sync": sync_state(bool(models)),
        **(found(chosen, models) if chosen else shelves(models)),
    }
    return page_or_fragment(request, "model_garden/index.html", "results", context)


def shelves(models: Iterable[PublisherModel]) -> dict[str, Any]:
    everything = catalogue.families(models)
    tunable = [family for family in everything if family.can_tune]
    others = [family for family in everything if not family.can_tune]
    named = [(_("Can be fine-tuned here"), tunable), (_("More models"), others)]
    return {"shelves": [(title, entries) for title, entries in named if entries]}


def found(chosen: CatalogueFilter, models: Iterable[PublisherModel]) -> dict[str, Any]:
    matching = [model for model in models if chosen.matches(model)]
    variants = [variant for family in catalogue.families(matching) for variant in family.variants]
    return {"rows": [(variant, highlighted(variant.title, chosen.q)) for variant in variants]}


def highlighted(text: str, q: str) -> SafeString:
    words = "|".join(re.escape(word) for word in q.split())
    parts = re.split(f"({words})", text, flags=re.IGNORECASE) if words else [text]
    tags = (("<mark>", "</mark>") if number % 2 else ("", "") for number in range(len(parts)))
    return format_html_join(
        "", "{}{}{}", ((SafeString(a), part, SafeString(b)) for part, (a, b) in zip(parts, tags, strict=False))
    )


def sync_state(has_models: bool) -> dict[str, Any]:
    """`waiting` for the first reading of the catalogue, or `failed` with the time of the last good one."""
    sync = CatalogueSync.objects.first()
    if sync is None:
        return {"waiting": not has_models}
    failed = sync.failed_at is not None and (sync.succeeded_at is None or sync.failed_at > sync.succeeded_at)
    return {
        "waiting": not has_models and not failed and sync.succeeded_at is None,
        "failed": failed,
        "succeeded_at": sync.succeeded_at,
        "error": sync.error_message,
    }


@require_POST
def refresh(request: ConsoleRequest) -> HttpResponse:
    tasks.kick(tasks.sync_catalogue)
    messages.info(request, _("The catalogue is being read again."))
    return hx_redirect(request, "model-garden")


@require_GET
def detail(request: ConsoleRequest, publisher: str, slug: str) -> HttpResponse:
    family = family_or_404(publisher, slug)
    variant = family.variant(request.GET.get("variant", ""))
    opened = request.GET.get("action") == "deploy" and not variant.deploy_reason
    context = detail_context(request, family, variant, deploy_form(variant), opened=opened)
    return render(request, "model_garden/detail.html", context)


def family_or_404(publisher: str, slug: str) -> Family:
    named = PublisherModel.objects.listed().filter(publisher=publisher, family=slug)
    models = [] if "\x00" in publisher + slug else list(named)
    if not models:
        raise Http404(f"{publisher}/{slug} is not in the catalogue.")
    return catalogue.family(models)


def named_or_404(family: Family, name: str) -> Variant:
    variant = next((variant for variant in family.variants if variant.name == name), None)
    if variant is None:
        raise Http404(f"{name} is not one of {family.title}.")
    return variant


def detail_context(
    request: ConsoleRequest, family: Family, variant: Variant, form: DeployForm, *, opened: bool
) -> dict[str, Any]:
    mine = Endpoint.objects.visible_to(request.user).shown().filter(publisher_model=variant.name)
    return {
        "family": family,
        "variant": variant,
        "overview": SafeString(markup.render(variant.overview)),
        "endpoints": list(mine),
        "form": form,
        "opened": opened,
    }


def deploy_form(variant: Variant, data: Any = None) -> DeployForm:
    initial = {
        "key": uuid.uuid4(),
        "model": variant.name,
        "display_name": slugify(variant.model.version),
        "machine": next(iter(variant.machines), ""),
    }
    return DeployForm(data, initial=initial, machines=variant.machines, licence=variant.licence_to_accept)


@require_http_methods(["GET", "HEAD", "POST"])
def deploy(request: ConsoleRequest, publisher: str, slug: str) -> HttpResponse:
    family = family_or_404(publisher, slug)
    if request.method != "POST":
        return hx_redirect(request, f"{family.url}?action=deploy")
    variant = named_or_404(family, request.POST.get("model", ""))
    form = deploy_form(variant, request.POST)
    endpoint = deployed(request, variant, form) if form.is_valid() else None
    if endpoint is None:
        context = detail_context(request, family, variant, form, opened=not wants_fragment(request))
        return page_or_fragment(request, "model_garden/detail.html", "deploy", context, status=422)
    messages.success(request, _("Deployment of %(name)s started.") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


def deployed(request: ConsoleRequest, variant: Variant, form: DeployForm) -> Endpoint | None:
    """The endpoint, or None with the reason in the form."""
    if variant.deploy_reason:
        form.add_error(None, variant.deploy_reason)
        return None
    values = form.cleaned_data
    spec = endpoints.DeploymentSpec(
        display_name=values["display_name"],
        publisher_model=variant.name,
        accepts_licence=values.get("accepts_licence", False),
        machine=endpoints.Machine(**variant.machine(values["machine"])),
    )
    try:
        endpoint = endpoints.deploy_model(request.user, key=values["key"], spec=spec)
    except errors.JobsError as error:
        form.add_error(None, str(error))
        return None
    tasks.kick(tasks.advance_endpoint, endpoint_id=str(endpoint.pk))
    return endpoint
