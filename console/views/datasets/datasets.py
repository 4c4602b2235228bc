import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Count, Q
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _, gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from console.forms.datasets import CloudForm, EditForm, UploadForm
from console.presenters.components.pager import CREATED, Head, paginate
from console.presenters.datasets.cloud import ANY, cloud_form
from console.presenters.datasets.context import detail_context, head_context, own_dataset, usage
from console.presenters.datasets.upload import save_upload
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, wants_fragment
from jobs import errors
from jobs.models import Dataset, DatasetImport
from jobs.models.keyset import Column
from jobs.services.datasets import datasets
from jobs.services.datasets.file import open_file

LONGEST_SEARCH, IMPORTS = 200, 10


def number(name: str) -> Column:
    return Column(name, int, largest_first=True)


HEADS = (
    Head("name", gettext_lazy("Name"), Column("name", str)),
    Head("status", gettext_lazy("Status")),
    Head("format", gettext_lazy("Format")),
    Head("rows", gettext_lazy("Rows"), number("valid_rows"), is_number=True),
    Head("problems", gettext_lazy("Problems"), number("invalid_rows"), is_number=True),
    Head("tokens", gettext_lazy("Tokens"), number("token_estimate"), is_number=True),
    Head("size", gettext_lazy("Size"), number("byte_size"), is_number=True),
    Head("uses", gettext_lazy("Used by"), is_number=True),
    Head("created", gettext_lazy("Added"), CREATED, is_number=True),
)


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    return page_or_fragment(request, "datasets/list.html", "table", list_context(request, UploadForm()))


def list_context(request: ConsoleRequest, form: UploadForm, cloud: CloudForm | None = None) -> dict[str, Any]:
    words = request.GET.get("q", "").replace("\x00", "").strip()[:LONGEST_SEARCH]
    found = Dataset.objects.visible_to(request.user).latest_versions().rows()
    if words:
        found = found.filter(Q(name__icontains=words) | Q(file_name__icontains=words) | Q(description__icontains=words))
    page = paginate(found, request.GET, HEADS)
    return {
        "form": form, "cloud": cloud or cloud_form(request.user, uri=request.GET.get(f"{ANY}-uri", "")),
        "imports": DatasetImport.objects.visible_to(request.user).filter(dataset=None)[:IMPORTS],
        "page": page, "words": words, **around(page.rows),
    }  # fmt: skip


def around(rows: list[Dataset]) -> dict[str, Any]:
    """Each with its uses and versions; `twin` when another one has the same name."""
    families = [dataset.family for dataset in rows]
    versions = Counter(Dataset.objects.filter(family__in=families).values_list("family", flat=True))
    uses, names = usage(families), Counter(dataset.name for dataset in rows)
    return {
        "rows": [
            {"dataset": one, "uses": uses[one.family], "versions": versions[one.family], "twin": names[one.name] > 1}
            for one in rows
        ]
    }


@require_POST
def upload(request: ConsoleRequest) -> HttpResponse:
    form = UploadForm(request.POST, request.FILES)
    dataset = save_upload(request, form)
    if dataset is None:
        return page_or_fragment(request, "datasets/list.html", "upload", list_context(request, form), status=422)
    if form.known:
        words = {"name": dataset.name, "version": dataset.version}
        messages.info(request, _("You already have this file: it is “%(name)s”, version %(version)d.") % words)
    elif dataset.version > 1:
        words = {"name": dataset.name, "version": dataset.version}
        messages.success(request, _("This is now version %(version)d of “%(name)s”.") % words)
    return hx_redirect(request, "dataset-detail", dataset.pk)


@require_POST
def sample(request: ConsoleRequest) -> HttpResponse:
    dataset = datasets.create_sample(request.user, "train")
    return hx_redirect(request, "dataset-detail", dataset.pk)


@require_safe
def detail(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    return render(request, "datasets/detail.html", detail_context(request, dataset))


@require_safe
def versions(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    found = Dataset.objects.filter(family=dataset.family).defer("problems", "preview", "stats", "notes")
    uses = Count("jobs", distinct=True)
    rows = list(found.annotate(uses=uses).order_by("-version"))
    context = {**head_context(request, dataset), "tab": "versions", "versions": rows}
    return render(request, "datasets/versions.html", context)


@require_POST
def edit(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    form = EditForm(request.POST)
    if form.is_valid():
        try:
            datasets.describe(dataset, **form.cleaned_data)
            return hx_redirect(request, "dataset-detail", dataset.pk)
        except errors.NotAllowedNow as error:
            form.add_error("name", str(error))
    context = {**detail_context(request, dataset), "edit_form": form}
    template = "datasets/edit.html#form" if wants_fragment(request) else "datasets/detail.html"
    return render(request, template, context, status=422)


@require_safe
def download(request: ConsoleRequest, pk: UUID) -> FileResponse:
    dataset = own_dataset(request, pk)
    kind = "application/octet-stream"
    return FileResponse(open_file(dataset), as_attachment=True, filename=dataset.file_name, content_type=kind)


@require_safe
def problems(request: ConsoleRequest, pk: UUID) -> StreamingHttpResponse:
    dataset = own_dataset(request, pk)
    response = StreamingHttpResponse(json_lines(datasets.problems_jsonl(dataset)), content_type="application/jsonl")
    response["Content-Disposition"] = f'attachment; filename="problems-{dataset.pk}.jsonl"'
    return response


def json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@require_POST
def check(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    datasets.check_again(dataset)
    return hx_redirect(request, "dataset-detail", dataset.pk)


@require_POST
def delete(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    datasets.delete(dataset)
    messages.info(request, _("The dataset %(name)s was deleted.") % {"name": dataset.name})
    return hx_redirect(request, "dataset-list")
