"""Pictures on their way into a message: added one by one by a script, or with the message by a plain form."""

import uuid

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_POST, require_safe

from console.presenters.chat.images import add_image, alt_of, endpoint_of
from console.web.http import ConsoleRequest
from jobs.errors import ImageRefused
from jobs.models import Picture
from jobs.services.chat import images

LONGEST_BOX = 36
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}
# An image that is a page of its own needs the browser's own styles.
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


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
    response = HttpResponse(content, content_type=picture.content_type)
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["Content-Security-Policy"] = IMAGE_POLICY
    response["Content-Disposition"] = f'inline; filename="picture.{ENDINGS[picture.content_type]}"'
    return response


@require_POST
def describe(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    picture = visible_image(request, pk)
    images.describe(picture, alt_of(request, picture))
    return HttpResponse(status=204)


@require_POST
def remove(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    images.remove(visible_image(request, pk))
    return HttpResponse(status=204)
