"""Links that show a chat to whoever has them, and the page that they show."""

import uuid

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.presenters.chat.turns import visible_conversation
from console.web.http import ConsoleRequest, HtmxRequest, hx_redirect, safe_next, wants_fragment
from jobs.models import Picture, ShareLink
from jobs.services.chat import export, images, policies, shared_links

# A reader's browser keeps nothing, tells nobody where it was, and no search engine lists the page.
PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}
LINKS_LISTED = 200


@require_http_methods(["GET", "HEAD", "POST"])
def share(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    talk = visible_conversation(request, pk)
    address = ""
    if request.method == "POST":
        _link, token = shared_links.share(talk)
        address = request.build_absolute_uri(reverse("shared", args=[token]))
    active = list(shared_links.active(talk))
    context = {
        "conversation": talk,
        "address": address,
        "links": active,
        "why_not_share": policies.why_not_share(talk.head, len(active)),
        "is_dialog": wants_fragment(request),
    }
    template = "chat/share.html"
    if wants_fragment(request):
        template = f"{template}#form" if address else f"{template}#dialog"
    response = render(request, template, context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
def links(request: ConsoleRequest) -> HttpResponse:
    return render(request, "chat/links.html", {"links": shared_links.links_of(request.user)[:LINKS_LISTED]})


@require_POST
def revoke(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    link = get_object_or_404(ShareLink.objects.filter(conversation__owner=request.user), pk=pk)
    shared_links.revoke(link)
    messages.info(request, _("Link revoked"))
    return hx_redirect(request, safe_next(request, "chat-links"))


def get_link_or_404(token: str) -> ShareLink:
    link = shared_links.find(token)
    if link is None:
        raise Http404
    return link


@login_not_required
@require_safe
def show_shared(request: HtmxRequest, token: str) -> HttpResponse:
    link = get_link_or_404(token)
    context = {
        "conversation": link.conversation,
        "turns": export.list_turns(link.conversation, link.head_id),
        "link": link,
        "token": token,
        "nav": None,
        "live_url": "",
    }
    return HttpResponse(render(request, "chat/shared.html", context).content, headers=PRIVATE)


@login_not_required
@require_safe
def show_shared_image(request: HtmxRequest, token: str, picture: uuid.UUID) -> HttpResponse:
    """Only pictures of the branch that the link shows."""
    link = get_link_or_404(token)
    branch = [turn.pk for turn in export.list_turns(link.conversation, link.head_id)]
    found = get_object_or_404(Picture, pk=picture, message__in=branch)
    try:
        return HttpResponse(images.read(found), content_type=found.content_type, headers=PRIVATE)
    except FileNotFoundError:
        raise Http404 from None
