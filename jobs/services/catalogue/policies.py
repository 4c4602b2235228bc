"""What may be done with a base model here. Each answer is a sentence, or nothing when it may be done."""

from django.conf import settings

from jobs.models import PublisherModel
from jobs.text.deferred import gettext as _

from .facts import tuning_facts
from .purposes import Purpose, find_purpose


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
