from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from console.forms.datasets import UploadForm
from console.forms.fields import StepForm
from console.forms.tuning.steps import STEPS
from console.forms.tuning.sweep import SWEEP_FIELDS
from console.presenters.components.memory import request_memory
from console.presenters.datasets.cloud import ANY, begin_import, cloud_form
from console.presenters.datasets.upload import save_upload
from console.presenters.tuning.wizard.advanced import FOLDED
from console.presenters.tuning.wizard.drafts import SAVED, SENT, Wizard
from console.presenters.tuning.wizard.fields import raw_values
from console.presenters.tuning.wizard.page import Uploads, render_step
from console.presenters.tuning.wizard.proposals import carry_over, dataset_choice, proposed_validation
from console.presenters.tuning.wizard.typed import followed_by, known_of
from console.web.http import ConsoleRequest, hx_redirect, is_from_elsewhere, wants_fragment
from jobs import tasks
from jobs.models import Dataset, Sweep, TuningDraft
from jobs.services.datasets import datasets, token_counts
from jobs.services.tuning import drafts
from jobs.services.tuning.drafts import Conflict, Known

from .drafts import request_check

Which = Literal["train", "validation"]
PREVIEWED = {
    "output": ("output_uri",),
    "name": ("display_name",),
    "training": ("dataset", "epochs", "tuning_mode", "training_machine", *SWEEP_FIELDS),
}
ADDS_DATASET: dict[str, tuple[str, Which]] = {
    "upload-train": ("upload", "train"),
    "upload-validation": ("upload", "validation"),
    "sample-train": ("sample", "train"),
    "sample-validation": ("sample", "validation"),
    "cloud-train": ("cloud", "train"),
    "cloud-validation": ("cloud", "validation"),
}
LOOKS_AT_MEMORY = ("training", "deployment")
USE_BATCH = "batch:"
FIELD_OF = {"train": "dataset", "validation": "validation_dataset"}


@require_GET
def start_draft(request: ConsoleRequest) -> HttpResponse:
    """A draft that nobody has typed in is used again, so that looking does not fill the list of drafts.
    Another site makes none at all."""
    if is_from_elsewhere(request):
        return hx_redirect(request, "tuning-list")
    opened = TuningDraft.objects.visible_to(request.user).open()
    draft = next(filter(is_untouched, opened), None) or drafts.create(request.user)
    if base_model := request.GET.get("base_model", ""):
        drafts.save_step(draft, "base-model", {"base_model": base_model})
    if (asked := dataset_asked_for(request)) != draft.data.get("training", {}):
        drafts.save_step(draft, "training", asked)
    return hx_redirect(request, "tuning-draft", draft.pk, STEPS[0])


BROUGHT = {"dataset", "use_validation", "validation_dataset"}


def is_untouched(draft: TuningDraft) -> bool:
    is_sent = any({SENT, SAVED, drafts.KEPT} & values.keys() for values in draft.data.values())
    return not is_sent and draft.data.get("training", {}).keys() <= BROUGHT


def dataset_asked_for(request: ConsoleRequest) -> dict[str, Any]:
    dataset = named_dataset(request)
    return dataset_choice(dataset) if dataset else {}


def named_dataset(request: ConsoleRequest) -> Dataset | None:
    """`?dataset=`; one of somebody else, or one that is gone, is none."""
    with suppress(ValidationError):
        mine = Dataset.objects.visible_to(request.user).select_related("sibling")
        found: Dataset | None = mine.filter(pk=request.GET.get("dataset", "")).first()
        return found
    return None


def validation_asked_for(request: ConsoleRequest) -> dict[str, Any]:
    """As it stands on the page; what is off there follows the dataset that was just chosen."""
    if "use_validation" in request.GET:
        return {"use_validation": True, "validation_dataset": request.GET.get("validation_dataset", "")}
    return {"use_validation": False, "validation_dataset": ""} | proposed_validation(named_dataset(request))


def own_draft(request: ConsoleRequest, pk: UUID) -> TuningDraft:
    draft: TuningDraft = get_object_or_404(TuningDraft.objects.visible_to(request.user), pk=pk)
    return draft


