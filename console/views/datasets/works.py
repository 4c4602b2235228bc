"""New versions out of rows, duplicates, and what differs between versions: at once, or with progress."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.forms.datasets import SearchForm
from console.presenters.datasets import row_pages
from console.presenters.datasets.context import head_context, own_dataset
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, wants_fragment
from jobs import errors, tasks
from jobs.models import Dataset, DatasetWork, WorkKind, WorkState
from jobs.services.datasets import policies
from jobs.services.datasets.edits import choices, works

ROUTES = {
    WorkKind.EDITS: "dataset-edits-save", WorkKind.BAD_ROWS: "dataset-bad-rows",
    WorkKind.DUPLICATES: "dataset-duplicates-remove", WorkKind.SEARCH: "dataset-duplicates",
    WorkKind.COMPARE: "dataset-changes",
}  # fmt: skip
MAKING = frozenset({WorkKind.EDITS, WorkKind.BAD_ROWS, WorkKind.DUPLICATES})


def start(dataset: Dataset, kind: WorkKind, options: dict[str, Any]) -> DatasetWork:
    """Done when this returns, if the file is small."""
    work = works.begin(dataset, kind, options)
    if works.is_small(work):
        works.advance(work.pk, timezone.now())
        work.refresh_from_db()
    else:
        tasks.enqueue_after_commit(tasks.do_dataset_work, work_id=str(work.pk))
    return work


def make_version(request: ConsoleRequest, dataset: Dataset, kind: WorkKind) -> HttpResponse:
    try:
        work = start(dataset, kind, {"latest": request.POST.get("latest", "")[:64]})
    except errors.NotAllowedNow as error:
        return show_work(request, dataset, kind, None, str(error), status=409)
    if work.state == WorkState.FAILED:
        return show_work(request, dataset, kind, work, work.error, status=409)
    return after(request, dataset, work)


def after(request: ConsoleRequest, dataset: Dataset, work: DatasetWork) -> HttpResponse:
    """Where it is shown, or how far it is."""
    if work.state != WorkState.READY:
        return hx_redirect(request, "dataset-work", dataset.pk, work.kind)
    if work.kind not in MAKING:
        return hx_redirect(request, ROUTES[WorkKind(work.kind)], dataset.pk)
    if work.made is None:
        return hx_redirect(request, "dataset-versions", dataset.pk)
    messages.success(request, _("Version %(version)d was created.") % {"version": work.made.version})
    return hx_redirect(request, "dataset-changes", work.made.pk)


@require_POST
def save_edits(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    return make_version(request, own_dataset(request, pk), WorkKind.EDITS)


@require_POST
def bad_rows(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    return make_version(request, own_dataset(request, pk), WorkKind.BAD_ROWS)


@require_POST
def remove_duplicates(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    choices.choose(dataset, chosen_rows(request))
    return make_version(request, dataset, WorkKind.DUPLICATES)


def chosen_rows(request: ConsoleRequest) -> dict[int, int]:
    """`keep-3=120` keeps line 120 of the third group."""
    sent = {name.removeprefix("keep-"): str(value) for name, value in request.POST.items() if name.startswith("keep-")}
    return {int(name): int(value) for name, value in sent.items() if is_number(name) and is_number(value)}


def is_number(text: str) -> bool:
    return text.isdecimal() and len(text) < 12


@require_safe
def progress(request: ConsoleRequest, pk: UUID, kind: str) -> HttpResponse:
    dataset = own_dataset(request, pk)
    work = get_object_or_404(DatasetWork.objects.select_related("made"), dataset=dataset, kind=kind)
    if work.state == WorkState.READY:
        return after(request, dataset, work)
    return show_work(request, dataset, WorkKind(work.kind), work, work.error)


def show_work(
    request: ConsoleRequest, dataset: Dataset, kind: WorkKind, work: DatasetWork | None, problem: str, status: int = 200
) -> HttpResponse:
    context = {
        **head_context(request, dataset), "tab": "rows", "work": work, "kind": kind, "problem": problem,
        "again_url": reverse(ROUTES[kind], args=[dataset.pk]), "makes_version": kind in MAKING,
    }  # fmt: skip
    return page_or_fragment(request, "datasets/work.html", "work", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def duplicates(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """POST searches, or keeps which row of each group stays."""
    dataset = own_dataset(request, pk)
    form = SearchForm(request.POST if "similarity" in request.POST else None)
    if request.method == "POST" and "similarity" not in request.POST:
        choices.choose(dataset, chosen_rows(request))
        if not wants_fragment(request):
            return hx_redirect(request, f"{reverse('dataset-duplicates', args=[pk])}?page={page_number(request)}")
    elif request.method == "POST" and form.is_valid():
        return after(request, dataset, start(dataset, WorkKind.SEARCH, form.cleaned_data))
    work = row_pages.work_of(dataset, WorkKind.SEARCH)
    context = {
        **head_context(request, dataset), "tab": "duplicates", "form": form, "work": work,
        "why_not": policies.why_not_look_through(dataset), "extra": 0,
    }  # fmt: skip
    if work and work.state == WorkState.READY:
        if not form.is_bound:
            context["form"] = SearchForm(initial={"similarity": work.options["similarity"]})
        context |= duplicates_context(request, dataset, work)
        context["remove_reason"] = policies.why_not_leave_out(dataset, context["pending"].total)
    return page_or_fragment(request, "datasets/duplicates.html", "remove", context, status=422 if form.errors else 200)


def page_number(request: ConsoleRequest) -> str:
    sent = request.POST.get("page") or request.GET.get("page", "")
    return sent if is_number(sent) else "1"


def duplicates_context(request: ConsoleRequest, dataset: Dataset, work: DatasetWork) -> dict[str, Any]:
    groups = work.result["groups"]
    page = row_pages.slice_of(page_number(request), len(groups), row_pages.GROUPS_A_PAGE)
    return {
        "page": page,
        "groups": [] if wants_fragment(request) else row_pages.groups_of(dataset, work, page),
        "groups_count": len(groups),
        "extra": len(choices.rows_to_leave_out(work)),
    }


@require_http_methods(["GET", "HEAD", "POST"])
def changes(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """What differs from the version before. POST compares large files; small ones are compared when they are shown."""
    dataset = own_dataset(request, pk)
    old = row_pages.version_before(dataset)
    if old is None:
        raise Http404("There is no version before this one.")
    if request.method == "POST":
        start(dataset, WorkKind.COMPARE, {})
        return hx_redirect(request, "dataset-changes", pk)
    why_not = policies.why_not_look_through(dataset) or policies.why_not_look_through(old)
    work = row_pages.comparison_of(dataset, old)
    context: dict[str, Any] = {**head_context(request, dataset), "tab": "versions", "old": old, "why_not": why_not}
    context["work"] = work
    if work and work.state == WorkState.READY and not why_not:
        context |= changes_context(request, old, dataset, work)
    return page_or_fragment(request, "datasets/changes.html", "changes", context)


def changes_context(request: ConsoleRequest, old: Dataset, new: Dataset, work: DatasetWork) -> dict[str, Any]:
    counts = work.result["counts"]
    asked = request.GET.get("show", "")
    part = asked if asked in row_pages.PARTS else next((one for one in row_pages.PARTS if counts[one]), "changed")
    listed = len(work.result[part])
    page = row_pages.slice_of(request.GET.get("page", ""), listed, row_pages.CHANGES_A_PAGE)
    pairs = row_pages.changed_pairs(old, new, work, part, page)
    parts = [(one, counts[one]) for one in row_pages.PARTS]
    return {"part": part, "parts": parts, "page": page, "pairs": pairs, "unlisted": counts[part] - listed}
