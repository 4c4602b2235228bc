"""Files of Cloud Storage that become datasets: asking for one, and how far it is."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from console.forms.datasets import UploadForm
from console.presenters.datasets.cloud import back_of, begin_import, change_of, cloud_form, enqueue, result_of
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs.errors import NotAllowedNow
from jobs.models import DatasetImport, ImportState
from jobs.services.datasets.cloud import imports

from .datasets import list_context


def own_import(request: ConsoleRequest, pk: UUID) -> DatasetImport:
    rows = DatasetImport.objects.visible_to(request.user).select_related("owner", "dataset")
    row: DatasetImport = get_object_or_404(rows, pk=pk)
    return row


@require_POST
def begin(request: ConsoleRequest) -> HttpResponse:
    form = cloud_form(request.user, request.POST)
    row = begin_import(request.user, form)
    if row is None:
        context = list_context(request, UploadForm(), form)
        return page_or_fragment(request, "datasets/list.html", "cloud", context, status=422)
    return hx_redirect(request, "dataset-import", row.pk)


@require_safe
def show(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    row = own_import(request, pk)
    if row.dataset_id:
        return hx_redirect(request, result_of(row))
    return render_import(request, row)


def render_import(request: ConsoleRequest, row: DatasetImport, problem: str = "", status: int = 200) -> HttpResponse:
    context = {
        "row": row, "back": back_of(row), "change": change_of(row), "problem": problem,
        "is_busy": row.state == ImportState.WAITING,
    }  # fmt: skip
    return page_or_fragment(request, "datasets/import.html", "import", context, status=status)


@require_POST
def cancel(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    row = own_import(request, pk)
    if imports.cancel(row):
        messages.info(request, _("Cancelled. Nothing was added."))
        return hx_redirect(request, back_of(row))
    return hx_redirect(request, "dataset-import", row.pk)


@require_POST
def again(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    row = own_import(request, pk)
    try:
        enqueue(imports.begin_again(row))
    except NotAllowedNow as error:
        return render_import(request, row, str(error), status=409)
    return hx_redirect(request, "dataset-import", row.pk)
