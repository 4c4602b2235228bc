"""Models of Hugging Face, or of files of the server, on their way into the local Vertex AI."""

from collections.abc import Callable
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.forms.catalogue_import import ImportForm, TokenForm
from console.presenters.catalogue.imports import begin, context_of, enqueue, page_of
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs.errors import NotAllowedNow
from jobs.models import ModelImport
from jobs.services.catalogue.hub import imports

NEW, PAGE = "model_garden/import_new.html", "model_garden/import.html"


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: ConsoleRequest) -> HttpResponse:
    if request.method != "POST":
        initial = {"source": request.GET.get("source", "")[:500].replace("\x00", "")}
        return render(request, NEW, page_of(request.user, ImportForm(initial=initial)))
    form = ImportForm(request.POST)
    row = begin(request.user, form)
    if row is None:
        return page_or_fragment(request, NEW, "form", page_of(request.user, form), status=422)
    return hx_redirect(request, "model-import-detail", row.pk)


def own_import(request: ConsoleRequest, pk: UUID) -> ModelImport:
    rows = ModelImport.objects.visible_to(request.user).select_related("owner")
    row: ModelImport = get_object_or_404(rows, pk=pk)
    return row


@require_safe
def detail(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    return page_or_fragment(request, PAGE, "import", context_of(own_import(request, pk)))


@require_POST
def download(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    return _do(request, pk, lambda row: imports.download(row, request.POST.get("file", "")[:300]))


@require_POST
def pause(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    return _do(request, pk, imports.pause)


@require_POST
def resume(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    form = TokenForm(request.POST)
    if not form.is_valid():
        context = context_of(own_import(request, pk), token_form=form)
        return page_or_fragment(request, PAGE, "import", context, status=422)
    return _do(request, pk, lambda row: imports.resume(row, form.cleaned_data["token"]))


@require_POST
def cancel(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    return _do(request, pk, imports.cancel)


def _do(request: ConsoleRequest, pk: UUID, action: Callable[[ModelImport], None]) -> HttpResponse:
    row = own_import(request, pk)
    try:
        action(row)
    except NotAllowedNow as error:
        row.refresh_from_db()
        return page_or_fragment(request, PAGE, "import", context_of(row, str(error)), status=409)
    enqueue(row)
    return hx_redirect(request, "model-import-detail", pk)
