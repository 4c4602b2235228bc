"""What a deployed model was asked for beside its machine, in the words of the form that asks for it."""

from typing import Any

from django.utils.functional import Promise

from console.forms.endpoints.serving_options import ServingOptionsForm, raw_options
from jobs.models import DeployedModel
from jobs.models.endpoint import Reservation
from jobs.services.endpoints.serving.spec import PRECISIONS


def list_options(row: DeployedModel) -> list[tuple[str | Promise, str | Promise]]:
    fields = ServingOptionsForm.base_fields
    asked = raw_options(row.serving_options)
    return [(fields[name].label or name, _format(value)) for name, value in asked.items() if value]


def _format(value: str) -> Any:
    named = Reservation(value).label if value in Reservation.values else PRECISIONS.get(value, value)
    return named.replace("\n", ", ") if named is value else named
