"""The endpoints that the model of a new job may join, for the last step."""

from dataclasses import dataclass

from console.forms.fields import StepForm
from console.presenters.endpoints.model_choices import add_words
from console.presenters.tuning.wizard.drafts import Wizard
from jobs.models import Endpoint
from jobs.services.endpoints import policies
from jobs.services.tuning.job_files import find_endpoint

SHOWN = 50


@dataclass(frozen=True)
class Place:
    endpoint: Endpoint
    why_not: str
    is_chosen: bool


def places(wizard: Wizard, form: StepForm) -> list[Place]:
    """The newest, and the one that is chosen; those that cannot be, with the reason, come last."""
    chosen = str(form["deploy_endpoint"].value() or "")
    found = list(Endpoint.objects.visible_to(wizard.user).not_deleted().with_model()[:SHOWN])
    other = find_endpoint(wizard.user, chosen) if chosen not in {"", *(str(one.pk) for one in found)} else None
    found += [other] if other else []
    shown = [Place(one, policies.why_not_join(one, wizard.region), str(one.pk) == chosen) for one in found]
    return sorted(shown, key=lambda place: bool(place.why_not))


def joining_context(wizard: Wizard, form: StepForm) -> dict[str, object]:
    found = places(wizard, form)
    return {
        "places": found,
        "joins": any(place.is_chosen for place in found),
        "joining_words": add_words(),
        "missing_endpoint": wizard.origin.get("missing", {}).get("deploy_endpoint", ""),
    }
