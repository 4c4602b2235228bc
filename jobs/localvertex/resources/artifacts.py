"""What is to be served: a base model's own weights, the folder of a tuning, or a whole model in Hugging Face form."""

import json
from collections.abc import Container, Mapping
from dataclasses import dataclass

from google.cloud.aiplatform_v1beta1.types import DeployRequest, Model

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.models import containers, licences
from jobs.localvertex.models.catalogue import LOCAL_MACHINE, CatalogueModel, model_id
from jobs.localvertex.resources import serving_labels
from jobs.localvertex.resources.call import Parts
from jobs.localvertex.serving.deployments import ADAPTER, BASE, MERGED, TUNED
from jobs.localvertex.storage.buckets import Location, location
from jobs.localvertex.tuning.results import ADAPTER_FILE, BASE_MODEL_FILE, ORIGIN_FILE, Origin, name_as_google

LARGEST_ORIGIN = 64 * 1024
GARDEN_WEIGHTS = "gs://vertex-model-garden-restricted-us/"  # which only Google's own machines read


@dataclass(frozen=True)
class Artifact:
    """`base` is missing for a whole model of unknown origin. `adapter`: where that of TUNED lies in the source."""

    form: str
    base: CatalogueModel | None
    source: Location | None = None
    adapter: str = ADAPTER

    @property
    def base_id(self) -> str:
        return self.base.id if self.base else ""

    @property
    def publisher_model(self) -> str:
        return self.base.resource_name if self.base else ""

    @property
    def machines(self) -> list[str]:
        offered = self.base.machines if self.base and self.form != MERGED else (LOCAL_MACHINE,)
        return [machine.machine_type for machine in offered]

    def __str__(self) -> str:
        return str(self.source) if self.form == MERGED else self.base_id


def of_request(parts: Parts, request: DeployRequest) -> Artifact:
    if request.publisher_model_name:
        return Artifact(BASE, parts.catalogue.get(request.publisher_model_name, "publisher_model_name"))
    if request.hugging_face_model_id:
        return Artifact(BASE, _at_hugging_face(parts, request.hugging_face_model_id))
    if not request.custom_model.gcs_uri:
        raise invalid("One of publisher_model_name and custom_model.gcs_uri is required.", "artifacts")
    return of_folder(parts, location(request.custom_model.gcs_uri, "custom_model.gcs_uri"), "custom_model.gcs_uri")


def _at_hugging_face(parts: Parts, name: str) -> CatalogueModel:
    base = parts.catalogue.find_at_hugging_face(name)
    if base is None or parts.weights.find(base.id) is None:
        raise invalid(
            "Hugging Face models cannot be deployed on this server, except those of its catalogue that have their"
            " weights here.",
            "hugging_face_model_id",
        )
    return base


def of_model(parts: Parts, model: Model, checkpoint: str = "") -> Artifact:
    """A model of the registry: by its folder or a checkpoint's, else by the publisher's model that it came from."""
    if checkpoint:
        return of_folder(parts, _checkpoint(parts, model, checkpoint), "deployed_model.checkpoint_id")
    if named := containers.find_named_model(model.container_spec, model.artifact_uri):
        return _of_named(parts, named)
    if model.artifact_uri:
        return of_folder(parts, location(model.artifact_uri, "artifact_uri"), "deployed_model.model")
    source = model.base_model_source.model_garden_source
    if not source.public_model_name:
        raise containers.never_ready(model.name, model.container_spec.image_uri)
    name = f"{source.public_model_name}@{source.version_id}" if source.version_id else source.public_model_name
    return Artifact(BASE, parts.catalogue.get_default(name))


def _of_named(parts: Parts, named: str) -> Artifact:
    """What a model server's arguments name: a folder, or a model by its name at Hugging Face or in Google's bucket."""
    field = "model.container_spec.args"
    if named.startswith("gs://") and not named.startswith(GARDEN_WEIGHTS):
        return of_folder(parts, location(named, field), field)
    base = parts.catalogue.find_by_weights(named)
    if base is None:
        raise invalid(
            f"The container's arguments name {named!r}, which is neither a gs:// folder nor a model here.", field
        )
    return Artifact(BASE, base)


