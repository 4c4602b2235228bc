"""Models and their versions. The row of the bare name is the default version; every other one is `name@version`."""

from collections.abc import Sequence

from google.cloud.aiplatform_v1beta1.types import Model

from jobs.localvertex.api.errors import exists, not_found, precondition
from jobs.localvertex.store import Store

DEFAULT = "default"
_TYPES = Model.DeploymentResourcesType
# Google's client sends no machine without the first, and no resource pool without the second.
RESOURCES = [_TYPES.DEDICATED_RESOURCES, _TYPES.SHARED_RESOURCES]


def find(store: Store, name: str) -> Model:
    """By `models/M`, `models/M@2` or `models/M@alias`."""
    bare, _, wanted = name.partition("@")
    default = store.get(Model, bare)
    for model in versions(store, bare):
        if wanted in (model.version_id, *model.version_aliases):
            return model
    if wanted:
        raise not_found(f"The Model {name}")
    return default


def models(store: Store, parent: str) -> Sequence[Model]:
    """The default version of each."""
    return store.find_unversioned(Model, f"{parent}/models")


def versions(store: Store, bare: str) -> list[Model]:
    """Newest first."""
    return sorted(store.find_versions(Model, bare), key=lambda model: int(model.version_id), reverse=True)


def add_version(store: Store, bare: str, model: Model) -> Model:
    """The next version of a model that exists; it becomes the default when its aliases say so."""
    with store.transaction():
        parent = store.get(Model, bare)
        _refuse_taken(store, bare, list(model.version_aliases))
        highest = max(int(one.version_id) for one in versions(store, bare))
        last = int(store.note(bare).get("last_version", highest))
        model.version_id = str(max(highest, last) + 1)
        model.create_time = parent.create_time
        model.name = f"{bare}@{model.version_id}"
        wants_default = DEFAULT in model.version_aliases
        model.version_aliases = [alias for alias in model.version_aliases if alias != DEFAULT]
        store.insert(model)
        store.write_note(bare, last_version=int(model.version_id))
        if wants_default:
            make_default(store, bare, model.version_id)
        return find(store, f"{bare}@{model.version_id}")


def make_default(store: Store, bare: str, version: str) -> None:
    with store.transaction():
        old, new = store.get(Model, bare), find(store, f"{bare}@{version}")
        if old.version_id == new.version_id:
            return
        store.remove(new.name)
        store.remove(bare)
        old.name, new.name = f"{bare}@{old.version_id}", bare
        old.version_aliases = [alias for alias in old.version_aliases if alias != DEFAULT]
        new.version_aliases = [DEFAULT, *new.version_aliases]
        store.insert(new)
        store.insert(old)


def delete_version(store: Store, bare: str, version: str) -> None:
    with store.transaction():
        model = find(store, f"{bare}@{version}")
        if model.name == bare:
            raise precondition(
                f"Version {version} of {bare} is the default version and cannot be deleted."
                " Move the alias default to another version, or delete the whole model."
            )
        if model.deployed_models:
            raise precondition(f"Version {version} of {bare} is deployed. Undeploy it first.")
        store.delete(model.name)


def _refuse_taken(store: Store, bare: str, aliases: list[str]) -> None:
    for model in versions(store, bare):
        for alias in {*aliases} - {DEFAULT}:
            if alias in model.version_aliases:
                raise exists(f"The alias {alias} of {bare} (version {model.version_id})")
