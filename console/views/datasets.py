import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from console.forms import row_limits
from console.forms.datasets import UploadForm
from console.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import errors
from jobs.models import Dataset, PublisherModel, TuningJob
from jobs.services import catalogue, datasets

from .paging import page_of


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    return render(request, "datasets/list.html", list_context(request, UploadForm()))


def list_context(request: ConsoleRequest, form: UploadForm) -> dict[str, Any]:
    page = page_of(Dataset.objects.visible_to(request.user).order_by("-created_at", "-id"), request.GET)
    uses = usage(page.rows)
    return {"form": form, "page": page, "rows": [(dataset, uses[dataset.pk]) for dataset in page.rows]}


def usage(rows: list[Dataset]) -> Counter[UUID]:
    """How many jobs use each, for training or for validation."""
    jobs = TuningJob.objects.filter(Q(dataset__in=rows) | Q(validation_dataset__in=rows))
    pairs = jobs.values_list("dataset_id", "validation_dataset_id")
    return Counter(pk for pair in pairs for pk in set(pair) if pk)


@require_POST
def upload(request: ConsoleRequest) -> HttpResponse:
    form = UploadForm(request.POST, request.FILES)
    dataset = uploaded(request, form)
    if dataset is None:
        return page_or_fragment(request, "datasets/list.html", "upload", list_context(request, form), status=422)
    return hx_redirect(request, "dataset-detail", dataset.pk)


def uploaded(request: ConsoleRequest, form: UploadForm) -> Dataset | None:
    """The data set, or None with the reason in the form. A file with bad rows is kept: its page reports them."""
    if not form.is_valid():
        return None
    file = form.cleaned_data["file"]
    try:
        return datasets.create(request.user, file=file, file_name=file.name, name=form.cleaned_data["name"])
    except errors.DatasetRejected as error:
        form.add_error("file", str(error))
        return None


@require_POST
def sample(request: ConsoleRequest) -> HttpResponse:
    dataset = datasets.create_sample(request.user, "train")
    return hx_redirect(request, "dataset-detail", dataset.pk)


def own_dataset(request: ConsoleRequest, pk: UUID) -> Dataset:
    dataset: Dataset = get_object_or_404(Dataset.objects.visible_to(request.user), pk=pk)
    return dataset


@require_safe
def detail(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    uses = Q(dataset=dataset) | Q(validation_dataset=dataset)
    jobs = TuningJob.objects.visible_to(request.user).filter(uses)
    context = {
        "dataset": dataset,
        "jobs": list(jobs),
        "long_rows": list(filter(None, long_rows(dataset))),
        "long_rows_remedy": row_limits.REMEDY,
    }
    return render(request, "datasets/detail.html", context)


def long_rows(dataset: Dataset) -> Iterator[str]:
    """A sentence for each limit of the models that can be tuned here, the shortest first."""
    if not dataset.rows_over:
        return
    models: defaultdict[int, list[str]] = defaultdict(list)
    for model in PublisherModel.objects.listed().filter(can_tune=True):
        if facts := catalogue.tuning_facts(model.name):
            models[facts.max_sequence_tokens].append(model.display_name)
    for tokens, names in sorted(models.items()):
        yield row_limits.rows_too_long_for(dataset, tokens, names)


@require_safe
def problems(request: ConsoleRequest, pk: UUID) -> StreamingHttpResponse:
    dataset = own_dataset(request, pk)
    response = StreamingHttpResponse(json_lines(datasets.problems_jsonl(dataset)), content_type="application/jsonl")
    response["Content-Disposition"] = f'attachment; filename="problems-{dataset.pk}.jsonl"'
    return response


def json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@require_POST
def delete(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    datasets.delete(dataset)
    messages.info(request, _("The data set %(name)s was deleted.") % {"name": dataset.name})
    return hx_redirect(request, "dataset-list")
