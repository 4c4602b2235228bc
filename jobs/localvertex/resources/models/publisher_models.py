"""The catalogue as Model Garden shows it, and the licences that are accepted there."""

import json
import re
from collections.abc import Callable
from typing import Any

from google.cloud.aiplatform_v1beta1.types import (
    AcceleratorType,
    AcceptPublisherModelEulaRequest,
    CheckPublisherModelEulaAcceptanceRequest,
    DedicatedResources,
    ExportPublisherModelOperationMetadata,
    ExportPublisherModelRequest,
    GetPublisherModelRequest,
    ListPublisherModelsRequest,
    ListPublisherModelsResponse,
    MachineSpec,
    ModelContainerSpec,
    Port,
    PublisherModel,
    PublisherModelEulaAcceptance,
)

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.filtering.expressions import CALL, Test, parse_expression
from jobs.localvertex.api.filtering.filters import order_resources, page
from jobs.localvertex.api.hosts import project_number, refuse_global
from jobs.localvertex.api.wire import Operation
from jobs.localvertex.models import licences
from jobs.localvertex.models.catalogue import CatalogueModel, Machine
from jobs.localvertex.models.containers import SERVER_IMAGE
from jobs.localvertex.models.exports import NOTE, size_in_half
from jobs.localvertex.models.weights import Weights
from jobs.localvertex.resources.call import Call, Parts, Route, generic
from jobs.localvertex.serving.llama import CONTEXT_TOKENS
from jobs.localvertex.storage.buckets import location
from jobs.localvertex.tuning.queue import new_id

Action = PublisherModel.CallToAction
ACCELERATORS: Any = AcceleratorType
TEXTS: dict[str, Callable[[CatalogueModel], str]] = {
    "model_user_id": lambda model: model.id,
    "display_name": lambda model: model.display_name,
}
EQUIVALENT = MachineSpec(machine_type="g2-standard-12", accelerator_type=ACCELERATORS.NVIDIA_L4, accelerator_count=1)
VERIFIED, SUCCEEDED = "labels.VERIFIED_DEPLOYMENT_CONFIG", "VERIFIED_DEPLOYMENT_SUCCEED"
LONGEST_PATTERN, MAX_REPETITIONS = 200, 5


def list_publisher_models(call: Call) -> ListPublisherModelsResponse:
    request = call.request(ListPublisherModelsRequest)
    publisher = request.parent.partition("/")[2]
    models = [m for m in call.parts.catalogue.all() if publisher in ("*", "-", m.publisher)]
    if not request.list_all_versions:
        models = list({model.resource_name.partition("@")[0]: model for model in reversed(models)}.values())[::-1]
    wanted = _filter(call.parts, request.filter)
    messages = [publisher_model(call.parts, model) for model in models if wanted(model)]
    ordered = order_resources(PublisherModel, messages, request.order_by)
    shown, following = page(ordered, request.page_size, request.page_token)
    return ListPublisherModelsResponse(publisher_models=shown, next_page_token=following)


def get_publisher_model(call: Call) -> PublisherModel:
    request = call.request(GetPublisherModelRequest)
    found = publisher_model(call.parts, call.parts.catalogue.get_default(request.name, "name"))
    if request.include_equivalent_model_garden_model_deployment_configs:
        _add_equivalents(found)
    return found


def check_publisher_model_eula_acceptance(call: Call) -> PublisherModelEulaAcceptance:
    request = call.parse_post(CheckPublisherModelEulaAcceptanceRequest)
    return _acceptance(call.parts, request.parent, request.publisher_model)


def accept_publisher_model_eula(call: Call) -> PublisherModelEulaAcceptance:
    request = call.parse_post(AcceptPublisherModelEulaRequest)
    model = call.parts.catalogue.get(request.publisher_model, "publisher_model")
    licences.accept(call.parts.store, request.parent.partition("/")[2], model)
    return _acceptance(call.parts, request.parent, request.publisher_model)


