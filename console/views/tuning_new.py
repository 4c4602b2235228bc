from typing import Any, Literal
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms import row_limits
from console.forms.datasets import UploadForm
from console.forms.fields import StepForm
from console.forms.tuning import STEPS
from console.http import ConsoleRequest, hx_redirect, page_or_fragment, wants_fragment
from jobs import errors, tasks
from jobs.models import TuningDraft
from jobs.services import datasets, drafts, tuning

from .datasets import uploaded
from .proposals import carried
from .wizard import SENT, Wizard, raw_values

Which = Literal["train", "validation"]
PREVIEWED = ("dataset", "epochs")
ADDS_DATASET: dict[str, tuple[str, Which]] = {
    "upload-train": ("upload", "train"),
    "upload-validation": ("upload", "validation"),
    "sample-train": ("sample", "train"),
    "sample-validation": ("sample", "validation"),
}
FIELD_OF = {"train": "dataset", "validation": "validation_dataset"}


@require_GET
def start_draft(request: ConsoleRequest) -> HttpResponse:
    """A draft that nobody has typed in is used again, so that looking does not fill the list of drafts."""
    opened = TuningDraft.objects.visible_to(request.user).open()
    draft = next(filter(is_untouched, opened), None) or drafts.create(request.user)
    if base_model := request.GET.get("base_model", ""):
        drafts.save_step(draft, "base-model", {"base_model": base_model})
    return hx_redirect(request, "tuning-draft", draft.pk, STEPS[0])


def is_untouched(draft: TuningDraft) -> bool:
    return "training" not in draft.data and not any(SENT in values for values in draft.data.values())


def own_draft(request: ConsoleRequest, pk: UUID) -> TuningDraft:
    draft: TuningDraft = get_object_or_404(TuningDraft.objects.visible_to(request.user), pk=pk)
    return draft


@require_http_methods(["GET", "HEAD", "POST"])
def step(request: ConsoleRequest, pk: UUID, step: str) -> HttpResponse:
    draft = own_draft(request, pk)
    if step not in STEPS:
        raise Http404(f"There is no step {step}.")
    if draft.submitted_at:
        return hx_redirect(request, "tuning-job", draft.pk)
    wizard = Wizard(draft, request.user)
    if not wizard.may_open(step):
        return led_back(request, wizard, step)
    if request.method == "POST":
        return sent(request, wizard, step)
    preview(request, draft, step)
    return shown(request, wizard, step, wizard.form(step))


def led_back(request: ConsoleRequest, wizard: Wizard, step: str) -> HttpResponse:
    """To the first step that is not done, such as one whose base model went away; what was sent is kept."""
    if request.method == "POST":
        drafts.save_step(wizard.draft, step, wizard.values(step) | raw_values(step, request.POST))
    return hx_redirect(request, wizard.url(wizard.next_open))


def preview(request: ConsoleRequest, draft: TuningDraft, step: str) -> None:
    """`?dataset=…&epochs=…` shows the report and the estimate for that choice; nothing is saved."""
    asked = {name: request.GET[name] for name in PREVIEWED if name in request.GET}
    if step == "training" and asked:
        draft.data = draft.data | {step: draft.data.get(step, {}) | asked}


def sent(request: ConsoleRequest, wizard: Wizard, step: str) -> HttpResponse:
    if step == "training" and request.POST.get("action") in ADDS_DATASET:
        return dataset_added(request, wizard, request.POST["action"])
    form = wizard.form(step, request.POST)
    before = wizard.recommended
    drafts.save_step(wizard.draft, step, form.typed() | {SENT: True})
    again = Wizard(wizard.draft, request.user)
    if not form.is_valid():
        return shown(request, again, step, form, status=422)
    if step == "base-model" and (typed := again.values("training")):
        drafts.save_step(wizard.draft, "training", carried(typed, before, again.recommended))
    following = STEPS[min(STEPS.index(step) + 1, len(STEPS) - 1)]
    return hx_redirect(request, wizard.url(following))


