"""Deploying weights that lie in a Cloud Storage folder: no model of the catalogue, and no tuning job of ours."""

from collections.abc import Iterable

from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from console.forms.endpoints.deploy import WeightsForm
from console.presenters.catalogue import model_families
from console.presenters.catalogue.model_families import Variant
from console.presenters.catalogue.weights import context_of, form_of, machine_of
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import errors, tasks
from jobs.models import Endpoint, PublisherModel
from jobs.services.endpoints import endpoints

PAGE = "model_garden/weights.html"


@require_http_methods(["GET", "HEAD", "POST"])
def deploy(request: ConsoleRequest) -> HttpResponse:
    if request.method != "POST":
        return hx_redirect(request, f"{reverse('model-garden')}?action=deploy-weights")
    families = model_families.families(PublisherModel.objects.only_listed())
    variants = [variant for family in families for variant in family.variants]
    form = form_of(variants, request.POST)
    endpoint = deploy_weights(request, form, variants) if form.is_valid() else None
    if endpoint is None:
        return page_or_fragment(request, PAGE, "form", context_of(form), status=422)
    messages.success(request, _("Deployment of %(name)s started.") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


def deploy_weights(request: ConsoleRequest, form: WeightsForm, variants: Iterable[Variant]) -> Endpoint | None:
    """The endpoint, or None with the reason in the form."""
    values = form.cleaned_data
    spec = endpoints.DeploymentSpec(
        display_name=values["display_name"],
        artifact_uri=values["artifact_uri"],
        model_display_name=values["model_display_name"],
        machine=machine_of(values["machine"], variants),
        location=values.get("location", ""),
        options=form.options,
    )
    try:
        endpoint = endpoints.deploy_model(request.user, key=values["key"], spec=spec)
    except errors.JobsError as error:
        form.add_error(None, str(error))
        return None
    tasks.enqueue_endpoint(endpoint)
    return endpoint
