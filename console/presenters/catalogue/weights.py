"""Weights that lie in a folder of Cloud Storage: the form that deploys them, and the machines it offers."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from console.forms.endpoints.deploy import WeightsForm
from console.presenters.catalogue import machines
from console.presenters.catalogue.model_families import Variant
from jobs.services.catalogue import regions
from jobs.services.endpoints import endpoints


def form_of(variants: Iterable[Variant], data: Any = None, uri: str = "") -> WeightsForm:
    """Offers the machines of the whole catalogue: nobody knows yet which of them suit these weights."""
    options = machines_of(variants)
    choices = {"": _("Let Vertex AI choose"), **{option.key: option.label for option in options}}
    initial: dict[str, Any] = {"key": uuid.uuid4(), "display_name": "custom-weights-mg-one-click-deploy", "machine": ""}
    initial |= {"artifact_uri": uri, "location": regions.default_serving_region()}
    form = WeightsForm(
        data,
        initial=initial,
        machines=choices,
        regions=regions.list_serving_regions() if regions.has_choice() else (),
        offered=machines.list_offered_options(options),
    )
    form.fields["machine"].help_text = _("Vertex AI checks the folder when the deployment starts.")
    return form


def context_of(form: WeightsForm) -> dict[str, Any]:
    return {"weights": form}


def machines_of(variants: Iterable[Variant]) -> list[machines.MachineOption]:
    specs = [spec for variant in variants if not variant.deploy_reason for spec in variant.machine_specs]
    return sorted(machines.machine_options(specs), key=lambda option: option.key)


def machine_of(key: str, variants: Iterable[Variant]) -> endpoints.Machine | None:
    found = next((variant for variant in variants if key in variant.machines), None) if key else None
    return endpoints.Machine(**found.machine(key)) if found else None
