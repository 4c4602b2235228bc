"""What is asked before a model joins others on an endpoint, before its share changes, and before it goes."""

import uuid

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _

from console.forms.endpoints.traffic import DeployedModelForm, TrafficSplitForm
from console.presenters.catalogue import model_families as catalogue, weights
from console.presenters.catalogue.machines import list_offered_options
from console.presenters.endpoints.model_choices import Choices, add_words, is_deployable, spec_of, undeploy_words
from console.presenters.endpoints.questions import Question, in_use_by
from console.presenters.endpoints.served_models import list_served_models, models_of
from console.web.http import ConsoleRequest, hx_redirect
from jobs import errors, tasks
from jobs.models import Endpoint, PublisherModel
from jobs.services.endpoints import deployed_models, endpoints, lifetime, policies, traffic_split
from jobs.services.endpoints.usage import Uses
from jobs.services.tuned_models import continuation

from .actions import asks, handle_form, post_data, refuse_to_ask
from .endpoints import visible_endpoint

FIRST_SHARE = 10
BASE, TUNED = "base", "tuned"


def choices_of(request: ConsoleRequest) -> Choices:
    families = catalogue.families(PublisherModel.objects.only_listed())
    variants = [variant for family in families for variant in family.variants if not variant.deploy_reason]
    starts = [start for start in continuation.starts(request.user) if is_deployable(start)]
    return Choices(
        {f"{BASE} {variant.name}": variant for variant in variants},
        {f"{TUNED} {start.job.pk} {start.checkpoint}".strip(): start for start in starts},
    )


@asks
def add(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    refuse_to_ask(request, policies.why_not_add_model(endpoint))
    choices = choices_of(request)
    form = model_form(request, choices)
    title = _("Deploy another model on %(name)s") % {"name": endpoint.display_name}
    question = Question(_("Deploy another model"), title, add_words(), _("Deploy"))
    return handle_form(request, endpoint, question, form, lambda: add_model(request, endpoint, form, choices))


def model_form(request: ConsoleRequest, choices: Choices) -> DeployedModelForm:
    options = weights.machines_of(choices.variants.values())
    machines = {"": _("Recommended for the model"), **{option.key: option.label for option in options}}
    asked_for = request.GET.get("model", "")
    initial = {"key": uuid.uuid4(), "share": FIRST_SHARE, "model": asked_for, "machine": ""}
    return DeployedModelForm(
        post_data(request),
        initial=initial,
        models=choices.option_groups,
        machines=machines,
        licences=choices.licences,
        offered=list_offered_options(options, beside=True),
    )


def add_model(
    request: ConsoleRequest, endpoint: Endpoint, form: DeployedModelForm, choices: Choices
) -> HttpResponse | None:
    """None with the reason in the form, which is then asked again."""
    values = form.cleaned_data
    try:
        model = deployed_models.add(endpoint, key=values["key"], spec=spec_of(values, choices, form.options))
    except errors.JobsError as error:
        form.add_error(None, str(error))
        return None
    tasks.enqueue_after_commit(tasks.advance_deployed_model, model_id=str(model.pk))
    messages.success(request, _("Deployment of %(name)s started.") % {"name": model.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


@asks
def traffic(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    models = models_of([endpoint])
    refuse_to_ask(request, policies.why_not_change_models(endpoint))
    shares = [(one.id, one.name, one.share) for one in list_served_models(endpoint, models) if one.share is not None]
    form = TrafficSplitForm(post_data(request), models=shares)
    text = _("The percentage of requests that each model gets. A model with 0 gets no requests but keeps running.")
    question = Question(_("Traffic"), _("Traffic of %(name)s") % {"name": endpoint.display_name}, text, _("Save"))

    def do() -> HttpResponse:
        endpoints.request_traffic(endpoint, form.split)
        tasks.enqueue_after_commit(tasks.advance_endpoint, endpoint_id=str(pk))
        return hx_redirect(request, "endpoint-detail", pk)

    return handle_form(request, endpoint, question, form, do)


@asks
def undeploy(request: ConsoleRequest, pk: uuid.UUID, deployed: str) -> HttpResponse:
    """One of several; who gets its traffic is said with it. One that is still being deployed has none."""
    endpoint = visible_endpoint(request, pk)
    models = models_of([endpoint])
    found = next((one for one in list_served_models(endpoint, models) if one.id == deployed), None)
    if found is None or found.row is None:
        raise Http404(f"{deployed} is not on {endpoint.pk}.")
    is_coming = found.row.is_transient
    refuse_to_ask(request, policies.why_not_undeploy_model(found.row))
    split = {} if is_coming else traffic_split.without(endpoint.traffic, deployed)
    named = {one.id: one.name for one in list_served_models(endpoint, models)}
    form = TrafficSplitForm(
        post_data(request), models=[(key, named.get(key, key), share) for key, share in split.items()]
    )
    title = _("Undeploy %(name)s?") % {"name": found.name}
    text = undeploy_words(found.name, [named.get(key, key) for key in split])
    uses = in_use_by(Uses(chats=0, answering=lifetime.answers(endpoint), requests=0, job=None))
    question = Question(_("Undeploy"), title, text, _("Undeploy"), is_danger=True, uses=uses)

    def do() -> HttpResponse:
        model = deployed_models.undeploy(endpoint, deployed, {} if is_coming else form.split)
        tasks.enqueue_after_commit(tasks.advance_deployed_model, model_id=str(model.pk))
        messages.info(request, _("Undeploying %(name)s") % {"name": found.name})
        return hx_redirect(request, "endpoint-detail", pk)

    return handle_form(request, endpoint, question, form, do)
