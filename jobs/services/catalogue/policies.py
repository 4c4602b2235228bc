"""What may be done with a base model here. Each answer is a sentence, or nothing when it may be done."""

from django.conf import settings

from jobs.models import PublisherModel
from jobs.text.deferred import gettext as _

from .facts import tuning_facts


def why_not_tune(model: PublisherModel) -> str:
    if not model.can_tune:
        if settings.VERTEX_API_ENDPOINT:
            return _("This model can't be tuned on this computer.")
        return _("Vertex AI doesn't offer tuning for this model.")
    if tuning_facts(model.name) is None:
        return _("Managed tuning doesn't support this model.")
    return ""


def why_not_deploy(model: PublisherModel) -> str:
    if not model.can_deploy or not model.data.get("machine_specs"):
        if settings.VERTEX_API_ENDPOINT:
            return _("This model can't be deployed on this computer.")
        return _("Vertex AI doesn't offer deployment for this model.")
    return ""


def licence_to_accept(model: PublisherModel) -> str:
    """Its name while Vertex AI has not said that it is accepted in this project, else nothing."""
    return "" if model.licence_acknowledged else str(model.data.get("licence", ""))
