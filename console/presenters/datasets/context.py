"""What the pages of one dataset show."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from console.forms.datasets import ColumnsForm, ConvertForm, EditForm, SplitForm
from console.web.http import ConsoleRequest
from jobs import errors
from jobs.models import Dataset, DatasetShape, PublisherModel, TuningJob
from jobs.services.catalogue import facts as catalogue
from jobs.services.datasets import derive as making, policies, row_limits
from jobs.services.datasets.edits import pending
from jobs.services.datasets.table import Columns, Table

USUAL_LIMIT = 8192


def own_dataset(request: ConsoleRequest, pk: UUID) -> Dataset:
    rows = Dataset.objects.visible_to(request.user).select_related("made_from", "sibling")
    dataset: Dataset = get_object_or_404(rows, pk=pk)
    return dataset


def detail_context(request: ConsoleRequest, dataset: Dataset) -> dict[str, Any]:
    limits = model_limits() if dataset.stats or dataset.rows_over else {}
    return {
        **head_context(request, dataset),
        "tab": "overview",
        "limits": sorted(limits) or [USUAL_LIMIT],
        "long_rows": [one for one in long_rows(dataset, limits) if one],
        "long_rows_remedy": row_limits.remedy(),
        "split_form": SplitForm(),
        "made": dataset.made.rows()[:20],
        **(convert_context(request, dataset) if dataset.shape else {}),
    }


def head_context(request: ConsoleRequest, dataset: Dataset) -> dict[str, Any]:
    """For the bar and the tabs, which are the same on all pages of a dataset."""
    jobs, unsaved = policies.jobs_using(dataset), pending.count(dataset)
    return {
        "pending": unsaved,
        "latest": latest_of(dataset),
        "edit_reason": policies.why_not_edit_rows(dataset),
        "bad_rows_reason": policies.why_not_leave_out_bad_rows(dataset, unsaved.total),
        "dataset": dataset,
        "other_part": policies.find_other_part(dataset)[1],
        "jobs": jobs,
        "keep_reason": policies.why_not_delete(dataset, jobs),
        "versions_count": Dataset.objects.filter(family=dataset.family).count(),
        "edit_form": EditForm(initial={"name": dataset.name, "description": dataset.description}),
    }


def latest_of(dataset: Dataset) -> UUID:
    """The id of the newest version."""
    if dataset.is_latest:
        return dataset.pk
    found = Dataset.objects.filter(family=dataset.family, is_latest=True).values_list("pk", flat=True).first()
    return found or dataset.pk


def model_limits() -> dict[int, list[str]]:
    """The models that can be tuned here, by the tokens that a row of theirs may have."""
    models: defaultdict[int, list[str]] = defaultdict(list)
    for model in PublisherModel.objects.only_listed().filter(can_tune=True):
        if facts := catalogue.tuning_facts(model.name):
            models[facts.max_sequence_tokens].append(model.display_name)
    return models


def long_rows(dataset: Dataset, limits: dict[int, list[str]]) -> Iterator[str]:
    """A sentence for each limit, the shortest first."""
    if dataset.rows_over:
        for tokens, names in sorted(limits.items()):
            yield row_limits.rows_too_long_for(dataset, tokens, names)


def convert_context(request: ConsoleRequest, dataset: Dataset, form: ConvertForm | None = None) -> dict[str, Any]:
    """`?prompt=…&answer=…` shows what these columns would give; nothing is saved."""
    try:
        table = making.table_of(dataset) if dataset.shape == DatasetShape.TABLE else None
        columns = Columns(*chosen) if (chosen := columns_from(request, table)) else None
        rows = making.try_out(dataset, columns)
    except errors.JobsError as error:
        return {"convert_problem": str(error)}
    return {"convert_form": form or convert_form(dataset, table), "table": table, "tried": rows}


def columns_from(request: ConsoleRequest, table: Table | None) -> tuple[int, int, int, bool] | None:
    sent = request.POST if request.method == "POST" else request.GET
    form = ColumnsForm(sent, names=table.names if table else ())
    return places(form) if table and "prompt" in sent and form.is_valid() else None


def places(form: ColumnsForm) -> tuple[int, int, int, bool]:
    values = form.cleaned_data
    return values["prompt"], values["answer"], values["system"], values["has_header"]


def convert_form(dataset: Dataset, table: Table | None) -> ConvertForm:
    initial: dict[str, Any] = {"name": _("%(name)s (converted)") % {"name": dataset.name[:110]}}
    if table:
        initial |= vars(table.columns)
    return ConvertForm(initial=initial, names=table.names if table else ())


def usage(families: list[UUID]) -> Counter[UUID]:
    """How many jobs use a version of each, for training or for validation."""
    jobs = TuningJob.objects.filter(
        Q(dataset__family__in=families) | Q(validation_dataset__family__in=families)
    ).order_by()
    pairs = jobs.values_list("dataset__family", "validation_dataset__family")
    return Counter(family for pair in pairs for family in set(pair) if family)
