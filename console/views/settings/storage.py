"""Folders of Cloud Storage that an administrator shares. For anybody else there are no such pages."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from console.accounts.confirmation import require_reauthentication
from console.accounts.pending_actions import Facts, facts_of_form
from console.forms.storage import SharedFolderForm
from console.web.http import ConsoleRequest
from jobs.errors import NotAllowedNow
from jobs.models import SharedFolder
from jobs.services.accounts.reauthentication import SensitiveAction
from jobs.services.storage import policies, sharing

READ_OR_SEND = ["GET", "HEAD", "POST"]


def refuse_others(request: ConsoleRequest) -> None:
    if reason := policies.why_not_share(request.user):
        raise Http404(reason)


def describe_share(request: ConsoleRequest) -> Facts:
    refuse_others(request)
    return facts_of_form(SharedFolderForm(request.POST))


@require_http_methods(READ_OR_SEND)
@require_reauthentication(SensitiveAction.ADMINISTRATION, may_read=True, describe=describe_share)
def index(request: ConsoleRequest) -> HttpResponse:
    refuse_others(request)
    form = SharedFolderForm(request.POST if request.method == "POST" else None)
    if form.is_bound and form.is_valid():
        try:
            folder = sharing.share_folder(request.user, **form.cleaned_data)
        except NotAllowedNow as error:
            form.add_error("uri", str(error))
        else:
            return success_response(request, _("%(folder)s is shared") % {"folder": folder.uri})
    folders = SharedFolder.objects.select_related("user", "created_by")
    status = 422 if form.is_bound else 200
    return render(request, "settings/storage.html", {"form": form, "folders": folders}, status=status)


def find_folder(request: ConsoleRequest, pk: UUID) -> SharedFolder:
    refuse_others(request)
    return get_object_or_404(SharedFolder.objects.select_related("user"), pk=pk)


def describe_removal(request: ConsoleRequest, pk: UUID) -> Facts:
    folder = find_folder(request, pk)
    return [
        (_("Stop sharing"), folder.uri),
        (_("Shared with"), folder.user.get_username() if folder.user else _("Everyone")),
    ]


@require_http_methods(READ_OR_SEND)
@require_reauthentication(SensitiveAction.ADMINISTRATION, may_read=True, describe=describe_removal)
def remove(request: ConsoleRequest, pk: UUID) -> HttpResponse:
    folder = find_folder(request, pk)
    if request.method != "POST":
        return render(request, "settings/storage_remove.html", {"folder": folder})
    sharing.unshare_folder(request.user, pk)
    return success_response(request, _("%(folder)s is no longer shared") % {"folder": folder.uri})


def success_response(request: ConsoleRequest, message: str) -> HttpResponse:
    messages.success(request, message)
    response = redirect("settings-storage")
    response.status_code = 303
    return response
