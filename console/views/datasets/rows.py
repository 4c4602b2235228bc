from uuid import UUID

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from console.presenters.datasets.context import head_context, own_dataset
from console.presenters.datasets.row_pages import with_edits
from console.web.http import ConsoleRequest, page_or_fragment
from jobs.models import Dataset
from jobs.services.datasets import preview

from .datasets import LONGEST_SEARCH

HIGHEST_LINE = 10**9


@require_safe
def index(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """`?row=120` begins there; `?q=…` shows the rows with that text, from there on, `?bad=1` those with problems."""
    dataset = own_dataset(request, pk)
    first = line_number(request.GET.get("row", ""))
    words = request.GET.get("q", "").strip()[:LONGEST_SEARCH]
    only_bad = "bad" in request.GET
    page = preview.page_of_rows(dataset, first, words, only_bad=only_bad)
    context = {**head_context(request, dataset), "tab": "rows", "page": page, "first": first, "words": words}
    context |= {"rows": with_edits(dataset, page.rows), "only_bad": only_bad}
    context["before"] = max(first - preview.ROWS_A_PAGE, 1) if first > 1 and not words and not only_bad else 0
    return page_or_fragment(request, "datasets/rows.html", "rows", context)


def line_number(text: str) -> int:
    return min(max(int(text), 1), HIGHEST_LINE) if text.isdecimal() and len(text) < 12 else 1


@require_safe
def raw(request: ConsoleRequest, pk: UUID, line: int) -> HttpResponse:
    dataset: Dataset = own_dataset(request, pk)
    data = preview.raw_row(dataset, min(line, HIGHEST_LINE))
    if data is None:
        raise Http404(f"There is no row in line {line}.")
    response = HttpResponse(data, content_type="application/json; charset=utf-8")
    response["Content-Disposition"] = f'inline; filename="row-{line}.json"'
    return response
