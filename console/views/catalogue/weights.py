"""Deploying weights that lie in a Cloud Storage folder: no model of the catalogue, and no tuning job of ours."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from console.forms.endpoints.deploy import WeightsForm
from console.presenters.catalogue import machines, models
from console.presenters.catalogue.models import Variant
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import errors, tasks
from jobs.models import Endpoint, PublisherModel
from jobs.services.endpoints import endpoints

PAGE = "model_garden/weights.html"


def form_of(variants: Iterable[Variant], data: Any = None, uri: str = "") -> WeightsForm:
    """Offers the machines of the whole catalogue: nobody knows yet which of them suit these weights."""
    options = machines_of(variants)
    choices = {"": _("Let Vertex AI choose"), **{option.key: option.label for option in options}}
    initial: dict[str, Any] = {"key": uuid.uuid4(), "display_name": "custom-weights-mg-one-click-deploy", "machine": ""}
    initial["artifact_uri"] = uri
    form = WeightsForm(data, initial=initial, machines=choices)
    form.fields["machine"].help_text = _("The folder is checked by Vertex AI when the deployment starts.")
    return form


def context_of(form: WeightsForm) -> dict[str, Any]:
    return {"weights": form, "region": settings.VERTEX_LOCATION}


def machines_of(variants: Iterable[Variant]) -> list[machines.MachineOption]:
    specs = [spec for variant in variants if not variant.deploy_reason for spec in variant.machine_specs]
    return sorted(machines.machine_options(specs), key=lambda option: option.key)


@require_http_methods(["GET", "HEAD", "POST"])
def deploy(request: ConsoleRequest) -> HttpResponse:
    if request.method != "POST":
        return hx_redirect(request, f"{reverse('model-garden')}?action=deploy-weights")
    families = models.families(PublisherModel.objects.listed())
    variants = [variant for family in families for variant in family.variants]
    form = form_of(variants, request.POST)
    endpoint = deployed(request, form, variants) if form.is_valid() else None
    if endpoint is None:
        return page_or_fragment(request, PAGE, "form", context_of(form), status=422)
    messages.success(request, _("Deployment of %(name)s started.") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


def deployed(request: ConsoleRequest, form: WeightsForm, variants: Iterable[Variant]) -> Endpoint | None:
    """The endpoint, or None with the reason in the form."""
    values = form.cleaned_data
    spec = endpoints.DeploymentSpec(
        display_name=values["display_name"],
        artifact_uri=values["artifact_uri"],
        model_display_name=values["model_display_name"],
        machine=machine_of(values["machine"], variants),
    )
    try:
        endpoint = endpoints.deploy_model(request.user, key=values["key"], spec=spec)
    except errors.JobsError as error:
        form.add_error(None, str(error))
        return None
    tasks.kick(tasks.advance_endpoint, endpoint_id=str(endpoint.pk))
    return endpoint


def machine_of(key: str, variants: Iterable[Variant]) -> endpoints.Machine | None:
    found = next((variant for variant in variants if key in variant.machines), None) if key else None
    return endpoints.Machine(**found.machine(key)) if found else None
