"""Imported models that a person removes from the local Vertex AI. Whether nothing uses them, that has the last word."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from jobs.models import (
    DeployedModel,
    ModelForm,
    ModelImport,
    ModelImportState as State,
    PublisherModel,
    TuningJob,
    TuningMode,
    Visibility,
)
from jobs.services import audit
from jobs.services.catalogue import policies
from jobs.states import TUNED
from jobs.vertex import get_gateway
from jobs.vertex.errors import NotFound

from .steps import take_step


@dataclass(frozen=True)
class Uses:
    """Of the weights of a model. `serving` and `training` keep it from being removed. Of what was tuned from it,
    `adapters` cannot be deployed without it; what is `merged` with it can, but for its earlier checkpoints."""

    serving: list[DeployedModel] = field(default_factory=list)
    training: list[TuningJob] = field(default_factory=list)
    adapters: list[TuningJob] = field(default_factory=list)
    merged: list[TuningJob] = field(default_factory=list)

    def list_blocking(self, user: User) -> list[str]:
        return policies.name_uses(user.pk, self.serving, self.training)


def uses_of(model: PublisherModel) -> Uses:
    jobs = TuningJob.objects.filter(base_model=model.name).exclude(visibility=Visibility.DELETED)
    tuned = list(jobs.filter(state__in=TUNED, tuning_mode=TuningMode.PEFT_ADAPTER).rows())
    return Uses(
        serving=list(_serving(model)),
        training=list(jobs.live().rows()),
        adapters=[job for job in tuned if job.result_form == ModelForm.ADAPTER],
        merged=[job for job in tuned if job.result_form == ModelForm.WHOLE],
    )


def _serving(model: PublisherModel) -> Iterator[DeployedModel]:
    """What a full tuning left has weights of its own, and so has what continued another model, which is served merged.
    Any other adapter is served on those of its base."""
    models = DeployedModel.objects.live().filter(base_model=model.name).select_related("endpoint", "job")
    for one in models:
        if one.job is None or not (one.job.tuning_mode == TuningMode.FULL or one.job.custom_base_model):
            yield one


def why_not_remove(user: User, model: PublisherModel) -> str:
    return policies.why_not_remove(user, model, uses_of(model).list_blocking(user))


def remove(user: User, model: PublisherModel) -> ModelImport:
    """The import whose page shows how the removal goes on, which the worker carries out."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        policies.check_can_remove(user, model, uses_of(model).list_blocking(user))
        row = ModelImport.objects.filter(owner=user, model=model.name, state=State.READY).first()
        if row is None:
            told = {"title": model.display_name, "size": model.data["imported_bytes"]}
            row = ModelImport.objects.create(
                owner=user, source=model.name, model=model.name, state=State.READY, facts=told
            )
        take_step(row, "remove", error="")
        audit.record("model.remove", row, facts={"model": model.name})
    return row


def carry_out(row: ModelImport) -> dict[str, Any]:
    """What changes in the row. Safe to repeat: what is gone already was removed."""
    try:
        freed = get_gateway().imports.remove(row.model)
    except NotFound:
        freed = 0
    others = ModelImport.objects.filter(model=row.model, state=State.READY)
    others.update(state=State.REMOVED, done_bytes=freed)
    return {"state": State.REMOVED, "done_bytes": freed, "error": "", "lease_until": None}
