"""Images of a message that is being written: those that were added, and what each endpoint does with them."""

import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _

from console.forms.chat.chat import Attached
from console.web.http import ConsoleRequest
from jobs.errors import ImageRefused
from jobs.models import Endpoint, Message, Picture
from jobs.services.chat import images

LONGEST_ALT = 300
MAX_NAMED = 100


def image_facts(endpoints: Iterable[Endpoint], turns: Iterable[Message] = ()) -> dict[str, Any]:
    """For the composer: which of the endpoints take no pictures and why, and which of the chat's are not sent on."""
    endpoints = list(endpoints)
    reading = images.reading(endpoints)
    reasons = {str(each.pk): images.text_only(each) for each in endpoints if reading[each.pk] is False}
    only = endpoints[0] if len(endpoints) == 1 else None
    return {
        "images_refused": json.dumps(reasons),
        "images_reason": reasons.get(str(only.pk), "") if only else "",
        "images_unknown": only is not None and reading[only.pk] is None,
        "images_limit": images.LARGEST_FILE,
        "images_shown": images.select_images(turns, only) if only else None,
    }


def collect_images(request: ConsoleRequest, endpoint: Endpoint | None) -> Attached:
    """What was added before, without what was unticked, and the files that come with the form itself."""
    without = set(ids_of(request, "without"))
    wanted = [pk for pk in ids_of(request, "picture") if pk not in without][:MAX_NAMED]
    found = images.mine(request.user, wanted)
    problems = [_("An image in this message is no longer available. Add it again.")] if len(found) < len(wanted) else []
    for picture in images.mine(request.user, without):
        images.remove(picture)
    for picture in found:
        picture.alt = alt_of(request, picture)
    for file in request.FILES.getlist("pictures")[: images.MAX_IN_A_REQUEST]:
        try:
            found.append(add_image(request, file, endpoint))
        except ImageRefused as error:
            problems.append(str(error))
    return Attached(found, problems)


def alt_of(request: ConsoleRequest, picture: Picture) -> str:
    return request.POST.get(f"alt-{picture.pk}", "").replace("\x00", "").strip()[:LONGEST_ALT]


def find_unsent(request: ConsoleRequest, box: object) -> Attached:
    """What was added and not sent, for a page that is opened again."""
    return Attached(images.unsent(request.user, str(box)))


def ids_of(request: ConsoleRequest, name: str) -> list[uuid.UUID]:
    """In their order, each once."""
    found: dict[uuid.UUID, None] = {}
    for value in request.POST.getlist(name):
        with suppress(ValueError):
            found[uuid.UUID(value)] = None
    return list(found)


def add_image(request: ConsoleRequest, file: "UploadedFile[Any]", endpoint: Endpoint | None, box: str = "") -> Picture:
    assert file.file is not None
    size, name = file.size or 0, file.name or ""
    return images.add(request.user, file=file.file, size=size, name=name, endpoint=endpoint, box=box)


def endpoint_of(request: ConsoleRequest) -> Endpoint | None:
    with suppress(ValueError):
        wanted = uuid.UUID(request.POST.get("endpoint", ""))
        return Endpoint.objects.visible_to(request.user).with_model().filter(pk=wanted).first()
    return None
