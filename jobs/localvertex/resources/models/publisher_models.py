"""The catalogue as Model Garden shows it, and the licences that are accepted there."""

import re
from collections.abc import Callable
from typing import Any

from google.cloud.aiplatform_v1beta1.types import (
    AcceptPublisherModelEulaRequest,
    CheckPublisherModelEulaAcceptanceRequest,
    ExportPublisherModelOperationMetadata,
    ExportPublisherModelRequest,
    GetPublisherModelRequest,
    ListPublisherModelsRequest,
    ListPublisherModelsResponse,
    PublisherModel,
    PublisherModelEulaAcceptance,
)

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.filtering.expressions import CALL, Test, parse_expression
from jobs.localvertex.api.filtering.filters import order_resources, page
from jobs.localvertex.api.hosts import project_number, refuse_global
from jobs.localvertex.api.wire import Operation
from jobs.localvertex.models import licences
from jobs.localvertex.models.catalogue import CatalogueModel
from jobs.localvertex.models.exports import NOTE
from jobs.localvertex.models.machines import USUAL_MACHINE, spec_of
from jobs.localvertex.resources.call import Call, Parts, Route, generic
from jobs.localvertex.resources.models import actions
from jobs.localvertex.storage.buckets import location
from jobs.localvertex.tuning.queue import new_id

TEXTS: dict[str, Callable[[CatalogueModel], str]] = {
    "model_user_id": lambda model: model.id,
    "display_name": lambda model: model.display_name,
}
EQUIVALENT = spec_of(USUAL_MACHINE)
VERIFIED, SUCCEEDED = "labels.VERIFIED_DEPLOYMENT_CONFIG", "VERIFIED_DEPLOYMENT_SUCCEED"
LONGEST_PATTERN, MAX_REPETITIONS = 200, 5


def list_publisher_models(call: Call) -> ListPublisherModelsResponse:
    request = call.request(ListPublisherModelsRequest)
    publisher = request.parent.partition("/")[2]
    call.parts.look_again()
    models = [m for m in call.parts.catalogue.all() if publisher in ("*", "-", m.publisher)]
    if not request.list_all_versions:
        models = list({model.resource_name.partition("@")[0]: model for model in reversed(models)}.values())[::-1]
    wanted = _filter(call.parts, request.filter)
    messages = [publisher_model(call.parts, model, request.view) for model in models if wanted(model)]
    ordered = order_resources(PublisherModel, messages, request.order_by)
    shown, following = page(ordered, request.page_size, request.page_token)
    return ListPublisherModelsResponse(publisher_models=shown, next_page_token=following)


def get_publisher_model(call: Call) -> PublisherModel:
    request = call.request(GetPublisherModelRequest)
    call.parts.look_again()
    found = publisher_model(call.parts, call.parts.catalogue.get_default(request.name, "name"), request.view)
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


def publisher_model(parts: Parts, model: CatalogueModel, view: int) -> PublisherModel:
    return PublisherModel(
        name=f"publishers/{model.publisher}/models/{model.family}",
        version_id=model.version,
        open_source_category=_category(model),
        launch_stage=PublisherModel.LaunchStage.GA,
        version_state=PublisherModel.VersionState.VERSION_STATE_STABLE,
        publisher_model_template=f"projects/{{project}}/locations/{{location}}/{model.resource_name}",
        supported_actions=actions.list_actions(parts, model, view),
    )


def _add_equivalents(model: PublisherModel) -> None:
    """Before each option, the same on the machine of Google's that people name most: it is taken, and this one works.
    `gcloud` deploys by the first option, and only by one with an accelerator."""
    offered = model.supported_actions
    if "multi_deploy_vertex" not in offered:
        return
    options: list[Any] = []
    for own in offered.multi_deploy_vertex.multi_deploy_vertex:
        other = actions.Action.Deploy(own)
        other.deploy_task_name = f"{own.deploy_task_name}, asked for as {EQUIVALENT.machine_type}"
        other.dedicated_resources.machine_spec = EQUIVALENT
        options += [own] if own.dedicated_resources.machine_spec.accelerator_count else [other, own]
    offered.multi_deploy_vertex.multi_deploy_vertex = options


def _category(model: CatalogueModel) -> int:
    kind = PublisherModel.OpenSourceCategory
    if model.publisher == "google":
        return kind.GOOGLE_OWNED_OSS_WITH_GOOGLE_CHECKPOINT
    return kind.THIRD_PARTY_OWNED_OSS


def _filter(parts: Parts, expression: str) -> Test:
    """What Google's own client sends: `is_hf_wildcard(false) AND (model_user_id=~"…" OR display_name=~"…")`."""

    def compare(path: str, op: str, value: str) -> Test:
        if op == CALL and path in ("is_hf_wildcard", "can_deploy") and value in ("true", "false"):
            return lambda model: _is(parts, path, model) == (value == "true")
        if path == VERIFIED and op in ("=", "!="):
            return lambda model: (actions.can_deploy(parts, model) and value == SUCCEEDED) == (op == "=")
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
    return what == "can_deploy" and actions.can_deploy(parts, model)


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
