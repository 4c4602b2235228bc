"""The dashboard of tuning jobs: filters, orders, pages and columns, all in the address or kept with the account."""

import uuid

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from console.presenters.components import pager
from console.presenters.tuning import filters
from console.presenters.tuning.job_list import HEADS, LIST, OPTIONAL, View, context, rows_context
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, safe_next
from jobs.models import (
    TuningJob,
    preference_of,
)
from jobs.services.accounts import preferences


def view_of(request: ConsoleRequest) -> View:
    chips = filters.parse(request.GET.get("filter", ""), request.GET.get("add", ""))
    sort = pager.parse_sort(request.GET.get("sort", ""), HEADS)
    return View(chips, sort, request.GET.get("after", ""))


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    """`add` is what was typed into the filter field; the address then shows it as part of `filter`."""
    view = view_of(request)
    if "add" in request.GET:
        return redirect(f"{request.path}{view.address()}")
    return page_or_fragment(request, "tuning/list.html", "table", context(request.user, view))


@require_safe
def row(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    job: TuningJob = get_object_or_404(TuningJob.objects.visible_to(request.user).lines(), pk=pk)
    drawn = rows_context(request.user, [job], preference_of(request.user))
    return render(request, "tuning/list.html#row", {**drawn, "job": job})


@require_POST
def save_view(request: ConsoleRequest) -> HttpResponse:
    shown = request.POST.getlist("column")
    rows = request.POST.get("rows", "")
    preferences.save_list(
        request.user,
        LIST,
        hidden=[head.key for head in OPTIONAL if head.key not in shown],
        density=request.POST.get("density", ""),
        rows=int(rows) if rows in map(str, preferences.PAGE_SIZES) else 0,
    )
    return hx_redirect(request, safe_next(request, "tuning-list"))
