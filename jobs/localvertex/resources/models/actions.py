"""What can be done with a publisher's model, as its `supportedActions` say it, and where this server adds facts."""

import json

from google.cloud.aiplatform_v1beta1.types import (
    DedicatedResources,
    ModelContainerSpec,
    Port,
    PublisherModel,
    PublisherModelView,
)

from jobs.localvertex.api.wire import Json
from jobs.localvertex.devices.choice import free_for_serving, list_cards_for_serving, memory_for_serving
from jobs.localvertex.devices.machine import CPU, Machine as Devices
from jobs.localvertex.memory.facts import describe_training
from jobs.localvertex.memory.free import free_memory
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.models.catalogue import CatalogueModel, Machine
from jobs.localvertex.models.containers import CONTEXT_TOKENS, SERVER_IMAGE
from jobs.localvertex.models.exports import size_in_half
from jobs.localvertex.models.machines import spec_of
from jobs.localvertex.models.weights import Weights
from jobs.localvertex.resources.artifacts import GARDEN_WEIGHTS
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.serving.pool import Serving
from jobs.localvertex.serving.prompts.templates import knows_tools
from jobs.localvertex.tuning.job import USUAL_BATCH

Action = PublisherModel.CallToAction
ON_GPU = ", GPU"
CHAT_SAMPLE = '{"instances":[{"@requestFormat":"chatCompletions","messages":[{"role":"user","content":"Hello"}]}]}'
# As Google's page on the use of models shows it for Gemma 3 1B.
VLLM_IMAGE = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-vllm-serve:20250312_0916_RC01"


def list_actions(parts: Parts, model: CatalogueModel, view: int) -> PublisherModel.CallToAction:
    return _as_google(model, view) if parts.as_google else _with_facts(parts, model)


def can_deploy(parts: Parts, model: CatalogueModel) -> bool:
    if parts.as_google:
        return bool(model.machines)
    weights = parts.weights.find(model.id)
    return weights is not None and weights.can_serve


def _as_google(model: CatalogueModel, view: int) -> PublisherModel.CallToAction:
    """No facts, no licence, no mark of what can be tuned; a description for who asks for the full view."""
    actions = Action()
    if view == PublisherModelView.PUBLISHER_MODEL_VIEW_FULL and model.summary:
        overview = PublisherModel.Documentation(title="OVERVIEW", content=model.summary)
        actions.view_rest_api = Action.ViewRestApi(title="View REST API", documentations=[overview])
    if model.machines:
        deploys = [_deploy_by_vllm(model, machine) for machine in model.machines]
        actions.multi_deploy_vertex = Action.DeployVertex(multi_deploy_vertex=deploys)
    return actions


def _deploy_by_vllm(model: CatalogueModel, machine: Machine) -> PublisherModel.CallToAction.Deploy:
    place = f"{GARDEN_WEIGHTS}{model.family}/{model.version}"
    chats = not model.sample_request
    spec = ModelContainerSpec(
        image_uri=VLLM_IMAGE if chats else model.image,
        args=["python", "-m", "vllm.entrypoints.api_server", f"--model={place}"] if chats else [],
        ports=[Port(container_port=8080)],
        predict_route="/generate" if chats else "/predict",
        health_route="/ping",
    )
    return Action.Deploy(
        deploy_task_name="vLLM 128K context" if chats else model.display_name,
        model_display_name=model.version,
        dedicated_resources=_on(machine),
        container_spec=spec,
        deploy_metadata=Action.Deploy.DeployMetadata(sample_request=model.sample_request or CHAT_SAMPLE),
    )


def _with_facts(parts: Parts, model: CatalogueModel) -> PublisherModel.CallToAction:
    weights = parts.weights.find(model.id)
    actions = Action(view_rest_api=Action.ViewRestApi(title="About", documentations=_facts(parts, model, weights)))
    if weights is None:
        return actions
    if weights.can_serve:
        deploys = [_deploy(parts, model, machine) for machine in model.machines]
        actions.multi_deploy_vertex = Action.DeployVertex(multi_deploy_vertex=deploys)
    if model.tuning is not None:
        pipeline = Action.RegionalResourceReferences(title="Managed tuning")
        actions.open_fine_tuning_pipelines = Action.OpenFineTuningPipelines(fine_tuning_pipelines=[pipeline])
    return actions


def _quantizations(parts: Parts, weights: Weights) -> str:
    if parts.instant:
        return ""
    found = parts.deployments.quantizations
    lists = {"base": found.list_offers(weights), "full": found.list_of_whole(weights)}
    return json.dumps({name: [offer.as_json() for offer in offers] for name, offers in lists.items()})


def _deploy(parts: Parts, model: CatalogueModel, machine: Machine) -> PublisherModel.CallToAction.Deploy:
    return Action.Deploy(
        deploy_task_name=f"llama.cpp on {machine.machine_type}",
        title=f"{CONTEXT_TOKENS // 1024}K context" + (ON_GPU if parts.serves_on != CPU else ""),
        model_display_name=model.display_name,
        dedicated_resources=_on(machine),
        container_spec=ModelContainerSpec(
            image_uri=SERVER_IMAGE, args=[f"--model={model.id}"], ports=[Port(container_port=8080)]
        ),
        deploy_metadata=Action.Deploy.DeployMetadata(sample_request=CHAT_SAMPLE),
    )


def _on(machine: Machine) -> DedicatedResources:
    return DedicatedResources(machine_spec=spec_of(machine), min_replica_count=1, max_replica_count=1)


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
        "Quantizations": _quantizations(parts, weights) if weights else "",
        "Weight bytes": str(size_in_half(weights.hf) or "") if weights else "",
        "Imported bytes": _measure_import(parts, model),
        "Sampling": json.dumps(weights.sampling) if weights and weights.sampling else "",
        "Tools": "" if parts.instant or weights is None else _tools(weights),
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
    if weights is not None:
        facts["Memory"] = json.dumps(_memory(parts, model, weights))
    return [PublisherModel.Documentation(title=title, content=text) for title, text in facts.items() if text]


def _measure_import(parts: Parts, model: CatalogueModel) -> str:
    size = parts.imports.measure(model.id) if parts.imports else None
    return "" if size is None else str(size)


def _tools(weights: Weights) -> str:
    """Whether its chat template has a place for tools: rows with tools are trained only there."""
    if not weights.trainable and not weights.servable:
        return ""
    return "yes" if knows_tools(weights.gguf, weights.hf) else "no"


def _memory(parts: Parts, model: CatalogueModel, weights: Weights) -> Json:
    """What is free, and what a training and a deployment take of it, as far as their files tell."""
    known, machine, free = parts.deployments.quantizations, parts.look(), free_memory()
    usual = "" if parts.instant else known.choose(weights, "")
    found: Json = {
        "free": free,
        "contexts": known.find_needs(weights, usual),
        "precisions": {} if parts.instant else known.list_needs(weights),
        **describe_room(parts.serving, machine),
    }
    shape = Shape.read(weights.hf) if model.tuning is not None and not parts.instant else None
    if shape is not None and model.tuning is not None:
        found["training"] = describe_training(shape, USUAL_BATCH, model.tuning.max_tokens, machine, free)
    return found


def describe_room(serving: Serving, machine: Devices) -> Json:
    """Bytes for one more model, and which cards have how many of them. What is idle was put on cards first."""
    room, cards = serving.room(), list_cards_for_serving(machine)
    if not cards:
        return {"room": room}
    on_cards = min(serving.room_within(free_for_serving(machine)), memory_for_serving(machine))
    return {"room": room, "cards": [card.name for card in cards], "room_on_cards": min(room, on_cards)}
