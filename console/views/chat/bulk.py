"""What is done with several chats at once: those that were ticked in the list."""

import uuid
from itertools import chain

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from console.forms.chat.chat import ChatsDatasetForm
from console.presenters.components.ticks import MAX_CHOSEN, select_rows
from console.web.http import ConsoleRequest, hx_redirect
from jobs.errors import JobsError, NotAllowedNow
from jobs.models import Conversation, Dataset
from jobs.services.chat import bulk

asks = require_http_methods(["GET", "HEAD", "POST"])


def get_selected_chats(request: ConsoleRequest) -> list[Conversation]:
    ids = request.POST.getlist("chat") or request.GET.getlist("chat")
    if len(ids) > MAX_CHOSEN:
        text = _("You can select at most %(count)d chats. Go back and clear some.")
        raise NotAllowedNow(text % {"count": MAX_CHOSEN})
    return select_rows(Conversation.objects.visible_to(request.user).for_list(), ids)


@asks
def delete(request: ConsoleRequest) -> HttpResponse:
    """GET asks and names the chats, POST does it."""
    talks = get_selected_chats(request)
    if request.method != "POST":
        return render(request, "chat/delete_many.html", {"talks": talks})
    bulk.delete(talks)
    words = ngettext("%(count)d chat deleted", "%(count)d chats deleted", len(talks)) % {"count": len(talks)}
    messages.info(request, words if talks else _("These chats were already deleted"))
    return hx_redirect(request, "chat-list")


@require_safe
def export(request: ConsoleRequest) -> HttpResponse | StreamingHttpResponse:
    """Written while it is read."""
    talks = get_selected_chats(request)
    if not talks:
        return render(request, "chat/many.html")
    rows = bulk.training_rows(talks)
    if (first := next(rows, None)) is None:
        raise NotAllowedNow(bulk.nothing_learnt())
    name = f"chats-{timezone.localtime():%Y-%m-%d}.jsonl"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    kind = "application/jsonl; charset=utf-8"
    return StreamingHttpResponse(chain([first], rows), content_type=kind, headers=headers)


@asks
def dataset(request: ConsoleRequest) -> HttpResponse:
    talks = get_selected_chats(request)
    form = ChatsDatasetForm(request.POST or None, initial={"key": uuid.uuid4(), "name": _("Answers from chats")})
    made = make_dataset(request, talks, form) if form.is_valid() else None
    if made is None:
        status = 422 if form.is_bound else 200
        return render(request, "chat/dataset_many.html", {"talks": talks, "form": form}, status=status)
    words = {"name": made.name, "version": made.version}
    messages.success(request, _("The answers are in “%(name)s”, version %(version)d.") % words)
    return hx_redirect(request, "dataset-detail", made.pk)


def make_dataset(request: ConsoleRequest, talks: list[Conversation], form: ChatsDatasetForm) -> Dataset | None:
    """None with the reason in the form."""
    try:
        return bulk.make_dataset(request.user, talks, **form.cleaned_data)
    except JobsError as error:
        form.add_error(None, str(error))
        return None
