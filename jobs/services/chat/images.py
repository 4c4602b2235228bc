"""Pictures of a chat: kept as the model receives them, by the SHA-256 of their content; sent as data: URIs."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import IO, Any
from uuid import UUID

from django.contrib.auth.models import User

from jobs import shortages
from jobs.errors import ImageGone, NotAllowedNow
from jobs.files import store
from jobs.models import Endpoint, Message, Picture, PublisherModel
from jobs.services.catalogue.facts import facts_of
from jobs.services.image_files.image_file import LARGEST_FILE, clean
from jobs.services.storage.file_owner import may_sweep
from jobs.text.deferred import gettext as _, ngettext

__all__ = [
    "LARGEST_FILE", "MAX_IN_A_REQUEST", "add", "attach", "content_parts", "describe", "mine", "move", "prune",
    "read", "reading", "remove", "require_sendable", "select_images", "text_only", "unsent",
]  # fmt: skip

MAX_IN_A_REQUEST = 16
# Vertex AI takes 1.5 MB in a request to a region's address and 10 MB to an endpoint's own; a third is added by base64.
MAX_BYTES, MAX_BYTES_SHARED = 6_500_000, 1_000_000
MAX_UNSENT = 64
SIDE = 1536
KEPT_UNSENT = timedelta(days=7)
KEPT_FILE = timedelta(hours=1)
LOOKED_UP_AT_ONCE = 500


def reading(endpoints: Iterable[Endpoint]) -> dict[UUID, bool | None]:
    """As the catalogue says of their base models, also for tuned ones; None when it does not say. One query."""
    names = {endpoint.pk: endpoint.model.base_model or endpoint.model.publisher_model for endpoint in endpoints}
    models = PublisherModel.objects.filter(name__in=set(names.values())).values_list("name", "data") if names else ()
    told = {name: data.get("modalities") for name, data in models}
    modalities = {pk: told.get(name) or facts_of(name).get("modalities") for pk, name in names.items()}
    return {pk: "image" in found if found else None for pk, found in modalities.items()}


def reads_images(endpoint: Endpoint) -> bool | None:
    return reading([endpoint])[endpoint.pk]


def text_only(endpoint: Endpoint) -> str:
    name = (endpoint.model.base_model or endpoint.model.publisher_model).rpartition("@")[2]
    return _("%(model)s accepts text only, not images.") % {"model": name}


def add(
    owner: User, *, file: IO[bytes], size: int, name: str, endpoint: Endpoint | None = None, box: str = ""
) -> Picture:
    """Scaled to what the endpoint's model sees. `box`: where it waits to be sent. Raises ImageRefused with a
    sentence."""
    shortages.require_room(size)
    name = _clean_name(Path(name.replace("\\", "/")).name)
    side = facts_of(endpoint.model.base_model).get("image_side", SIDE) if endpoint else SIDE
    found = clean(file, size=size, name=name, side=side)
    picture = Picture(
        owner=owner, box=box, name=name or _("Image"), content_type=found.content_type, width=found.width,
        height=found.height, size=len(found.content), sha256=hashlib.sha256(found.content).hexdigest(),
    )  # fmt: skip
    store.save(picture.stored_name, found.content)
    picture.save(force_insert=True)
    if not store.exists(picture.stored_name):  # a prune had looked before the row was there
        store.save(picture.stored_name, found.content)
    _drop_oldest_unsent(owner)
    return picture


def _clean_name(name: str) -> str:
    return "".join(character for character in name if character.isprintable()).strip()[-200:]


def _drop_oldest_unsent(owner: User) -> None:
    unsent = Picture.objects.filter(owner=owner, message=None).order_by("-created_at")
    surplus = list(unsent.values_list("pk", flat=True)[MAX_UNSENT:])
    Picture.objects.filter(message=None, pk__in=surplus).delete()


def remove(picture: Picture) -> None:
    """Not one that was sent: it belongs to its turn. The file goes with the next prune."""
    Picture.objects.filter(pk=picture.pk, message=None).delete()


def unsent(owner: User, box: str) -> list[Picture]:
    """Those that wait there, as they were added."""
    return list(Picture.objects.visible_to(owner).filter(message=None, box=box).order_by("created_at"))


def move(owner: User, box: str, other: str) -> None:
    Picture.objects.visible_to(owner).filter(message=None, box=box).update(box=other)


def describe(picture: Picture, alt: str) -> None:
    Picture.objects.filter(pk=picture.pk, message=None).update(alt=alt)


def mine(owner: User, ids: Iterable[UUID]) -> list[Picture]:
    """In the order of the ids, without those that are gone or somebody else's."""
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        return []
    found = Picture.objects.visible_to(owner).in_bulk(wanted)
    return [found[pk] for pk in wanted if pk in found]


