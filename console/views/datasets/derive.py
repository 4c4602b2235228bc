from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.utils.translation import gettext as _, ngettext
from django.views.decorators.http import require_POST

from console.forms.datasets import ConvertForm, SplitForm
from console.presenters.datasets.context import convert_context, detail_context, own_dataset, places
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment
from jobs import errors
from jobs.models import Dataset, DatasetShape
from jobs.services.datasets import derive as making, policies
from jobs.services.datasets.table import Columns


@require_POST
def convert(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    policies.check_can_convert(dataset)
    table = making.table_of(dataset) if dataset.shape == DatasetShape.TABLE else None
    form = ConvertForm(request.POST, names=table.names if table else ())
    result = making.Conversion()
    if form.is_valid():
        result = convert_dataset(dataset, form, has_columns=table is not None)
    if result.made:
        messages.success(request, _("Converted. The file that you uploaded is still there."))
        return hx_redirect(request, "dataset-detail", result.made.pk)
    context = detail_context(request, dataset) | convert_context(request, dataset, form)
    context["conversion"] = result
    return page_or_fragment(request, "datasets/detail.html", "convert", context, status=422)


def convert_dataset(dataset: Dataset, form: ConvertForm, *, has_columns: bool) -> making.Conversion:
    """What was made, or the reason in the form."""
    values = form.cleaned_data
    columns = Columns(*places(form)) if has_columns else None
    try:
        result = making.convert(dataset, name=values["name"], columns=columns, leave_out=values["leave_out"])
    except errors.DatasetRejected as error:
        form.add_error(None, str(error))
        return making.Conversion()
    if not result.good:
        form.add_error(None, _("None of the rows can be converted. The table below says why."))
    elif not result.made:
        sentence = ngettext(
            "%(count)d row can't be converted. Correct the file and add it again, or leave this row out.",
            "%(count)d rows can't be converted. Correct the file and add it again, or leave these rows out.",
            result.bad,
        )
        form.add_error("leave_out", sentence % {"count": result.bad})
    return result


@require_POST
def split(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    dataset = own_dataset(request, pk)
    form = SplitForm(request.POST)
    if form.is_valid():
        try:
            train, validation = making.split(dataset, **form.cleaned_data)
        except errors.JobsError as error:
            form.add_error("share", str(error))
        else:
            tell_of_split(request, train, validation)
            return hx_redirect(request, "dataset-detail", train.pk)
    context = {**detail_context(request, dataset), "split_form": form}
    return page_or_fragment(request, "datasets/detail.html", "split", context, status=422)


def tell_of_split(request: ConsoleRequest, train: Dataset, validation: Dataset) -> None:
    if problem := policies.why_not_validate_with(train, validation):
        messages.warning(request, problem)
        return
    words = {"train": train.valid_rows, "validation": validation.valid_rows}
    messages.success(request, _("Split: %(train)d rows for training, %(validation)d for validation.") % words)
