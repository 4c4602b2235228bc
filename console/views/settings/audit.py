"""The audit log: who did what, and what was refused. Administrators see all of it, others what concerns them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.forms.audit import AuditFilter
from console.presenters.components.csv_text import lines
from console.presenters.components.pager import paginate
from console.web.audit_actions import ACTIONS
from console.web.http import ConsoleRequest, page_or_fragment
from jobs.models import AuditEntry
from jobs.models.keyset import Order, in_order
from jobs.services import audit

CHUNK = 500
EXPORTED = (
    "number", "created_at", "actor", "user_id", "action", "object_kind", "object_id", "object_name", "outcome",
    "reason", "address", "request_id", "facts", "hash",
)  # fmt: skip
TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl; charset=utf-8"}
PAGES = {
    "tuning_job": "tuning-job",
    "endpoint": "endpoint-detail",
    "dataset": "dataset-detail",
    "chat": "chat-conversation",
    "comparison": "compare-detail",
}


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    form = form_of(request)
    page = paginate(find_entries(request, form), request.GET, ())
    links = links_of(request, page.rows)
    context = {
        "form": form,
        "page": page,
        "rows": [(entry, links.get(entry.object_id, "")) for entry in page.rows],
        "actions": sorted({action.code for action in ACTIONS.values()}),
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "query": request.GET.urlencode(),
        "sees_all": request.user.is_superuser,
    }
    return page_or_fragment(request, "settings/audit.html", "entries", context)


def form_of(request: ConsoleRequest) -> AuditFilter:
    return AuditFilter(request.GET, has_people=request.user.is_superuser)


def find_entries(request: ConsoleRequest, form: AuditFilter) -> "QuerySet[AuditEntry]":
    return AuditEntry.objects.visible_to(request.user).filter(form.condition())


def links_of(request: ConsoleRequest, entries: Iterable[AuditEntry]) -> dict[str, str]:
    """Addresses of what is still there and may be looked at, by id."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.object_kind in PAGES and is_id(entry.object_id):
            wanted[entry.object_kind].add(entry.object_id)
    links = {}
    for kind, ids in wanted.items():
        for pk in audit.still_there(kind, ids, request.user):
            links[str(pk)] = reverse(PAGES[kind], args=[pk])
    return links


def is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


@require_safe
def export(request: ConsoleRequest, form: str) -> StreamingHttpResponse:
    """All that the filter finds, newest first, written while it is read."""
    if form not in TYPES:
        raise Http404
    entries = in_order(find_entries(request, form_of(request)), Order(), CHUNK)
    text = lines(EXPORTED, map(values, entries)) if form == "csv" else json_lines(entries)
    name = f"audit-log-{timezone.localtime():%Y-%m-%d}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingHttpResponse(text, content_type=TYPES[form], headers=headers)


def values(entry: AuditEntry) -> list[Any]:
    row = {name: getattr(entry, name) for name in EXPORTED}
    return list((row | {"facts": json.dumps(entry.facts) if entry.facts else ""}).values())


def json_lines(entries: Iterable[AuditEntry]) -> Iterator[str]:
    for entry in entries:
        row = {name: getattr(entry, name) for name in EXPORTED}
        yield json.dumps(row | {"created_at": entry.created_at.isoformat()}, ensure_ascii=False) + "\n"
