"""The bell and the list behind it."""

import logging
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _, ngettext
from django.views.decorators.http import require_POST, require_safe

from console.presenters.components.pager import paginate
from console.presenters.notifications.inbox import FILTERS, filters, moment
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, safe_next, snackbar
from console.web.middleware import page_of as page_that_asked
from jobs import shortages, tasks
from jobs.models import (
    Delivery,
    DeployedModel,
    Endpoint,
    ModelImport,
    Notification,
    NotificationSubject,
    TuningJob,
    bell_of,
)
from jobs.services.notifications import deliveries, notifications
from jobs.states import ENDPOINT_TRANSIENT

logger = logging.getLogger(__name__)
LATEST = 8
UNDER_WAY = 4
PAGES = {
    NotificationSubject.TUNING_JOB: "tuning-job",
    NotificationSubject.ENDPOINT: "endpoint-detail",
    NotificationSubject.DATASET: "dataset-detail",
    NotificationSubject.MODEL_IMPORT: "model-import-detail",
}


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    about, unread = request.GET.get("about", ""), request.GET.get("unread") == "1"
    rows = Notification.objects.visible_to(request.user).prefetch_related("deliveries")
    if about in FILTERS:
        rows = rows.filter(subject=about)
    page = paginate(rows.unread() if unread else rows, request.GET, ())
    context = {
        "page": page,
        "filters": filters(about if about in FILTERS else "", unread),
        "filtered": unread or about in FILTERS,
        "until": page.rows[0].created_at.isoformat() if page.rows and page.is_first else "",
        "has_unread": any(row.read_at is None for row in page.rows),
        "here": request.get_full_path(),
    }
    return page_or_fragment(request, "notifications/list.html", "rows", context)


@require_safe
def latest(request: ConsoleRequest) -> HttpResponse:
    """What the bell opens. The first answer after something new came also says so, once."""
    rows = list(Notification.objects.visible_to(request.user)[:LATEST])
    since = moment(request.GET.get("since", ""))
    newest = rows[0].created_at if rows else since
    context = {
        "rows": rows,
        "since": newest.isoformat() if newest else "",
        "until": newest.isoformat() if newest else "",
        "bell": bell_of(request.user),
        "jobs": TuningJob.objects.visible_to(request.user).live().rows()[:UNDER_WAY],
        "endpoints": moving(request),
        "models": joining(request),
        "imports": ModelImport.objects.visible_to(request.user).in_progress()[:UNDER_WAY],
    }
    fresh = [row for row in rows if since and row.created_at > since and row.read_at is None]
    response = render(request, "notifications/latest.html", {**context, "fresh": fresh})
    shown = page_that_asked(request.htmx) or ""
    return add_snackbar(response, [row for row in fresh if str(row.subject_id) not in shown])


def moving(request: ConsoleRequest) -> "QuerySet[Endpoint]":
    found: QuerySet[Endpoint] = Endpoint.objects.visible_to(request.user).filter(state__in=ENDPOINT_TRANSIENT)
    return found[:UNDER_WAY]


def joining(request: ConsoleRequest) -> "QuerySet[DeployedModel]":
    """Models that come to an endpoint, or leave one, which itself stays as it is."""
    found = DeployedModel.objects.visible_to(request.user).transient().select_related("endpoint")
    return found.exclude(endpoint__state__in=ENDPOINT_TRANSIENT)[:UNDER_WAY]


def add_snackbar(response: HttpResponse, fresh: list[Notification]) -> HttpResponse:
    """As a snackbar, which a screen reader speaks; the page of the thing itself says it already."""
    if len(fresh) == 1:
        url = reverse("notification", args=[fresh[0].pk])
        return snackbar(response, fresh[0].title, url=url, label=_("View"))
    if fresh:
        text = ngettext("%d new notification", "%d new notifications", len(fresh)) % len(fresh)
        return snackbar(response, text, url=reverse("notifications"), label=_("View"))
    return response


@require_safe
def follow(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    """To the thing itself. Whoever follows the link has read the sentence, so this GET notes it; a HEAD does not."""
    found = get_object_or_404(Notification.objects.visible_to(request.user), pk=pk)
    if request.method == "GET":
        with shortages.if_possible(logger, "Marking a notification as read"):
            notifications.mark_read(found)
    page = PAGES.get(NotificationSubject(found.subject))
    return redirect(page, found.subject_id) if page else redirect("settings-notifications")


@require_POST
def read(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    notifications.mark_read(get_object_or_404(Notification.objects.visible_to(request.user), pk=pk))
    return refresh_response(request)


@require_POST
def read_all(request: ConsoleRequest) -> HttpResponse:
    notifications.mark_all_read(request.user, moment(request.POST.get("until", "")) or timezone.now())
    return refresh_response(request)


@require_POST
def try_again(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    delivery = get_object_or_404(Delivery.objects.visible_to(request.user), pk=pk)
    deliveries.again(delivery, timezone.now())
    tasks.enqueue_after_commit(tasks.deliver, delivery_id=str(pk))
    return refresh_response(request)


def refresh_response(request: ConsoleRequest) -> HttpResponse:
    """The bell and the list fetch themselves at once, also where the live stream is away."""
    if not request.htmx:
        return hx_redirect(request, safe_next(request, "notifications"))
    return HttpResponse(status=204, headers={"HX-Trigger": notifications.TOPIC})
