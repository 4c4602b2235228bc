"""What exists in the project and was not made here. For anybody but administrators there are no such pages."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _, gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from console.presenters.components.pager import Head, paginate
from console.presenters.components.word_search import match_words
from console.presenters.endpoints.search import words_of
from console.presenters.inventory.resources import TABS, describe, regions, tabs
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, snackbar
from jobs import tasks
from jobs.models import FoundResource
from jobs.models.keyset import Column
from jobs.services.inventory import attachment, policies

HEADS = (
    Head("name", gettext_lazy("Name and ID"), Column("display_name", str)),
    Head("state", gettext_lazy("Status")),
    Head("region", gettext_lazy("Region")),
    Head("machine", gettext_lazy("Machine")),
    Head("cost", gettext_lazy("Cost per hour"), is_number=True),
    Head("created", gettext_lazy("Created"), Column("created_at", datetime, largest_first=True)),
)


def refuse_others(request: ConsoleRequest) -> None:
    if reason := policies.why_not_look(request.user):
        raise Http404(reason)


def find(request: ConsoleRequest, pk: UUID) -> FoundResource:
    found: FoundResource = get_object_or_404(FoundResource.objects.visible_to(request.user), pk=pk)
    return found


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    refuse_others(request)
    chosen, text = request.GET.get("kind", ""), words_of(request.GET)
    kind = TABS[chosen if chosen in TABS else "endpoints"][0]
    rows = FoundResource.objects.visible_to(request.user).filter(kind=kind)
    page = paginate(match_words(rows, text, "display_name", "key", "location"), request.GET, HEADS)
    context: dict[str, Any] = {
        "chosen": chosen if chosen in TABS else "endpoints",
        "q": text,
        "tabs": tabs(request.user),
        "page": page,
        "rows": describe(request.user, page.rows),
        "regions": regions(),
    }
    return page_or_fragment(request, "inventory/list.html", "table", context)


@require_safe
def detail(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    found = find(request, pk)
    return render(request, "inventory/detail.html", {"found": found, "shown": describe(request.user, [found])[0]})


@require_POST
def attach(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    endpoint = attachment.attach(request.user, find(request, pk))
    tasks.enqueue_endpoint(endpoint)
    messages.success(request, _("%(name)s is now in your list of endpoints.") % {"name": endpoint.display_name})
    return hx_redirect(request, "endpoint-detail", endpoint.pk)


@require_POST
def look(request: ConsoleRequest) -> HttpResponse:
    """The page hears of what the worker finds."""
    refuse_others(request)
    asked = tasks.send(tasks.look_at_project)
    text = (
        _("The worker is looking") if asked else _("The worker can't be reached because the broker isn't responding.")
    )
    if request.htmx:
        return snackbar(HttpResponse(status=204), text)
    messages.info(request, text)
    return hx_redirect(request, "found-list")
