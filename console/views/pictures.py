"""Pictures on their way into a message: added one by one by a script, or with the message by a plain form."""

import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from console.forms.chat import Attached
from console.http import ConsoleRequest
from jobs.errors import PictureRefused
from jobs.models import Endpoint, Message, Picture
from jobs.services.chat import images

LONGEST_ALT = 300
LONGEST_BOX = 36
MOST_NAMED = 100
ENDINGS = {"image/png": "png", "image/jpeg": "jpg"}
# An image that is a page of its own needs the browser's own styles.
IMAGE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def picture_facts(endpoints: Iterable[Endpoint], turns: Iterable[Message] = ()) -> dict[str, Any]:
    """For the composer: which of the endpoints take no pictures and why, and which of the chat's are not sent on."""
    endpoints = list(endpoints)
    reading = images.reading(endpoints)
    reasons = {str(each.pk): images.text_only(each) for each in endpoints if reading[each.pk] is False}
    only = endpoints[0] if len(endpoints) == 1 else None
    return {
        "pictures_refused": json.dumps(reasons),
        "pictures_reason": reasons.get(str(only.pk), "") if only else "",
        "pictures_unknown": only is not None and reading[only.pk] is None,
        "pictures_limit": images.LARGEST_FILE,
        "pictures_shown": images.shown(turns, only) if only else None,
    }


def attached(request: ConsoleRequest, endpoint: Endpoint | None) -> Attached:
    """What was added before, without what was unticked, and the files that come with the form itself."""
    without = set(ids_of(request, "without"))
    wanted = [pk for pk in ids_of(request, "picture") if pk not in without][:MOST_NAMED]
    found = images.mine(request.user, wanted)
    problems = [_("A picture of this message is not kept any more. Add it again.")] if len(found) < len(wanted) else []
    for picture in images.mine(request.user, without):
        images.remove(picture)
    for picture in found:
        picture.alt = alt_of(request, picture)
    for file in request.FILES.getlist("pictures")[: images.MOST_IN_A_REQUEST]:
        try:
            found.append(added(request, file, endpoint))
        except PictureRefused as error:
            problems.append(str(error))
    return Attached(found, problems)


def alt_of(request: ConsoleRequest, picture: Picture) -> str:
    return request.POST.get(f"alt-{picture.pk}", "").replace("\x00", "").strip()[:LONGEST_ALT]


def held(request: ConsoleRequest, box: object) -> Attached:
    """What was added and not sent, for a page that is opened again."""
    return Attached(images.unsent(request.user, str(box)))


def ids_of(request: ConsoleRequest, name: str) -> list[uuid.UUID]:
    """In their order, each once."""
    found: dict[uuid.UUID, None] = {}
    for value in request.POST.getlist(name):
        with suppress(ValueError):
            found[uuid.UUID(value)] = None
    return list(found)


def added(request: ConsoleRequest, file: "UploadedFile[Any]", endpoint: Endpoint | None, box: str = "") -> Picture:
    assert file.file is not None
    size, name = file.size or 0, file.name or ""
    return images.add(request.user, file=file.file, size=size, name=name, endpoint=endpoint, box=box)


@require_POST
def add(request: ConsoleRequest) -> HttpResponse:
    """One file; the answer is its thumbnail, or a sentence (422)."""
    file = request.FILES.get("file")
    if file is None:
        raise Http404
    try:
        picture = added(request, file, endpoint_of(request), box_of(request))
    except PictureRefused as error:
        return render(request, "chat/picture_problem.html", {"text": str(error)}, status=422)
    return render(request, "chat/picture.html", {"picture": picture}, status=201)


def endpoint_of(request: ConsoleRequest) -> Endpoint | None:
    with suppress(ValueError):
        wanted = uuid.UUID(request.POST.get("endpoint", ""))
        return Endpoint.objects.visible_to(request.user).filter(pk=wanted).first()
    return None


def box_of(request: ConsoleRequest) -> str:
    return request.POST.get("box", "").replace("\x00", "")[:LONGEST_BOX]


def visible_picture(request: ConsoleRequest, pk: uuid.UUID) -> Picture:
    return get_object_or_404(Picture.objects.visible_to(request.user), pk=pk)


@require_safe
def show(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    picture = visible_picture(request, pk)
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
    picture = visible_picture(request, pk)
    images.describe(picture, alt_of(request, picture))
    return HttpResponse(status=204)


@require_POST
def remove(request: ConsoleRequest, pk: uuid.UUID) -> HttpResponse:
    images.remove(visible_picture(request, pk))
    return HttpResponse(status=204)
