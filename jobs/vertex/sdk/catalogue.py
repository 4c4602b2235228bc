import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from google.cloud.aiplatform_v1beta1 import types
from google.protobuf import json_format
from google.protobuf.struct_pb2 import Value

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import NO_TOOLS, Refused
from jobs.vertex.machine import Memory, Pace
from jobs.vertex.memory import parse_memory
from jobs.vertex.values import CatalogueModel, MachineSpec, Precision

from . import clients
from .messages import enum_name, raw
from .outside_text import read_object

SERVICE = "model_garden_service"
OWN_MODELS = "is_hf_wildcard(false)"
TEMPLATE_WITHOUT_TOOLS = "chat template of this model knows no tools"
LONGEST_PACE = 3600
# Each with its least value.
SAMPLED = {"temperature": 0, "top_p": 0, "top_k": 0, "frequency_penalty": -2, "presence_penalty": -2}
LARGEST_SETTING = 10_000
MAX_SIZE_DIGITS = 15
MAX_SPEED = 10**6
KIND = re.compile(r"[a-z0-9_]{0,16}")
# What reading the facts of a server raises that are not as they should be.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
SECTIONS = ("use cases", "documentation", "pricing")

_SHORT = re.compile(r"(?P<publisher>[\w.-]+)/(?P<model>[\w.-]+)@(?P<version>[\w.-]+)")
_SIZE = re.compile(r"[ae]?\d+(\.\d+)?[bm]")


class Catalogue:
    def list_models(self) -> list[CatalogueModel]:
        """PublisherModel has no title and no description: both come from its documentations, where it has any, which
        only the full view tells."""
        request = types.ListPublisherModelsRequest(
            parent="publishers/*",
            filter=OWN_MODELS,
            list_all_versions=True,
            page_size=settings.VERTEX_PAGE_SIZE,
            view=types.PublisherModelView.PUBLISHER_MODEL_VIEW_FULL,
        )
        found = clients.all_pages(clients.client(SERVICE).list_publisher_models, request)
        return [_model(model) for model in found if _is_open(model)]

    def licence_acknowledged(self, model: str) -> bool:
        request = types.CheckPublisherModelEulaAcceptanceRequest(**_project_and_model(model))
        check = clients.client(SERVICE).check_publisher_model_eula_acceptance
        return bool(clients.ask(check, request).publisher_model_eula_acked)

    def acknowledge_licence(self, model: str) -> None:
        request = types.AcceptPublisherModelEulaRequest(**_project_and_model(model))
        clients.ask(clients.client(SERVICE).accept_publisher_model_eula, request)

    def count_tokens(self, model: str, rows: Sequence[Mapping[str, Any]]) -> int | None:
        """Google counts prompts for Gemini, and nothing for the open models that are tuned."""
        if not settings.VERTEX_API_ENDPOINT:
            return None
        request = types.CountTokensRequest(endpoint=f"{clients.parent()}/{long_name(model)}")
        # proto-plus takes no list of Value in its constructor.
        types.CountTokensRequest.pb(request).instances.extend(json_format.ParseDict(row, Value()) for row in rows)
        try:
            return int(clients.ask(clients.client("prediction_service").count_tokens, request).total_tokens)
        except Refused as error:
            if TEMPLATE_WITHOUT_TOOLS not in str(error):
                raise
            raise Refused(str(error), NO_TOOLS) from error

    def export_weights(self, model: str, uri: str) -> str:
        request = types.ExportPublisherModelRequest(
            parent=clients.parent(), name=long_name(model), destination=types.GcsDestination(output_uri_prefix=uri)
        )
        return str(clients.ask(clients.client(SERVICE).export_publisher_model, request).operation.name)

    def training_paces(self, model: str) -> dict[str, Pace]:
        if not settings.VERTEX_API_ENDPOINT:
            return {}
        return _paces(_fact(model, "Training pace"))

    def memory(self, model: str) -> Memory | None:
        return parse_memory(_fact(model, "Memory")) if settings.VERTEX_API_ENDPOINT else None


def _fact(model: str, title: str) -> str:
    request = types.GetPublisherModelRequest(name=long_name(model))
    found = clients.ask(clients.client(SERVICE).get_publisher_model, request)
    entries = found.supported_actions.view_rest_api.documentations
    return next((str(entry.content) for entry in entries if entry.title == title), "")


def _paces(text: str) -> dict[str, Pace]:
    """Whatever is no pace is left out."""
    try:
        return {
            str(mode): Pace(float(pace["load"]), float(pace["step"]), float(pace["token"]))
            for mode, pace in read_object(text).items()
            if all(0 <= float(pace[name]) < LONGEST_PACE for name in ("load", "step", "token")) and pace["token"]
        }
    except MALFORMED:
        return {}


def _sampling(text: str) -> dict[str, float]:
    """Whatever is no number of a parameter is left out."""
    found = read_object(text)
    told = {name: found[name] for name in SAMPLED if type(found.get(name)) in (int, float)}
    return {name: value for name, value in told.items() if SAMPLED[name] <= value < LARGEST_SETTING}