def dataset_added(request: ConsoleRequest, wizard: Wizard, action: str) -> HttpResponse:
    """Keeps all that was typed, adds the data set, and chooses it even when it has problems: its report says which."""
    source, which = ADDS_DATASET[action]
    typed = wizard.form("training", request.POST).typed()
    drafts.save_step(wizard.draft, "training", typed)
    upload = UploadForm(request.POST, request.FILES, prefix=which)
    dataset = datasets.create_sample(request.user, which) if source == "sample" else uploaded(request, upload)
    if dataset is None:
        again = Wizard(wizard.draft, request.user)
        response = shown(request, again, "training", again.form("training"), status=422, uploads={which: upload})
        response["HX-Reswap"] = f"outerMorph show:top showTarget:#add-{which}"
        return response
    chosen = {FIELD_OF[which]: str(dataset.pk)} | ({"use_validation": True} if which == "validation" else {})
    drafts.save_step(wizard.draft, "training", typed | chosen)
    if wants_fragment(request):
        again = Wizard(wizard.draft, request.user)
        response = shown(request, again, "training", again.form("training"), added=which)
        response["HX-Reswap"] = f"outerMorph show:top showTarget:#{FIELD_OF[which]}-report"
        return response
    return hx_redirect(request, f"{wizard.url('training')}#{FIELD_OF[which]}-report")


def shown(
    request: ConsoleRequest,
    wizard: Wizard,
    step: str,
    form: StepForm,
    *,
    status: int = 200,
    uploads: dict[str, UploadForm] | None = None,
    added: str = "",
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
        **wizard.estimate(step, form),
        **(training_context(wizard, form, uploads or {}) if step == "training" else {}),
    }
    return page_or_fragment(request, "tuning/new.html", "step", context, status=status)


def training_context(wizard: Wizard, form: StepForm, uploads: dict[str, UploadForm]) -> dict[str, Any]:
    chosen, validation = wizard.chosen(form, "dataset"), wizard.chosen(form, "validation_dataset")
    return {
        "chosen": chosen,
        "chosen_long_rows": wizard.long_rows(chosen),
        "chosen_validation": validation,
        "validation_long_rows": wizard.long_rows(validation),
        "upload_train": uploads.get("train") or UploadForm(prefix="train"),
        "upload_validation": uploads.get("validation") or UploadForm(prefix="validation"),
        "long_rows_remedy": row_limits.REMEDY,
        "modes": wizard.modes,
    }


@require_http_methods(["GET", "HEAD", "POST"])
def start(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """The draft's id is the job's: a second click, or a reload, comes to the same job."""
    draft = own_draft(request, pk)
    if request.method != "POST":
        return hx_redirect(request, "tuning-draft", pk, "deployment")
    try:
        return hx_redirect(request, "tuning-job", pk) if draft.submitted_at else start_or_say_why(request, draft)
    except errors.NotAllowedNow:
        draft.refresh_from_db()
        if draft.submitted_at:
            return hx_redirect(request, "tuning-job", pk)
        raise


def start_or_say_why(request: ConsoleRequest, draft: TuningDraft) -> HttpResponse:
    wizard = Wizard(draft, request.user)
    if not wizard.may_open("deployment"):
        messages.warning(request, _("This step has to be finished before tuning can start."))
        return led_back(request, wizard, "deployment")
    form = wizard.form("deployment", request.POST)
    drafts.save_step(draft, "deployment", form.typed() | {SENT: True})
    if not form.is_valid() or not started(request, Wizard(draft, request.user), form):
        return shown(request, Wizard(draft, request.user), "deployment", form, status=422)
    return hx_redirect(request, "tuning-job", draft.pk)


def started(request: ConsoleRequest, wizard: Wizard, form: StepForm) -> bool:
    try:
        job = tuning.create(request.user, key=wizard.draft.pk, spec=wizard.spec())
    except errors.JobsError as error:
        form.add_error(None, str(error))
        return False
    tasks.kick(tasks.advance_tuning_job, job_id=str(job.pk))
    messages.success(request, _("Tuning of %(name)s started.") % {"name": job.display_name})
    return True


@require_POST
def discard(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    drafts.discard(own_draft(request, pk))
    messages.info(request, _("The draft was discarded."))
    return hx_redirect(request, "tuning-list")
