"""Choosing a folder or a file of Cloud Storage: as a dialog beside a field, or as a page of its own without scripts.

What a worker found is drawn; a page that nobody looked at lately is asked for, and comes when it is there.
"""

from typing import Any
from uuid import UUID

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from console.forms.settings import DefaultsForm
from console.presenters.catalogue import weights
from console.presenters.datasets.cloud import ANY, cloud_form
from console.presenters.storage.browser import Browser, Into, below, folder_of, usable
from console.presenters.tuning.wizard.output_form import output_form
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, wants_fragment
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import DatasetPart, TuningDraft
from jobs.services.storage import browsing

PAGE = "storage/browse.html"


def into_of(request: ConsoleRequest) -> Into:
    asked = request.GET.get("into", "")
    if asked == "output":
        return into_output(request)
    if asked == "weights":
        back = f"{reverse('model-garden')}?action=deploy-weights"
        return Into(
            {"into": asked},
            "artifact_uri",
            gettext_lazy("Model source"),
            back,
            lambda uri: weights.form_of([], uri=uri),
        )
    if asked == "defaults":
        return Into(
            {"into": asked}, "output_prefix", gettext_lazy("Output directory"), reverse("settings-defaults"),
            lambda uri: DefaultsForm(None, initial={"output_prefix": uri}, machines=[]),
        )  # fmt: skip
    if asked == "dataset":
        return into_dataset(request)
    raise Http404(f"{asked} is no field that takes a folder.")


def draft_of(request: ConsoleRequest) -> TuningDraft:
    try:
        pk = UUID(request.GET.get("draft", ""))
    except ValueError:
        raise Http404("The draft is not named.") from None
    draft: TuningDraft = get_object_or_404(TuningDraft.objects.visible_to(request.user).open(), pk=pk)
    return draft


def into_dataset(request: ConsoleRequest) -> Into:
    """A file, for the list of datasets or for a part of the training of a draft."""
    part = request.GET.get("part", "")
    query, prefix, back = {"into": "dataset"}, ANY, reverse("dataset-list")
    if part in DatasetPart.values:
        draft, prefix = draft_of(request), part
        query |= {"part": part, "draft": str(draft.pk)}
        back = reverse("tuning-draft", args=[draft.pk, "training"])
    return Into(
        query, f"{prefix}-uri", gettext_lazy("File in Cloud Storage"), back,
        lambda uri: cloud_form(request.user, prefix=prefix, uri=uri), field="uri", takes_files=True,
    )  # fmt: skip


def into_output(request: ConsoleRequest) -> Into:
    draft = draft_of(request)
    pk = draft.pk
    return Into(
        {"into": "output", "draft": str(pk)}, "output_uri", gettext_lazy("Output directory"),
        reverse("tuning-draft", args=[pk, "output"]),
        lambda uri: output_form(initial={"output_uri": uri}, draft=draft, user=request.user),
    )  # fmt: skip


@require_safe
def browse(request: ConsoleRequest) -> HttpResponse:
    """A path that was typed wrong, or not to its end, begins with the buckets, and says why."""
    into, problem = into_of(request), ""
    try:
        uri = folder_of(start_address(request, into))
    except ValueError as error:
        uri, problem = "", str(error)
    part = "dialog" if request.GET.get("panel") == "open" else "browser"
    return render_folder(request, into, uri, part, problem)


def start_address(request: ConsoleRequest, into: Into) -> str:
    """What stands in the field is where to begin; a folder for an output is a new one, so the one above it is."""
    if "uri" in request.GET:
        return request.GET["uri"]
    typed = request.GET.get(into.name, "").strip()
    if into.takes_files and typed.endswith("/"):
        return typed
    typed, is_below = typed.rstrip("/"), into.takes_files or into.name == "output_uri"
    return typed.rpartition("/")[0] if is_below and typed.count("/") > 2 else typed


def render_folder(
    request: ConsoleRequest, into: Into, uri: str, part: str, problem: str = "", status: int = 200
) -> HttpResponse:
    now, token = timezone.now(), request.GET.get("page", "").replace("\x00", "")[:1500]
    wanted = {"again": "again" in request.GET, "polls": "poll" in request.GET}
    try:
        page, is_asked = browsing.ask(request.user, uri, token, now, **wanted)
    except NotAllowedNow as error:
        return render_folder(request, into, "", part, str(error), status)
    if is_asked:
        tasks.enqueue_after_commit(tasks.list_storage, listing_id=str(page.pk))
    context: dict[str, Any] = {
        "browser": Browser(
            into, uri, page, now, is_dialog="panel" in request.GET, may_choose=browsing.may_look(request.user, uri)
        ),
        "problem": problem,
        "typed": request.GET.get("name", ""),
        "keeps_focus": "poll" in request.GET,
    }
    return page_or_fragment(request, PAGE, part, context, status=status)


@require_safe
def choose(request: ConsoleRequest) -> HttpResponse:
    """The folder, or a new one in it by `name`, into its field: a folder is there as soon as something lies in it.
    Where a file is to be chosen, a bucket by its name is opened."""
    into, name = into_of(request), request.GET.get("name")
    uri = request.GET.get("uri", "")
    try:
        chosen = folder_of(uri if name is None else below(uri, name))
    except ValueError as error:
        return render_folder(request, into, folder_of(uri) if usable(uri) else "", "browser", str(error), status=422)
    if into.takes_files and name is not None:
        return render_folder(request, into, chosen, "browser")
    if not wants_fragment(request):
        return hx_redirect(request, into.page_with(chosen))
    field = into.form(chosen)[into.field or into.name]
    field.field.widget.attrs["autofocus"] = True
    return render(request, "storage/chosen.html", {"field": field})