def _precisions(text: str) -> dict[str, tuple[Precision, ...]]:
    """Nothing, where any of it is none."""
    found = read_object(text)
    try:
        return {name: tuple(_precision(one) for one in found.get(name, [])) for name in ("base", "full") if found}
    except MALFORMED:
        return {}


def _precision(one: Mapping[str, Any]) -> Precision:
    kind, speed = str(one["kind"]), one["tokens_per_second"]
    if not KIND.fullmatch(kind) or not all(0 <= int(one[name]) < 10**MAX_SIZE_DIGITS for name in ("bytes", "memory")):
        raise ValueError(kind)
    tokens = float(speed) if speed and 0 < float(speed) < MAX_SPEED else None
    return Precision(kind, int(one["bytes"]), int(one["memory"]), tokens, bool(one["default"]))


def long_name(model: str) -> str:
    """`google/gemma3@gemma-3-270m` → `publishers/google/models/gemma3@gemma-3-270m`."""
    found = _SHORT.fullmatch(model)
    if found is None:
        raise Refused(
            _("%s is not the name of a model. An example is google/gemma3@gemma-3-270m.") % model, "INVALID_ARGUMENT"
        )
    return f"publishers/{found['publisher']}/models/{found['model']}@{found['version']}"


def short_name(name: str, version: str = "") -> str:
    short = name.removeprefix("publishers/").replace("/models/", "/", 1)
    return short if "@" in short or not version else f"{short}@{version}"


def _project_and_model(model: str) -> dict[str, str]:
    return {"parent": f"projects/{settings.VERTEX_PROJECT}", "publisher_model": long_name(model)}


def _is_open(model: Any) -> bool:
    category = types.PublisherModel.OpenSourceCategory
    closed = (category.PROPRIETARY, category.OPEN_SOURCE_CATEGORY_UNSPECIFIED)
    return raw(model).open_source_category not in closed or bool(deploy_options(model))


def _model(model: Any) -> CatalogueModel:
    options = deploy_options(model)
    entries = model.supported_actions.view_rest_api.documentations
    documents = {entry.title.strip().lower(): entry.content for entry in entries}
    facts = dict.fromkeys(("name", "licence", "licence url", "parameters", "context tokens", "modalities"), "")
    facts |= documents
    name = short_name(model.name, model.version_id)
    return CatalogueModel(
        name=name,
        display_name=facts["name"] or _title(name),
        launch_stage=_launch_stage(raw(model).launch_stage),
        overview=documents.get("summary") or documents.get("overview", ""),
        machine_specs=tuple(_machine(option) for option in options),
        can_tune=bool(options) or _has_tuning_action(model),
        licence=facts["licence"],
        licence_url=facts["licence url"],
        sample_request=_sample(options),
        parameters=facts["parameters"],
        context_tokens=_number(facts["context tokens"]),
        modalities=tuple(facts["modalities"].replace(" ", "").split(",")) if facts["modalities"] else (),
        paces=_paces(documents.get("training pace", "")),
        memory=parse_memory(documents.get("memory", "")),
        weight_bytes=_number(documents.get("weight bytes", ""), MAX_SIZE_DIGITS),
        imported_bytes=_number(told, MAX_SIZE_DIGITS) if (told := documents.get("imported bytes")) else None,
        sampling=_sampling(documents.get("sampling", "")),
        knows_tools={"yes": True, "no": False}.get(documents.get("tools", "")),
        precisions=_precisions(documents.get("quantizations", "")),
        documents={title: documents[title] for title in SECTIONS if documents.get(title)},
    )


def deploy_options(model: Any) -> list[Any]:
    """The first is the one that Google recommends."""
    actions = model.supported_actions
    several = list(actions.multi_deploy_vertex.multi_deploy_vertex)
    if several or "deploy" not in actions:
        return several
    return [actions.deploy]


def _has_tuning_action(model: Any) -> bool:
    """Google marks its tuning pipelines only; which models are tuned by `tuningJobs` no field says."""
    actions = model.supported_actions
    return "open_fine_tuning_pipeline" in actions or "open_fine_tuning_pipelines" in actions


def _launch_stage(stage: int) -> str:
    return enum_name(types.PublisherModel.LaunchStage, stage) if stage else ""


def _machine(option: Any) -> MachineSpec:
    spec = option.dedicated_resources.machine_spec
    accelerator = raw(spec).accelerator_type
    title = option.title or option.deploy_task_name
    name = enum_name(types.AcceleratorType, accelerator) if accelerator else ""
    return MachineSpec(spec.machine_type, name, spec.accelerator_count, title)


def _number(text: str, digits: int = 9) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else 0


def _sample(options: list[Any]) -> dict[str, Any]:
    return read_object(options[0].deploy_metadata.sample_request) if options else {}


def _title(name: str) -> str:
    """google/gemma3@gemma-3-27b-it → Gemma 3 27B IT; a version that is a mere number says nothing."""
    family, _at, version = name.rpartition("/")[2].partition("@")
    version = version if any(map(str.isalpha, version)) else family
    words = version.replace("_", "-").split("-")
    return " ".join(
        word.upper() if _SIZE.fullmatch(word) or word in ("it", "pt") else word.capitalize() for word in words
    )