def export_publisher_model(call: Call) -> Operation:
    """As for a tuning, whose final model holds them too, no licence is asked for."""
    request = call.parse_post(ExportPublisherModelRequest)
    refuse_global(request.parent)
    parts, model = call.parts, call.parts.catalogue.get(request.name, "name")
    place = str(location(request.destination.output_uri_prefix, "destination.output_uri_prefix"))
    weights = parts.weights.get(model.id, model.how_to_get)
    if not weights.can_train:
        raise precondition(f"{model.id} cannot be exported: {weights.message}")
    name = f"{request.parent}/operations/{new_id()}"
    with parts.store.transaction():
        asked = {"model": model.id, "name": model.resource_name, "destination": place}
        operation = call.operation(name, ExportPublisherModelOperationMetadata(generic_metadata=generic()))
        parts.store.write_note(name, **{NOTE: asked})
    parts.exports.begin(name)
    return operation


def publisher_model(parts: Parts, model: CatalogueModel) -> PublisherModel:
    return PublisherModel(
        name=f"publishers/{model.publisher}/models/{model.family}",
        version_id=model.version,
        open_source_category=_category(model),
        launch_stage=PublisherModel.LaunchStage.GA,
        version_state=PublisherModel.VersionState.VERSION_STATE_STABLE,
        publisher_model_template=f"projects/{{project}}/locations/{{location}}/{model.resource_name}",
        supported_actions=_actions(parts, model),
    )


def _add_equivalents(model: PublisherModel) -> None:
    """Before each option, the same on the machine of Google's that people name most: it is taken, and this one works.
    `gcloud` deploys by the first option, and only by one with an accelerator."""
    actions = model.supported_actions
    if "multi_deploy_vertex" not in actions:
        return
    options: list[Any] = []
    for own in actions.multi_deploy_vertex.multi_deploy_vertex:
        other = Action.Deploy(own)
        other.deploy_task_name = f"{own.deploy_task_name}, asked for as {EQUIVALENT.machine_type}"
        other.dedicated_resources.machine_spec = EQUIVALENT
        options += [own] if own.dedicated_resources.machine_spec.accelerator_count else [other, own]
    actions.multi_deploy_vertex.multi_deploy_vertex = options


def _category(model: CatalogueModel) -> int:
    kind = PublisherModel.OpenSourceCategory
    if model.publisher == "google":
        return kind.GOOGLE_OWNED_OSS_WITH_GOOGLE_CHECKPOINT
    return kind.THIRD_PARTY_OWNED_OSS


def _actions(parts: Parts, model: CatalogueModel) -> PublisherModel.CallToAction:
    weights = parts.weights.find(model.id)
    actions = Action(view_rest_api=Action.ViewRestApi(title="About", documentations=_facts(parts, model, weights)))
    if weights is None:
        return actions
    if weights.can_serve:
        deploys = [_deploy(model, machine) for machine in model.machines]
        actions.multi_deploy_vertex = Action.DeployVertex(multi_deploy_vertex=deploys)
    if model.tuning is not None:
        pipeline = Action.RegionalResourceReferences(title="Managed tuning")
        actions.open_fine_tuning_pipelines = Action.OpenFineTuningPipelines(fine_tuning_pipelines=[pipeline])
    return actions


def _deploy(model: CatalogueModel, machine: Machine) -> PublisherModel.CallToAction.Deploy:
    spec = MachineSpec(machine_type=machine.machine_type, accelerator_count=machine.accelerator_count)
    if machine.accelerator_type:
        spec.accelerator_type = ACCELERATORS[machine.accelerator_type]
    sample = '{"instances":[{"@requestFormat":"chatCompletions","messages":[{"role":"user","content":"Hello"}]}]}'
    return Action.Deploy(
        deploy_task_name=f"llama.cpp on {machine.machine_type}",
        title=f"{CONTEXT_TOKENS // 1024}K context",
        model_display_name=model.display_name,
        dedicated_resources=DedicatedResources(machine_spec=spec, min_replica_count=1, max_replica_count=1),
        container_spec=ModelContainerSpec(
            image_uri=SERVER_IMAGE, args=[f"--model={model.id}"], ports=[Port(container_port=8080)]
        ),
        deploy_metadata=Action.Deploy.DeployMetadata(sample_request=sample),
    )


