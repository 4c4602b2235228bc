"""Looks up what a tuning job may be for one person now."""

from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User

from jobs.models import PublisherModel
from jobs.services.catalogue import policies as catalogue, regions
from jobs.services.catalogue.facts import tuning_facts
from jobs.services.storage import policies
from jobs.services.tuned_models import continuation
from jobs.services.tuned_models.continuation import Start
from jobs.text.deferred import gettext as _

from . import output_check
from .spec import TuningSpec
from .spec_terms import Terms


def of_spec(owner: User, key: UUID, spec: TuningSpec) -> Terms:
    model = PublisherModel.objects.only_listed().filter(name=spec.base_model).first()
    start = find_start(owner, spec.custom_base_model)
    return of_model(owner, key, model, start) if model else of_unlisted_model(owner, key, spec.base_model, start)


def of_model(owner: User, key: UUID, model: PublisherModel, start: Start | None = None) -> Terms:
    """For the job `key`, which may be a draft still."""
    reason = catalogue.why_not_tune(model)
    return Terms(
        owner_id=owner.pk,
        base_model=model.name,
        model_title=model.display_name,
        why_not_tune=reason,
        facts=None if reason else tuning_facts(model.name),
        continued=start.job if start else None,
        regions=regions.list_regions(),
        machines=[machine["machine_type"] for machine in model.data.get("machine_specs", ())],
        licence=catalogue.licence_to_accept(model),
        takes_advanced=bool(settings.VERTEX_API_ENDPOINT),
        has_container=bool(settings.VERTEX_TRAINER_IMAGE),
        learns_from_images=catalogue.learns_from_images(model),
        learns_tools=catalogue.learns_tools(model),
        why_not_write=lambda uri: _why_not_write(owner, uri, key),
    )


def of_unlisted_model(owner: User, key: UUID, name: str, start: Start | None = None) -> Terms:
    """For a base model that the catalogue does not have."""
    reason = _("%(name)s is not in the Vertex AI catalogue. Choose a model from the list.") % {"name": name}
    return Terms(
        owner_id=owner.pk,
        why_not_tune=reason,
        continued=start.job if start else None,
        regions=regions.list_regions(),
        why_not_write=lambda uri: _why_not_write(owner, uri, key),
    )


def _why_not_write(owner: User, uri: str, key: UUID) -> str:
    return policies.why_not_claim(owner, uri, key) or output_check.why_not_write(key, uri)


def find_start(owner: User, uri: str) -> Start | None:
    """What the person tuned before, and may still read, at the folder."""
    return continuation.start_at(owner, uri) if uri and not policies.why_not_read(owner, uri) else None
