"""The page of one step, with what each step shows beside its form."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from console.forms.datasets import CloudForm, UploadForm
from console.forms.fields import StepForm
from console.forms.tuning.steps import STEPS
from console.presenters.catalogue.base_models import base_models, filter_of
from console.presenters.components import preflight, price_words
from console.presenters.components.preflight import ShownPreflight
from console.presenters.datasets.cloud import cloud_form
from console.presenters.tuning.code import code_of
from console.web.http import ConsoleRequest, page_or_fragment
from jobs.models import DatasetPart, TuningJob
from jobs.models.runs.settings import ADVANCED
from jobs.services.costs import machine_prices
from jobs.services.datasets import row_limits
from jobs.services.tuning import jobs, queue
from jobs.services.tuning.drafts import Conflict
from jobs.services.tuning.spec import TuningSpec
from jobs.services.tuning.sweeps.spec import MOST_JOBS

from . import container, typed
from .advanced import CONTAINER, FOLDED, list_changed
from .drafts import Wizard
from .endpoints import joining_context
from .output_state import output_state
from .proposals import suggest_folder

# Those that have errors, by the part they are for; of Cloud Storage with "cloud-" in front.
Uploads = Mapping[str, UploadForm | CloudForm]


def render_step(
    request: ConsoleRequest,
    wizard: Wizard,
    step: str,
    form: StepForm,
    *,
    status: int = 200,
    uploads: Uploads | None = None,
    added: str = "",
    conflicts: Iterable[Conflict] = (),
) -> HttpResponse:
    number = STEPS.index(step)
    steps = wizard.steps(step)
    context = {
        "draft": wizard.draft,
        "wizard": wizard,
        "steps": steps,
        "step": steps[number],
        "number": number + 1,
        "back": steps[number - 1] if number else None,
        "form": form,
        "added": added,
        "is_local": bool(settings.VERTEX_API_ENDPOINT),
        "origin": origin(wizard),
        "name_warning": name_warning(wizard),
        **typed_context(wizard, step, form, list(conflicts)),
        **wizard.estimate(step, form),
        **step_context(request, wizard, step, form, uploads or {}),
    }
    return page_or_fragment(request, "tuning/new.html", "step", context, status=status)


def typed_context(wizard: Wizard, step: str, form: StepForm, conflicts: list[Conflict]) -> dict[str, Any]:
    """The page knows what is kept, and of a conflict what is there: sent once more, what it shows wins."""
    kept = {name: value for name, value in wizard.values(step).items() if name in form.fields}
    known = typed.values_of(form) | (kept if conflicts else {})
    return {"known": typed.known_text(known), "differences": typed.differences(wizard, form, conflicts)}


def step_context(
    request: ConsoleRequest, wizard: Wizard, step: str, form: StepForm, uploads: Uploads
) -> dict[str, Any]:
    if step == "name":
        return {"folder": suggest_folder(wizard.draft, str(form["display_name"].value() or ""))}
    if step == "base-model":
        chosen = str(request.GET.get("base_model") or form["base_model"].value() or "")
        return {"models": base_models(wizard.variants, chosen, filter_of(request.GET)), "chosen_model": chosen}
    if step == "output":
        return {
            "check": output_state(wizard.draft, str(form["output_uri"].value() or ""), timezone.now()),
            "free_folder": wizard.free_folder,
        }
    if step == "training":
        return training_context(wizard, form) | adding_context(request, uploads)
    return deployment_context(wizard, form)


def adding_context(request: ConsoleRequest, uploads: Uploads) -> dict[str, Any]:
    """The forms that add a dataset; a file that was chosen on a page of its own stands in the address."""
    made: dict[str, Any] = {}
    for part in DatasetPart.values:
        cloud = uploads.get(f"cloud-{part}") or cloud_form(
            request.user, prefix=part, uri=request.GET.get(f"{part}-uri", "")
        )
        made[f"upload_{part}"] = uploads.get(part) or UploadForm(prefix=part)
        made[f"cloud_{part}"] = cloud
        made[f"adds_{part}"] = bool(cloud.errors or cloud["uri"].value())
    return made


def training_context(wizard: Wizard, form: StepForm) -> dict[str, Any]:
    has_container = bool(container.machines_with_prices(wizard.terms, wizard.location))
    takes_advanced = wizard.terms.takes_advanced or has_container
    chosen, validation = wizard.dataset_in_form(form, "dataset"), wizard.dataset_in_form(form, "validation_dataset")
    return {
        "chosen": chosen,
        "chosen_long_rows": wizard.long_rows(chosen),
        "chosen_validation": validation,
        "validation_long_rows": wizard.long_rows(validation),
        "long_rows_remedy": row_limits.remedy(),
        "modes": wizard.modes,
        "container_fields": [form[name] for name in CONTAINER] if has_container else [],
        "setup_commands": container.setup_commands(wizard.terms),
        "changed": list_changed(form, wizard.default_values),
        "sweep_errors": any(name.startswith("sweep_") for name in form.errors),
        "most_jobs": MOST_JOBS,
        "folded_errors": any(form[name].errors for name in FOLDED),
        # What Vertex AI doesn't take is shown only where it was asked for: then it says so.
        "advanced_fields": [form[name] for name in ADVANCED if takes_advanced or form[name].value()],
    }


def deployment_context(wizard: Wizard, form: StepForm) -> dict[str, Any]:
    planned = wizard.preview_spec
    price = machine_prices.price(str(form["machine_type"].value() or ""), wizard.location)
    return {
        **joining_context(wizard, form),
        "price": price,
        "price_source": price_words.source_words(price),
        "why_not_start": wizard.why_not_start,
        "plan": wizard.plan,
        "pause": queue.find_pause(),
        "preflight": preflight_card(wizard, planned) if planned else None,
        "check": output_state(wizard.draft, planned.output_uri, timezone.now()) if planned else None,
        "code": code_of(planned) if planned else [],
    }


def preflight_card(wizard: Wizard, planned: TuningSpec) -> ShownPreflight | None:
    url = reverse("tuning-preflight", args=[wizard.draft.pk])
    return preflight.show(jobs.subject_of(planned), url, timezone.now(), is_in_form=True)


def origin(wizard: Wizard) -> dict[str, Any] | None:
    """Where the answers came from: a job of this person, while it is there, or a file."""
    known = wizard.origin
    if "job" in known:
        job = TuningJob.objects.visible_to(wizard.user).filter(pk=known["job"]).first()
        start = wizard.start if wizard.start and wizard.start.uri == known.get("start") else None
        return {"job": job, "is_retry": known.get("is_retry", False), "start": start} if job else None
    return known or None


def name_warning(wizard: Wizard) -> str:
    """Two jobs of one name are allowed, and easily mixed up. One that continues a tuned model is its next version."""
    name = wizard.values("name").get("display_name", "")
    if wizard.start and wizard.start.job.is_tuned and wizard.start.job.display_name == name:
        return ""
    jobs = TuningJob.objects.visible_to(wizard.user).exclude(pk=wizard.draft.pk)
    if not name or not jobs.filter(display_name=name).exists():
        return ""
    return _("You already have a tuning job named %(name)s. Use another name to tell them apart.") % {"name": name}
