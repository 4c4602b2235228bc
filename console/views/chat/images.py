"""Pictures on their way into a message: added one by one by a script, or with the message by a plain form."""

import uuid

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from console.presenters.chat.images import add_image, alt_of, endpoint_of
from console.web.http import ConsoleRequest, respond_with_image
from jobs.errors import ImageRefused
from jobs.models import Picture
from jobs.services.chat import images

LONGEST_BOX = 36


@require_POST
def add(request: ConsoleRequest) -> HttpResponse:
    """One file; the answer is its thumbnail, or a sentence (422)."""
    file = request.FILES.get("file")
    if file is None:
        raise Http404
    try:
        picture = add_image(request, file, endpoint_of(request), box_of(request))
    except ImageRefused as error:
        return render(request, "chat/image_problem.html", {"text": str(error)}, status=422)
    return render(request, "chat/image.html", {"picture": picture}, status=201)


def box_of(request: ConsoleRequest) -> str:
    return request.POST.get("box", "").replace("\x00", "")[:LONGEST_BOX]


def visible_image(request: ConsoleRequest, pk: uuid.UUID) -> Picture:
    return get_object_or_404(Picture.objects.visible_to(request.user), pk=pk)


@require_safe
def show(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    picture = visible_image(request, pk)
    try:
        content = images.read(picture)
    except FileNotFoundError:
        raise Http404 from None
    return respond_with_image(content, picture.content_type)


@require_POST
def describe(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    picture = visible_image(request, pk)
    images.describe(picture, alt_of(request, picture))
    return HttpResponse(status=204)


@require_POST
def remove(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    images.remove(visible_image(request, pk))
    return HttpResponse(status=204)