@require_http_methods(["GET", "HEAD", "POST"])
def step(request: ConsoleRequest, pk: UUID, step: str) -> HttpResponse:
    draft = own_draft(request, pk)
    if step not in STEPS:
        raise Http404(f"There is no step {step}.")
    if draft.submitted_at:
        return redirect_to_result(request, draft)
    wizard = Wizard(draft, request.user)
    if not wizard.may_open(step):
        return redirect_to_first_open_step(request, wizard, step)
    if request.method == "POST":
        return submit_step(request, wizard, step)
    preview(request, draft, step)
    form = wizard.shown_form(step)
    request_count(wizard, step, form)
    if wizard.variant and step in LOOKS_AT_MEMORY:
        request_memory(request, wizard.variant.name)
    return render_step(request, wizard, step, form)


def request_count(wizard: Wizard, step: str, form: StepForm) -> None:
    """The tokens of the rows that are chosen, by the base model's own tokenizer."""
    dataset = wizard.dataset_to_count(step, form)
    if wizard.variant and dataset and token_counts.ask(dataset, wizard.variant.name, timezone.now()):
        dataset.refresh_from_db(fields=["token_counts"])
        values = {"dataset_id": str(dataset.pk), "base_model": wizard.variant.name, "draft_id": str(wizard.draft.pk)}
        tasks.enqueue_after_commit(tasks.count_tokens, **values)


def redirect_to_first_open_step(request: ConsoleRequest, wizard: Wizard, step: str) -> HttpResponse:
    """To the first step that is not done, such as one whose base model went away; what was sent is kept."""
    if request.method == "POST":
        drafts.save_step(wizard.draft, step, wizard.values(step) | raw_values(step, request.POST))
    return hx_redirect(request, wizard.url(wizard.next_open))


def preview(request: ConsoleRequest, draft: TuningDraft, step: str) -> None:
    """`?dataset=…&epochs=…` shows the report and the estimate for that choice; nothing is saved."""
    asked: dict[str, Any] = {name: request.GET[name] for name in PREVIEWED.get(step, ()) if name in request.GET}
    if step == "training" and request.GET.get("chose") == "dataset":
        asked |= validation_asked_for(request)
    if step == "training" and request.GET.get("chose") == "advanced":
        # A box that is not ticked is not sent.
        asked |= {name: request.GET.get(name, "") for name in FOLDED}
        asked["export_last_checkpoint_only"] = "export_last_checkpoint_only" in request.GET
    if asked:
        draft.data = draft.data | {step: draft.data.get(step, {}) | asked}


def submit_step(request: ConsoleRequest, wizard: Wizard, step: str) -> HttpResponse:
    if step == "training" and request.POST.get("action") in ADDS_DATASET:
        return dataset_added(request, wizard, request.POST["action"])
    if step == "training" and request.POST.get("action", "").startswith(USE_BATCH):
        return use_batch(request, wizard, request.POST["action"].removeprefix(USE_BATCH))
    form = wizard.form(step, request.POST)
    if request.POST.get("action") == "save":
        return save_draft(request, wizard, step, form)
    if step == "output" and request.POST.get("action") == "check":
        return save_and_check_output(request, wizard, form)
    if step == "output" and request.POST.get("action") == "free":
        return use_free_folder(request, wizard)
    followed = followed_by(wizard, step)
    form, conflicts = send_step(request, wizard, step, form, {SENT: True})
    again = Wizard(wizard.draft, request.user)
    if conflicts or not form.is_valid():
        return render_step(request, again, step, form, status=422, conflicts=conflicts)
    if step == "base-model" and (typed := again.values("training")):
        drafts.save_step(wizard.draft, "training", carry_over(typed, followed["training"], again.default_values))
    if step == "name" and followed["folder"] and again.values("output").get("output_uri") == followed["folder"]:
        follow_name(again)
    if step == "output":
        request_check(wizard.draft, form.cleaned_data["output_uri"])
    following = STEPS[min(STEPS.index(step) + 1, len(STEPS) - 1)]
    return hx_redirect(request, wizard.url(following))


def send_step(
    request: ConsoleRequest,
    wizard: Wizard,
    step: str,
    form: StepForm,
    flags: dict[str, Any],
    *,
    insists: bool = False,
) -> tuple[StepForm, list[Conflict]]:
    """The form as it is kept now: with what other pages changed meanwhile and this one did not."""
    raw = form.raw_data()
    values, conflicts = drafts.send(wizard.draft, step, raw, known_of(request.POST), flags, insists=insists)
    return form if values == raw else wizard.form(step, values), conflicts


def follow_name(wizard: Wizard) -> None:
    """The folder that was proposed is named after the model."""
    drafts.save_step(wizard.draft, "output", wizard.values("output") | {"output_uri": wizard.free_folder})
    request_check(wizard.draft, wizard.free_folder)


