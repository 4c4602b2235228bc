"""Where a person wants to be told of an end: e-mail, webhook, which of them."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from console.accounts.confirmation import ask, is_proven_here, require_reauthentication
from console.accounts.pending_actions import Facts, facts_of_form
from console.forms.notifications import NotificationForm
from console.web.http import ConsoleRequest, page_or_fragment, wants_fragment
from jobs import tasks
from jobs.models import Delivery, NotificationChoice, NotificationWay, preference_of
from jobs.services.accounts.reauthentication import SensitiveAction
from jobs.services.notifications import choices, notifications, webhook, webhook_address

from .own import READ_OR_SEND, success_response

SHOWN = 5
ADDRESSES = ("email", "webhook_url")
TESTS_A_MINUTE = 5
SHOW_SECRET = "show_webhook_secret"  # noqa: S105  # the name of a mark in the session


@require_http_methods(READ_OR_SEND)
def index(request: ConsoleRequest) -> HttpResponse:
    choice = choices.of(request.user)
    form = NotificationForm(request.POST or None, initial=NotificationForm.first(choice))
    if form.is_bound and form.is_valid():
        action = SensitiveAction.NOTIFICATION_ADDRESS
        if changes_address(form, choice) and not is_proven_here(request, action):
            return ask(request, action, facts=describe(form))
    if form.is_bound and form.is_valid() and keep(request, form):
        return success_response(request, "settings-notifications")
    is_to_be_shown = not wants_fragment(request) and request.session.pop(SHOW_SECRET, False)
    secret = webhook.secret_of(choice) if is_to_be_shown else ""
    context = {"form": form, "secret": secret, **state_of(request, choice)}
    status = 422 if form.is_bound else 200
    return page_or_fragment(request, "settings/notifications.html", "sent", context, status=status)


def describe(form: NotificationForm) -> Facts:
    return facts_of_form(form, ways=form.describe_ways() or _("Not set"))


def changes_address(form: NotificationForm, choice: NotificationChoice) -> bool:
    return any(form.cleaned_data[name] != getattr(choice, name) for name in ADDRESSES)


def keep(request: ConsoleRequest, form: NotificationForm) -> bool:
    values = {name: form.cleaned_data[name] for name in ADDRESSES}
    try:
        is_new = choices.save(
            request.user, **values, ways=form.ways_by_kind(), webhook_format=form.cleaned_data["webhook_format"]
        )
    except webhook_address.BadAddress as error:
        form.add_error("webhook_url", str(error))
        return False
    if is_new:
        request.session[SHOW_SECRET] = True
    return True


def state_of(request: ConsoleRequest, choice: NotificationChoice) -> dict[str, Any]:
    sent = Delivery.objects.visible_to(request.user).select_related("notification")
    return {
        "choice": choice,
        "ready": [way for way in NotificationWay if choice.reaches(way)],
        "sent": sent.order_by("-notification__created_at")[:SHOWN],
        "is_private": settings.WEBHOOK_PRIVATE,
        "language": preference_of(request.user).language,
    }


@require_POST
@require_reauthentication(SensitiveAction.WEBHOOK_SECRET)
def renew_secret(request: ConsoleRequest) -> HttpResponse:
    choices.renew_secret(request.user)
    request.session[SHOW_SECRET] = True
    return redirect("settings-notifications")


@require_http_methods(READ_OR_SEND)
def confirm(request: ConsoleRequest, token: str) -> HttpResponse:
    """Opened from a mail. Programs that look at the links of mails press no button."""
    if request.method != "POST":
        return render(request, "settings/confirm_email.html", {"email": choices.of(request.user).email})
    if choices.confirm_email(request.user, token):
        return success_response(request, "settings-notifications")
    messages.error(request, _("This link is no longer valid. To get a new link, send another test."))
    return redirect("settings-notifications")


def tests_of(user: User) -> int:
    """In this minute, with this one, in this process."""
    key = f"test:{user.pk}"
    cache.add(key, 0, timeout=60)
    try:
        return cache.incr(key)
    except ValueError:
        return 1


@require_POST
def send_test(request: ConsoleRequest) -> HttpResponse:
    """By the same road as everything else, so its outcome tells what will happen to the others."""
    way = request.POST.get("way", "")
    choice = choices.of(request.user)
    if way not in NotificationWay or not choice.reaches(way):
        messages.error(request, _("Save an address before you test it."))
    elif tests_of(request.user) > TESTS_A_MINUTE:
        messages.error(request, _("Too many tests. Wait a minute, then try again."))
    else:
        made = notifications.tell_test(request.user, way)
        for delivery in made.deliveries.all():
            tasks.enqueue_after_commit(tasks.deliver, delivery_id=str(delivery.pk))
        messages.success(request, _("The test is on its way"))
    response = redirect("settings-notifications")
    response.status_code = 303
    return response
