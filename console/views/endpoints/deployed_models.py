"""What is asked before a model joins others on an endpoint, before its share changes, and before it goes."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _

from console.forms.endpoints.traffic import DeployedModelForm, SharesForm
from console.presenters.catalogue import model_families as catalogue, weights
from console.presenters.endpoints.served_models import models_of, served
from console.web.http import ConsoleRequest, hx_redirect
from jobs import errors, tasks
from jobs.models import Endpoint, PublisherModel, TuningJob
from jobs.services.endpoints import deployed_models, endpoints, lifetime, policies, traffic_split
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.usage import Uses
from jobs.services.tuned_models import checkpoints, continuation

from .actions import Question, answered, asks, in_use_by, refuse_to_ask, sent
from .endpoints import visible_endpoint

FIRST_SHARE = 10
BASE, TUNED = "base", "tuned"


@dataclass(frozen=True)
class Choices:
    """What can be put on an endpoint: models of the catalogue, and what the person's own jobs left."""

    variants: dict[str, catalogue.Variant]
    starts: dict[str, continuation.Start]

    @property
    def grouped(self) -> list[Any]:
        tuned = [(key, start.title) for key, start in self.starts.items()]
        base = [(key, variant.name) for key, variant in self.variants.items()]
        named = ((_("Tuned models and checkpoints"), tuned), (_("Base models"), base))
        return [("", _("Choose a model")), *((name, group) for name, group in named if group)]

    @property
    def licences(self) -> dict[str, str]:
        found = {key: variant.licence_to_accept for key, variant in self.variants.items()}
        return {key: licence for key, licence in found.items() if licence}


def choices_of(request: ConsoleRequest) -> Choices:
    families = catalogue.families(PublisherModel.objects.listed())
    variants = [variant for family in families for variant in family.variants if not variant.deploy_reason]
    starts = [start for start in continuation.starts(request.user) if is_deployable(start)]
    return Choices(
        {f"{BASE} {variant.name}": variant for variant in variants},
        {f"{TUNED} {start.job.pk} {start.checkpoint}".strip(): start for start in starts},
    )


def is_deployable(start: continuation.Start) -> bool:
    """The last checkpoint is the job's whole model, which is offered as that."""
    last = start.checkpoint and start.job.is_tuned and start.checkpoint == checkpoints.last_id(start.job)
    return not last and not (start.checkpoint and checkpoints.why_not_deployed(start.job, start.checkpoint))


@asks
def add(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    refuse_to_ask(request, policies.why_not_add_model(endpoint))
    choices = choices_of(request)
    form = model_form(request, choices)
    text = _(
        "It runs on a machine of its own beside the models that are there, and costs as much as if it were alone. The "
        "endpoint's address stays the same; each request goes to one of its models, by their shares."
    )
    title = _("Deploy another model on %(name)s") % {"name": endpoint.display_name}
    question = Question(_("Deploy another model"), title, text, _("Deploy"))
    return answered(request, endpoint, question, form, lambda: added(request, endpoint, form, choices))


def model_form(request: ConsoleRequest, choices: Choices) -> DeployedModelForm:
    options = weights.machines_of(choices.variants.values())
    machines = {"": _("As recommended for the model"), **{option.key: option.label for option in options}}
    asked_for = request.GET.get("model", "")
    initial = {"key": uuid.uuid4(), "share": FIRST_SHARE, "model": asked_for, "machine": ""}
    return DeployedModelForm(
        sent(request), initial=initial, models=choices.grouped, machines=machines, licences=choices.licences
    )


def added(
    request: ConsoleRequest, endpoint: Endpoint, form: DeployedModelForm, choices: Choices
) -> HttpResponse | None:
    """None with the reason in the form, which is then asked again."""
    values = form.cleaned_data
    try:
        model = deployed_models.add(endpoint, key=values["key"], spec=spec_of(values, choices))
    except errors.JobsError as error:
        form.add_error(None, str(error))
        return None
    tasks.kick(tasks.advance_deployed_model, model_id=str(model.pk))
    messages.success(request, _("Deployment of %(name)s started.") % {"name": model.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


def spec_of(values: dict[str, Any], choices: Choices) -> DeployedModelSpec:
    variant, start = choices.variants.get(values["model"]), choices.starts.get(values["model"])
    job: TuningJob | None = start.job if start else None
    return DeployedModelSpec(
        display_name=values["display_name"]
        or (start.title if start else variant.model.version if variant else "")[:128],
        share=values["share"],
        publisher_model=variant.name if variant else "",
        job=job,
        checkpoint=start.checkpoint if start else "",
        machine=weights.machine_of(values["machine"], choices.variants.values()),
        accepts_licence=values.get("accepts_licence", False) or bool(job and job.accepts_licence),
    )


@asks
def traffic(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    endpoint = visible_endpoint(request, pk)
    models = models_of([endpoint])
    refuse_to_ask(request, policies.why_not_change_models(endpoint))
    shares = [(one.id, one.name, one.share) for one in served(endpoint, models) if one.share is not None]
    form = SharesForm(sent(request), models=shares)
    text = _("How many of each hundred requests go to which model. A model with 0 is asked nothing, and still costs.")
    question = Question(_("Traffic"), _("Traffic of %(name)s") % {"name": endpoint.display_name}, text, _("Save"))

    def do() -> HttpResponse:
        endpoints.request_traffic(endpoint, form.split)
        tasks.kick(tasks.advance_endpoint, endpoint_id=str(pk))
        return hx_redirect(request, "endpoint-detail", pk)

    return answered(request, endpoint, question, form, do)


@asks
def undeploy(request: ConsoleRequest, pk: uuid.UUID, deployed: str) -> HttpResponse:
    """One of several; who gets its traffic is said with it. One that is still being deployed has none."""
    endpoint = visible_endpoint(request, pk)
    models = models_of([endpoint])
    found = next((one for one in served(endpoint, models) if one.id == deployed), None)
    if found is None or found.row is None:
        raise Http404(f"{deployed} is not on {endpoint.pk}.")
    is_coming = found.row.is_transient
    refuse_to_ask(request, policies.why_not_undeploy_model(found.row))
    split = {} if is_coming else traffic_split.without(endpoint.traffic, deployed)
    named = {one.id: one.name for one in served(endpoint, models)}
    form = SharesForm(sent(request), models=[(key, named.get(key, key), share) for key, share in split.items()])
    title = _("Undeploy %(name)s?") % {"name": found.name}
    text = undeploy_words(found.name, [named.get(key, key) for key in split])
    uses = in_use_by(Uses(chats=0, answering=lifetime.answers(endpoint), requests=0, job=None))
    question = Question(_("Undeploy"), title, text, _("Undeploy"), is_danger=True, uses=uses)

    def do() -> HttpResponse:
        model = deployed_models.undeploy(endpoint, deployed, {} if is_coming else form.split)
        tasks.kick(tasks.advance_deployed_model, model_id=str(model.pk))
        messages.info(request, _("Undeploying %(name)s") % {"name": found.name})
        return hx_redirect(request, "endpoint-detail", pk)

    return answered(request, endpoint, question, form, do)


def undeploy_words(name: str, staying: list[str]) -> str:
    if len(staying) > 1:
        return _("The endpoint goes on answering. Say who gets the traffic that %(name)s has now.") % {"name": name}
    if staying:
        return _("The endpoint goes on answering: %(other)s gets all of the traffic.") % {"other": staying[0]}
    return _("Its deployment is given up. The other models go on as they are.")