def use_batch(request: ConsoleRequest, wizard: Wizard, size: str) -> HttpResponse:
    """Keeps all that was typed, with another batch size; the form judges it. The page comes anew: what a person typed
    into a field would stay there."""
    send_step(request, wizard, "training", wizard.form("training", request.POST), {}, insists=True)
    drafts.save_step(wizard.draft, "training", wizard.values("training") | {"batch_size": size})
    return hx_redirect(request, wizard.url("training"))


def use_free_folder(request: ConsoleRequest, wizard: Wizard) -> HttpResponse:
    """The folder that is proposed takes the place of the one that was typed."""
    folder, known = {"output_uri": wizard.free_folder}, known_of(request.POST)
    drafts.send(wizard.draft, "output", folder, Known(page=known.page), {SENT: True}, insists=True)
    request_check(wizard.draft, wizard.free_folder)
    return hx_redirect(request, wizard.url("output"))


def save_and_check_output(request: ConsoleRequest, wizard: Wizard, form: StepForm) -> HttpResponse:
    """Where no script asks beside the form: the page comes again, with the answer or the question under way."""
    form, _conflicts = send_step(request, wizard, "output", form, {SAVED: True}, insists=True)
    request_check(wizard.draft, wizard.values("output")["output_uri"] or "")
    return hx_redirect(request, wizard.url("output"))


def save_draft(request: ConsoleRequest, wizard: Wizard, step: str, form: StepForm) -> HttpResponse:
    """As it is, right or wrong. A step that was not sent yet is not judged before it is."""
    judged = {SENT: True} if SENT in wizard.values(step) else {}
    form, conflicts = send_step(request, wizard, step, form, {SAVED: True} | judged)
    if conflicts:
        return render_step(request, Wizard(wizard.draft, request.user), step, form, status=422, conflicts=conflicts)
    messages.info(request, _("The draft was saved."))
    return hx_redirect(request, "tuning-drafts")


def dataset_added(request: ConsoleRequest, wizard: Wizard, action: str) -> HttpResponse:
    """Keeps all that was typed, adds the dataset, and chooses it even when it has problems: its report says which."""
    source, which = ADDS_DATASET[action]
    send_step(request, wizard, "training", wizard.form("training", request.POST), {}, insists=True)
    typed = wizard.values("training")
    if source == "cloud":
        return begin_reading(request, wizard, which)
    upload = UploadForm(request.POST, request.FILES, prefix=which)
    dataset = datasets.create_sample(request.user, which) if source == "sample" else save_upload(request, upload)
    if dataset is None:
        return refuse_dataset(request, wizard, which, {which: upload})
    chosen = {FIELD_OF[which]: str(dataset.pk)} | ({"use_validation": True} if which == "validation" else {})
    drafts.save_step(wizard.draft, "training", typed | chosen)
    if wants_fragment(request):
        again = Wizard(wizard.draft, request.user)
        response = render_step(request, again, "training", again.form("training"), added=which)
        response["HX-Reswap"] = f"outerMorph show:top showTarget:#{FIELD_OF[which]}-report"
        return response
    return hx_redirect(request, f"{wizard.url('training')}#{FIELD_OF[which]}-report")


def refuse_dataset(request: ConsoleRequest, wizard: Wizard, which: Which, forms: Uploads) -> HttpResponse:
    again = Wizard(wizard.draft, request.user)
    response = render_step(request, again, "training", again.form("training"), status=422, uploads=forms)
    response["HX-Reswap"] = f"outerMorph show:top showTarget:#add-{which}"
    return response


def begin_reading(request: ConsoleRequest, wizard: Wizard, which: Which) -> HttpResponse:
    """A file of Cloud Storage: the worker chooses it in the draft once it is a dataset."""
    form = cloud_form(request.user, request.POST, which)
    row = begin_import(request.user, form, wizard.draft.pk, which)
    if row is None:
        return refuse_dataset(request, wizard, which, {f"{ANY}-{which}": form})
    return hx_redirect(request, "dataset-import", row.pk)


def redirect_to_result(request: ConsoleRequest, draft: TuningDraft) -> HttpResponse:
    """To what the draft became: a job, or a sweep of jobs."""
    is_sweep = Sweep.objects.visible_to(request.user).filter(pk=draft.pk).exists()
    return hx_redirect(request, "tuning-sweep" if is_sweep else "tuning-job", draft.pk)


@require_POST
def discard(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    drafts.discard(own_draft(request, pk))
    messages.info(request, _("The draft was discarded."))
    return hx_redirect(request, "tuning-list")