def require_sendable(endpoint: Endpoint | None, pictures: Sequence[Picture]) -> None:
    if not pictures or endpoint is None:
        return
    if reads_images(endpoint) is False:
        raise NotAllowedNow(text_only(endpoint) + " " + _("Remove the images, or choose another endpoint."))
    if len(pictures) > MAX_IN_A_REQUEST:
        words = {"most": MAX_IN_A_REQUEST, "count": len(pictures)}
        raise NotAllowedNow(
            _("A message can have at most %(most)d images. This one has %(count)d. Remove some.") % words
        )
    if sum(picture.size for picture in pictures) > most_bytes(endpoint):
        raise NotAllowedNow(_("These images are too large for one request to this endpoint. Remove some."))


def attach(message: Message, pictures: Sequence[Picture]) -> None:
    """In this order. One that belongs to a turn already is copied: an edited question, the columns of a comparison."""
    for position, picture in enumerate(pictures):
        values: dict[str, Any] = {"message": message, "position": position, "alt": picture.alt}
        if Picture.objects.filter(pk=picture.pk, message=None).update(**values):
            picture.message, picture.position = message, position
            continue
        same = ("owner_id", "name", "content_type", "width", "height", "size", "sha256")
        Picture.objects.create(**{field: getattr(picture, field) for field in same}, **values)


def most_bytes(endpoint: Endpoint) -> int:
    return MAX_BYTES_SHARED if endpoint.shared_address else MAX_BYTES


@dataclass(frozen=True)
class Shown:
    """The pictures of a branch that go into one request: the latest ones."""

    kept: frozenset[UUID]
    left_out: int

    @property
    def note(self) -> str:
        return ngettext(
            "The oldest image in this chat is no longer sent because a request fits only the latest ones.",
            "The %(count)d oldest images in this chat are no longer sent because a request fits only the latest ones.",
            self.left_out,
        ) % {"count": self.left_out}


def select_images(turns: Iterable[Message], endpoint: Endpoint) -> Shown:
    """`turns` as `with_images` gives them. None of them for a model that reads text only."""
    pictures = [picture for turn in turns for picture in turn.attachments]
    room = most_bytes(endpoint) if pictures and reads_images(endpoint) is not False else 0
    kept: list[UUID] = []
    for picture in reversed(pictures[-MAX_IN_A_REQUEST:]):
        room -= picture.size
        if room < 0:
            break
        kept.append(picture.pk)
    return Shown(frozenset(kept), len(pictures) - len(kept))


def content_parts(message: Message, kept: frozenset[UUID]) -> str | list[dict[str, Any]]:
    """The turn as chat/completions takes it: pictures first, as Gemma was taught. Plain text where none is sent."""
    parts = [_part(picture) if picture.pk in kept else _placeholder(picture) for picture in message.attachments]
    parts += [{"type": "text", "text": message.content}] if message.content else []
    if any(part["type"] == "image_url" for part in parts):
        return parts
    return "\n\n".join(part["text"] for part in parts)


def _part(picture: Picture) -> dict[str, Any]:
    """Raises ImageGone: an answer about less than was asked would pass for one about all of it."""
    content = base64.b64encode(_content(picture)).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{picture.content_type};base64,{content}"}}


def read(picture: Picture) -> bytes:
    """Its file. Raises FileNotFoundError."""
    return store.read(picture.stored_name)


def _content(picture: Picture) -> bytes:
    try:
        return read(picture)
    except FileNotFoundError as error:
        raise ImageGone(
            _(
                "The file of the image %s no longer exists, so it can't be sent. Edit the message to remove the "
                "image or add it again."
            )
            % picture.name
        ) from error


def _placeholder(picture: Picture) -> dict[str, Any]:
    return {"type": "text", "text": f"[A picture that is left out here: {picture.alt or picture.name}]"}


def prune(now: datetime) -> None:
    """Pictures that were never sent, and files that no picture names any more."""
    Picture.objects.filter(message=None, created_at__lt=now - KEPT_UNSENT).delete()
    if not may_sweep():
        return
    old = (found.name for found in store.walk("pictures") if found.modified < now - KEPT_FILE)
    while names := list(islice(old, LOOKED_UP_AT_ONCE)):
        named = _find_hashes(names)
        for name in names:
            if _content_hash(name) not in named:
                _forget(name)


def _content_hash(name: str) -> str:
    return name.rpartition("/")[2]


def _find_hashes(names: Iterable[str]) -> set[str]:
    hashes = map(_content_hash, names)
    return set(Picture.objects.filter(sha256__in=list(hashes)).values_list("sha256", flat=True))


def _forget(name: str) -> None:
    """The same picture may be added again at this moment: then the file comes back."""
    content = store.read(name)
    store.delete(name)
    if _find_hashes([name]):
        store.save(name, content)
