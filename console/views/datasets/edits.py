"""Editing the rows of a dataset: one row in a form, and the unsaved changes."""

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.presenters.datasets import row_editor, row_pages
from console.presenters.datasets.context import head_context, own_dataset
from console.presenters.datasets.row_editor import RowEditor
from console.web.http import ConsoleRequest, hx_redirect, safe_next
from jobs.models import Dataset
from jobs.services.datasets import policies
from jobs.services.datasets.edits import pending

from .rows import HIGHEST_LINE

EDITOR = "datasets/row_edit.html"


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: ConsoleRequest, pk: UUID, line: int) -> HttpResponse:
    dataset = editable(request, pk)
    try:
        kept = pending.row_at(dataset, min(line, HIGHEST_LINE))
    except pending.NoSuchRow as error:
        raise Http404(str(error)) from error
    url = f"{reverse('dataset-rows', args=[pk])}?row={line}#row-{line}"
    if not kept and request.method != "POST":
        messages.info(request, _("You deleted this row. Undo the deletion to edit it."))
        return redirect(url)
    title = _("Edit row %(line)d") % {"line": line}

    def save(data: bytes, seen: str) -> None:
        pending.change(dataset, line, data, seen)

    return respond(request, dataset, kept, title, url, save, lambda: pending.row_at(dataset, line))


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = editable(request, pk)
    kept = row_editor.new_row(dataset).kept
    url = reverse("dataset-edits", args=[pk])
    return respond(
        request, dataset, kept, _("Add a row"), url, lambda data, _seen: pending.add(dataset, data), lambda: kept
    )


@require_http_methods(["GET", "HEAD", "POST"])
def added(request: ConsoleRequest, pk: UUID, number: int) -> HttpResponse:
    """A row that was added and is not in a version yet."""
    dataset = editable(request, pk)
    url, title = reverse("dataset-edits", args=[pk]), _("Edit the added row")
    try:
        kept = pending.added_row(dataset, number)
    except pending.NoSuchRow as error:
        if request.method != "POST":
            raise Http404(str(error)) from error
        editor = row_editor.read_sent(b"", sent_by(request))
        editor.problems.append(("", str(error)))
        return show_editor(request, dataset, editor, title, url, 409, reverse("dataset-row-new", args=[pk]))

    def save(data: bytes, seen: str) -> None:
        pending.change_added(dataset, number, data, seen)

    return respond(request, dataset, kept, title, url, save, lambda: pending.added_row(dataset, number))


def sent_by(request: ConsoleRequest) -> dict[str, str]:
    return {name: str(value) for name, value in request.POST.items()}


def editable(request: ConsoleRequest, pk: UUID) -> Dataset:
    dataset = own_dataset(request, pk)
    policies.check_can_edit_rows(dataset)
    return dataset


def respond(
    request: ConsoleRequest,
    dataset: Dataset,
    kept: bytes,
    title: str,
    url: str,
    save: row_editor.Save,
    look: Callable[[], bytes],
) -> HttpResponse:
    """The editor, or `url` once the row is saved."""
    status = 200
    if request.method == "POST":
        editor = row_editor.read_sent(kept, sent_by(request))
        if row_editor.wants_saving({"do": request.POST.get("do", "")}):
            if row_editor.save_row(editor, save, look):
                messages.success(request, _("Change kept. Save your changes as a new version to use them."))
                return hx_redirect(request, url)
            status = 422 if editor.now is None else 409
    else:
        editor = row_editor.open_row(kept, as_json=request.GET.get("as") == "json")
    return show_editor(request, dataset, editor, title, url, status)


def show_editor(
    request: ConsoleRequest, dataset: Dataset, editor: RowEditor, title: str, url: str, status: int, action: str = ""
) -> HttpResponse:
    """`action`: where the form is sent if not to this address."""
    context = {**head_context(request, dataset), "tab": "rows", "editor": editor, "editor_title": title, "back": url}
    context["action"] = action
    return render(request, EDITOR, context, status=status)


@require_POST
def delete(request: ConsoleRequest, pk: UUID, line: int) -> HttpResponse:
    dataset = own_dataset(request, pk)
    try:
        pending.delete(dataset, min(line, HIGHEST_LINE))
    except pending.NoSuchRow as error:
        raise Http404(str(error)) from error
    return back(request, pk)


@require_POST
def undo(request: ConsoleRequest, pk: UUID, number: int) -> HttpResponse:
    pending.undo(own_dataset(request, pk), number)
    return back(request, pk)


@require_POST
def discard(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    pending.discard(own_dataset(request, pk))
    messages.info(request, _("Your unsaved changes were discarded."))
    return hx_redirect(request, "dataset-rows", pk)


def back(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    return hx_redirect(request, safe_next(request, reverse("dataset-edits", args=[pk])))


@require_safe
def index(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """The unsaved changes, each with the row before and after."""
    dataset = own_dataset(request, pk)
    context = {**head_context(request, dataset), "tab": "rows"}
    page = row_pages.slice_of(request.GET.get("page", ""), context["pending"].total, row_pages.EDITS_A_PAGE)
    context |= {"page": page, "pairs": row_pages.pending_pairs(dataset, page)}
    return render(request, "datasets/edits.html", context)