def _facts(parts: Parts, model: CatalogueModel, weights: Weights | None) -> list[PublisherModel.Documentation]:
    facts = {
        "Name": model.display_name,
        "Summary": model.summary,
        "Parameters": model.parameters,
        "Context tokens": str(model.context_tokens or ""),
        "Modalities": ",".join(model.modalities),
        "Licence": model.licence.name,
        "Licence URL": model.licence.url,
        "Licence acceptance": "required" if model.licence.acceptance else "",
        "Runs here": "yes" if weights else "no",
        "Weight bytes": str(size_in_half(weights.hf) or "") if weights else "",
    }
    if model.tuning is not None:
        facts |= {
            "Tuning modes": ",".join(model.tuning.modes),
            "Adapter sizes": ",".join(str(size) for size in model.tuning.adapter_sizes),
            "Max tuning tokens": str(model.tuning.max_tokens),
        }
        if model.tuning.usd_per_million_tokens is not None:
            facts["Price per million training tokens (USD)"] = str(model.tuning.usd_per_million_tokens)
        if paces := parts.trials.paces(model.id):
            facts["Training pace"] = json.dumps(paces)
    return [PublisherModel.Documentation(title=title, content=text) for title, text in facts.items() if text]


def _filter(parts: Parts, expression: str) -> Test:
    """What Google's own client sends: `is_hf_wildcard(false) AND (model_user_id=~"…" OR display_name=~"…")`."""

    def compare(path: str, op: str, value: str) -> Test:
        if op == CALL and path in ("is_hf_wildcard", "can_deploy") and value in ("true", "false"):
            return lambda model: _is(parts, path, model) == (value == "true")
        if path == VERIFIED and op in ("=", "!="):
            return lambda model: (_can_deploy(parts, model) and value == SUCCEEDED) == (op == "=")
        text = TEXTS.get(path)
        if text is None or op not in ("=~", "=", "!=", ":"):
            raise invalid(f"Invalid filter expression: {path} {op} is not known here.", "filter")
        if op == "=~":
            pattern = _pattern(value)
            return lambda model: pattern.search(text(model)) is not None
        if op == ":":
            return lambda model: value in text(model)
        return lambda model: (text(model) == value) == (op == "=")

    return parse_expression(expression, compare) if expression.strip() else lambda model: True


def _is(parts: Parts, what: str, model: CatalogueModel) -> bool:
    """None of them is a wildcard that stands for Hugging Face's models."""
    return what == "can_deploy" and _can_deploy(parts, model)


def _can_deploy(parts: Parts, model: CatalogueModel) -> bool:
    weights = parts.weights.find(model.id)
    return weights is not None and weights.can_serve


def _pattern(text: str) -> re.Pattern[str]:
    """Python's expressions can take forever where Google's cannot: not with so few repetitions of single characters."""
    if len(text) > LONGEST_PATTERN or len(re.findall(r"[*+{]", text)) > MAX_REPETITIONS or re.search(r"\)[*+{]", text):
        raise invalid("Invalid filter expression: the pattern is too long or repeats too much.", "filter")
    try:
        return re.compile(text)
    except re.error as error:
        raise invalid(f"Invalid filter expression: {error}.", "filter") from None


def _acceptance(parts: Parts, parent: str, name: str) -> PublisherModelEulaAcceptance:
    project = parent.partition("/")[2]
    model = parts.catalogue.get(name, "publisher_model")
    return PublisherModelEulaAcceptance(
        project_number=project_number(project),
        publisher_model=model.resource_name,
        publisher_model_eula_acked=licences.is_accepted(parts.store, project, model),
    )


ROUTES = [
    Route("list_publisher_models", "GET", "{parent=publishers/*}/models", list_publisher_models),
    Route("get_publisher_model", "GET", "{name=publishers/*/models/*}", get_publisher_model),
    Route(
        "export_publisher_model",
        "POST",
        "{parent=projects/*/locations/*}/{name=publishers/*/models/*}:export",
        export_publisher_model,
    ),
    Route(
        "check_publisher_model_eula_acceptance",
        "POST",
        "{parent=projects/*}/modelGardenEula:check",
        check_publisher_model_eula_acceptance,
    ),
    Route(
        "accept_publisher_model_eula",
        "POST",
        "{parent=projects/*}/modelGardenEula:accept",
        accept_publisher_model_eula,
    ),
]
