"""How every part of the console is, and what it is connected to."""

from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from console.presenters.components.preflight import show as show_preflight
from console.presenters.health.status_page import settings_shown, status_context
from console.presenters.health.status_words import Card
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, safe_next, snackbar
from jobs import tasks
from jobs.models import ProbeResult
from jobs.services.health import status
from jobs.services.preflight import subjects


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    return page_or_fragment(request, "settings/status.html", "cards", status_context(timezone.now()))


@require_POST
def check(request: ConsoleRequest) -> HttpResponse:
    """The web process has checked its own parts when the page is drawn again; the worker is asked for the others."""
    asked = tasks.send(tasks.probe_status)
    text = (
        _("The worker is checking") if asked else _("The worker can't be reached because the broker isn't responding.")
    )
    if request.htmx:
        return snackbar(HttpResponse(status=204), text)
    messages.info(request, text)
    return hx_redirect(request, safe_next(request, "settings"))


@require_safe
def connection(request: ConsoleRequest) -> HttpResponse:
    now = timezone.now()
    kept = {result.name: result for result in ProbeResult.objects.filter(name__in=("vertex", "storage"))}
    probed = [Card(status.load_service(name, kept.get(name), now)) for name in ("vertex", "storage")]
    ready = show_preflight(subjects.of_project(), reverse("settings-preflight"), now)
    context = {"settings_shown": settings_shown(), "cards": probed, "preflight": ready}
    return page_or_fragment(request, "settings/connection.html", "steps", context)