def _checkpoint(parts: Parts, model: Model, wanted: str) -> Location:
    """The last one is what `final` holds, as a whole."""
    folders = {
        one.checkpoint_id: name_as_google(one) if parts.as_google else f"checkpoint-{one.step}"
        for one in model.checkpoints
    }
    if wanted not in folders:
        known = ", ".join(folders) or "none"
        message = f"{model.name} has no checkpoint {wanted!r}. It has: {known}."
        raise invalid(message, "deployed_model.checkpoint_id")
    final = location(model.artifact_uri, "artifact_uri")
    last = wanted == list(folders)[-1]
    return final if last else Location(final.bucket, f"{final.path.rpartition('/')[0]}/{folders[wanted]}")


def of_folder(parts: Parts, source: Location, field: str) -> Artifact:
    """A tuning job of this server leaves the base model's id beside the adapter. An adapter on other weights than the
    base model's own cannot be served with these: the merged model is. So it is where the base model was removed."""
    files = set(parts.buckets.children(source))
    if not files:
        raise invalid(f"{source} is empty or not there. It must be the folder of a tuned model.", field)
    origin = find_origin(parts, source, files, field)
    is_whole = "config.json" in files and any(_is_weights(name) for name in files)
    needs_base = ADAPTER in files and not (origin and (origin.custom_base_model or _is_removed(parts, origin)))
    if is_whole and not needs_base:
        return Artifact(MERGED, parts.catalogue.find(origin.base_model) if origin else None, source)
    if origin and not origin.custom_base_model and ADAPTER_FILE in files:
        return Artifact(TUNED, _base_of(parts, origin, source), source, ADAPTER_FILE)
    missing = {"config.json", ADAPTER, BASE_MODEL_FILE} - files
    if missing or origin is None:
        message = f"{source} is not a model that this server can serve: it lacks {', '.join(sorted(missing))}."
        raise invalid(message, field)
    return Artifact(TUNED, _base_of(parts, origin, source), source)


def _is_removed(parts: Parts, origin: Origin) -> bool:
    return parts.catalogue.find(model_id(origin.base_model)) is None


def _base_of(parts: Parts, origin: Origin, adapter: Location) -> CatalogueModel:
    if _is_removed(parts, origin):
        raise precondition(
            f"{adapter} holds an adapter of {origin.base_model}, which is not on this server. Import that model, and"
            " then deploy the adapter."
        )
    return parts.catalogue.get(origin.base_model)


def find_origin(parts: Parts, folder: Location, files: Container[str], field: str) -> Origin | None:
    """Beside the adapter: a final folder has it further down than a checkpoint."""
    name = next((name for name in (BASE_MODEL_FILE, ORIGIN_FILE) if name in files), "")
    if not name:
        return None
    try:
        found = json.loads(parts.buckets.read(folder / name, at_most=LARGEST_ORIGIN))
        if all(isinstance(value, str) for value in found.values()):
            return Origin(**found)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise invalid(f"{folder / name} cannot be read.", field)


def require(parts: Parts, artifact: Artifact, project: str) -> None:
    """The weights or the means to make them here; and the licence accepted of what a publisher shares, as Google asks
    it before a deployment and not before a tuning or of the folder that one left."""
    if artifact.form == BASE and artifact.base is not None:
        licences.require(parts.store, project, artifact.base, as_google=parts.as_google)
    if artifact.base is None or artifact.form == MERGED:
        parts.deployments.quantizations.converter.require(artifact.source)
        return
    parts.look_again()
    weights = parts.weights.get(artifact.base.id, artifact.base.how_to_get)
    if not weights.can_serve:
        raise precondition(f"{artifact.base.id} cannot be deployed: {weights.message}")


def choose_quantization(parts: Parts, artifact: Artifact, labels: Mapping[str, str], field: str) -> str:
    """Empty: the file that the weights come with, or of a whole model what fits. Google keeps such a label and does
    nothing with it."""
    if parts.as_google:
        return ""
    asked = serving_labels.read_quantization(labels, field)
    weights = parts.weights.find(artifact.base_id)
    if parts.instant:
        return ""
    if artifact.form == MERGED or weights is None:
        return asked
    return parts.deployments.quantizations.choose(weights, asked)


def _is_weights(name: str) -> bool:
    return name.endswith((".safetensors", ".bin")) and "/" not in name
