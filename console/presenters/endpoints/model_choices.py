"""The models that can be deployed on an endpoint, and what is said about it."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from console.presenters.catalogue import model_families as catalogue, weights
from jobs.models import TuningJob
from jobs.services.endpoints.deployed_models import DeployedModelSpec
from jobs.services.endpoints.serving.spec import ServingOptions
from jobs.services.tuned_models import checkpoints, continuation
from jobs.services.tuned_models.policies import why_not_serve


@dataclass(frozen=True)
class Choices:
    """What can be put on an endpoint: models of the catalogue, and what the person's own jobs left."""

    variants: dict[str, catalogue.Variant]
    starts: dict[str, continuation.Start]

    @property
    def option_groups(self) -> list[Any]:
        tuned = [(key, start.title) for key, start in self.starts.items()]
        base = [(key, variant.name) for key, variant in self.variants.items()]
        named = ((_("Tuned models and checkpoints"), tuned), (_("Base models"), base))
        return [("", _("Choose a model")), *((name, group) for name, group in named if group)]

    @property
    def licences(self) -> dict[str, str]:
        found = {key: variant.licence_to_accept for key, variant in self.variants.items()}
        return {key: licence for key, licence in found.items() if licence}


def is_deployable(start: continuation.Start) -> bool:
    """The last checkpoint is the job's whole model, which is offered as that."""
    last = start.checkpoint and start.job.is_tuned and start.checkpoint == checkpoints.last_id(start.job)
    return not last and not why_not_serve(start.job, start.checkpoint)


def add_words() -> str:
    where = (
        _("The model runs on this computer and uses its own share of the memory.")
        if settings.VERTEX_API_ENDPOINT
        else _("The model runs on its own machine and costs the same as on a separate endpoint.")
    )
    address = _("The endpoint's address stays the same. The traffic split decides which model gets a request.")
    return f"{where} {address}"


def spec_of(values: dict[str, Any], choices: Choices, options: ServingOptions) -> DeployedModelSpec:
    variant, start = choices.variants.get(values["model"]), choices.starts.get(values["model"])
    job: TuningJob | None = start.job if start else None
    return DeployedModelSpec(
        display_name=values["display_name"]
        or (start.title if start else variant.model.version if variant else "")[:128],
        share=values["share"],
        publisher_model=variant.name if variant else "",
        job=job,
        checkpoint=start.checkpoint if start else "",
        machine=weights.machine_of(values["machine"], choices.variants.values()),
        options=options,
        accepts_licence=values.get("accepts_licence", False) or bool(job and job.accepts_licence),
    )


def undeploy_words(name: str, staying: list[str]) -> str:
    if len(staying) > 1:
        return _("The endpoint keeps answering. Choose which models get the traffic of %(name)s.") % {"name": name}
    if staying:
        return _("The endpoint keeps answering, and %(other)s gets all of the traffic.") % {"other": staying[0]}
    return _("The deployment is cancelled. The other models aren't affected.")
