"""The endpoints that the model of a new job may join, for the last step."""

from dataclasses import dataclass

from console.forms.fields import StepForm
from console.presenters.endpoints.model_choices import add_words
from console.presenters.tuning.wizard.drafts import Wizard
from jobs.models import Endpoint
from jobs.services.endpoints import policies

SHOWN = 50


@dataclass(frozen=True)
class Place:
    endpoint: Endpoint
    why_not: str
    is_chosen: bool


def places(wizard: Wizard, form: StepForm) -> list[Place]:
    """The newest, and the one that is chosen, each with the reason why it cannot be."""
    chosen = str(form["deploy_endpoint"].value() or "")
    mine = Endpoint.objects.visible_to(wizard.user).not_deleted().with_model()
    found = list(mine[:SHOWN])
    found += (
        [one for one in mine.filter(pk__in=[chosen])] if chosen and chosen not in {str(one.pk) for one in found} else []
    )
    return [Place(one, policies.why_not_join(one), str(one.pk) == chosen) for one in found]


def joining_context(wizard: Wizard, form: StepForm) -> dict[str, object]:
    found = places(wizard, form)
    return {
        "places": found,
        "joins": any(place.is_chosen for place in found),
        "joining_words": add_words(),
        "missing_endpoint": wizard.origin.get("missing", {}).get("deploy_endpoint", ""),
    }
