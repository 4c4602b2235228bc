"""What may be done with a base model here. Each answer is a sentence, or nothing when it may be done."""

from collections.abc import Iterable
from itertools import islice

from django.conf import settings
from django.contrib.auth.models import User

from jobs.errors import refuse_for
from jobs.models import DeployedModel, ModelImport, ModelImportState, PublisherModel, TuningJob
from jobs.text.deferred import gettext as _

from .facts import tuning_facts
from .purposes import Purpose, find_purpose

MEGABYTE = 2**20
MAX_NAMED = 5


def why_not_tune(model: PublisherModel) -> str:
    facts = tuning_facts(model.name)
    if facts and facts.container and settings.VERTEX_TRAINER_IMAGE:
        return ""
    if not model.can_tune and settings.VERTEX_API_ENDPOINT:
        return _("The server on this computer doesn't offer tuning for this model.")
    if not model.can_tune:
        return _("Vertex AI doesn't offer tuning for this model.")
    if facts is None or not writes_text(model):
        return _("Managed tuning doesn't support this model.")
    return ""


def why_not_deploy(model: PublisherModel) -> str:
    if not writes_text(model):
        return _("This console deploys models that chat or write text. Deploy this one in Google Cloud's Model Garden.")
    if model.can_deploy and model.data.get("machine_specs"):
        return ""
    if settings.VERTEX_API_ENDPOINT:
        return _("The server on this computer doesn't offer deployment for this model.")
    return _("Vertex AI doesn't offer deployment for this model.")


def learns_from_images(model: PublisherModel) -> bool:
    """As Google documents it for managed tuning; the local server teaches every model that sees."""
    facts = tuning_facts(model.name)
    if facts and "image" in facts.modality:
        return True
    return bool(settings.VERTEX_API_ENDPOINT) and "image" in model.data.get("modalities", ())


def learns_tools(model: PublisherModel) -> bool | None:
    """Whether its chat template has a place for them; None where nobody told."""
    told = model.data.get("knows_tools")
    return told if isinstance(told, bool) else None


def why_not_import(user: User) -> str:
    """A sentence, or nothing: Hugging Face's models, or files of the server, into the local Vertex AI."""
    if not settings.VERTEX_API_ENDPOINT:
        return _(
            "Imports are for the Vertex AI on this computer. On Google Cloud, the models of Hugging Face are in its own"
            " Model Garden already."
        )
    if not user.is_superuser:
        return _("Only an administrator can import models.")
    if not settings.VERTEX_IMPORT_KEY:
        return _(
            "The server on this computer doesn't take imports from this console. Set LOCALVERTEX_IMPORT_KEY to the same"
            " secret of at least 16 characters for both, and start them again."
        )
    return ""


def check_can_import(user: User) -> None:
    refuse_for(why_not_import(user))


def is_imported(model: PublisherModel) -> bool:
    """Also one whose files somebody deleted, which takes no room any more."""
    return "imported_bytes" in model.data


def why_not_remove(user: User, model: PublisherModel, blocking: Iterable[str]) -> str:
    """`blocking`: in words, what uses its weights now."""
    if not is_imported(model):
        return _("Only models that were imported can be removed.")
    if not user.is_superuser:
        return _("Only an administrator can remove models.")
    if reason := why_not_import(user):
        return reason
    if ModelImport.objects.filter(model=model.name, state=ModelImportState.REMOVING).exists():
        return _("The model is already being removed.")
    return why_in_use(blocking)


def name_uses(user_id: int, serving: Iterable[DeployedModel], training: Iterable[TuningJob]) -> list[str]:
    """What has to end before weights are deleted; that of other people is nobody's business."""
    names = [(one.owner_id, _("the endpoint %s") % one.endpoint.display_name) for one in serving]
    names += [(one.owner_id, _("the job %s") % one.display_name) for one in training]
    own = [name for owner_id, name in names if owner_id == user_id]
    return own + ([_("somebody else")] if len(own) < len(names) else [])


def why_in_use(names: Iterable[str]) -> str:
    shown = ", ".join(islice(names, MAX_NAMED))
    if not shown:
        return ""
    return _("In use by %(names)s. Undeploy the model from endpoints, and wait until jobs that use it have ended.") % {
        "names": shown
    }


def check_can_remove(user: User, model: PublisherModel, blocking: Iterable[str]) -> None:
    refuse_for(why_not_remove(user, model, blocking))


def why_no_room(row: ModelImport, file: str = "") -> str:
    """By what was free when the repository was read. `file`: another GGUF file than the one that was proposed."""
    sizes = {one["name"]: one["size"] for one in row.choices}
    proposed = row.facts.get("file", "")
    other = sizes.get(file or proposed, 0) - sizes.get(proposed, 0)
    needed, free = row.facts.get("needed", 0) + other, row.facts.get("free", 0)
    if needed <= free:
        return ""
    words = {"needed": needed // MEGABYTE, "free": free // MEGABYTE}
    return _("The import needs %(needed)d MB, and the disk has %(free)d MB left. Make room on it first.") % words


def writes_text(model: PublisherModel) -> bool:
    return find_purpose(model.name, model.data.get("sample_request") or {}) == Purpose.TEXT


def licence_to_accept(model: PublisherModel) -> str:
    """Its name while Vertex AI has not said that it is accepted in this project, else nothing. Where Vertex AI said
    that it is not, it has to be accepted, whatever is known of it; where Vertex AI said nothing, if it is one of those
    that people accept."""
    if model.licence_acknowledged:
        return ""
    name = str(model.data.get("licence", ""))
    if model.licence_acknowledged is None:
        return name if model.data.get("licence_acceptance", True) else ""
    return name or _("terms of %(model)s") % {"model": model.display_name}
