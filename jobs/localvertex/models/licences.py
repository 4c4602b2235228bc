"""Who accepted which model's licence: by project and model."""

from jobs.localvertex.api.errors import precondition
from jobs.localvertex.models.catalogue import CatalogueModel
from jobs.localvertex.store import Store


def is_accepted(store: Store, project: str, model: CatalogueModel) -> bool:
    return not model.licence.acceptance or bool(store.note(_name(project, model)).get("accepted"))


def accept(store: Store, project: str, model: CatalogueModel) -> None:
    store.write_note(_name(project, model), accepted=True)


def require(store: Store, project: str, model: CatalogueModel, *, as_google: bool = False) -> None:
    if is_accepted(store, project, model):
        return
    if as_google:
        raise precondition(f"Project {project} is not allowed to use Publisher Model {model.resource_name}.")
    told = ", ".join(filter(None, (model.licence.name, model.licence.url)))
    raise precondition(
        f"Project {project} is not allowed to use Publisher Model {model.resource_name}: its licence"
        f"{f' ({told})' if told else ''} has not been accepted. Accept it first."
    )


def _name(project: str, model: CatalogueModel) -> str:
    return f"projects/{project}/modelGardenEula/{model.id}"
