"""A zip file with rows and their images becomes a dataset: the rows name the images by addresses in Cloud Storage."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import IO, Any

from django.conf import settings
from django.contrib.auth.models import User

from jobs import shortages
from jobs.errors import DatasetRejected, ImageRefused
from jobs.files import store
from jobs.models import Dataset
from jobs.services.datasets import datasets, spec
from jobs.services.datasets.file import CHUNK, Line, Lines, measure_size
from jobs.services.datasets.rows import read_json, read_object
from jobs.services.image_files.batch import Batch
from jobs.services.image_files.image_file import LARGEST_FILE
from jobs.text.deferred import gettext as _, ngettext

from . import kept, places
from .archive import Archive, is_zip, open_archive, shorten
from .judge import Judge
from .parts import ADDRESSES, KINDS, RowImage

# As large as the models that see take images; larger ones are scaled down.
SIDE = 1536
LONGEST_SECONDS = 180
NAMED = 3
Progress = Callable[[int], None]


@dataclass
class Unpacked:
    """`files`: by the name in a row, as the console keeps them; `refused`: the problem and the remedy of others."""

    files: dict[str, str] = field(default_factory=dict)
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    turned: int = 0


def create(
    owner: User, file: IO[bytes], file_name: str, name: str = "", progress: Progress | None = None
) -> tuple[Dataset, bool]:
    """The dataset, and whether it was there before: the same rows with the same images are. A file that is no zip is
    what it is. Raises DatasetRejected."""
    if not is_zip(file):
        return _create(owner, file, file_name, name, progress, None, [])
    if reason := spec.why_too_large(measure_size(file)):
        raise DatasetRejected(reason)
    if not settings.VERTEX_BUCKET:
        raise DatasetRejected(_("There is no bucket for images. Set VERTEX_BUCKET, or upload rows without images."))
    with _unpack(owner, file) as (unpacked, rows):
        judge = Judge(owner, frozenset(unpacked.files.values()), unpacked.refused)
        return _create(owner, rows, file_name, name, progress, judge, unpacked.notes)


def _create(
    owner: User, file: IO[bytes], file_name: str, name: str, progress: Progress | None, judge: Judge | None,
    notes: list[str],
) -> tuple[Dataset, bool]:  # fmt: skip
    if known := datasets.same_file(owner, file):
        return known, True
    origin = datasets.Origin(None, notes=notes)
    made = datasets.create(
        owner, file=file, file_name=file_name, name=name, progress=progress, origin=origin, judge=judge
    )
    return made, False


@contextmanager
def _unpack(owner: User, file: IO[bytes]) -> Iterator[tuple[Unpacked, IO[bytes]]]:
    """The images in the file store, and the rows with their addresses."""
    with open_archive(file) as archive, store.scratch() as source, store.scratch() as rows:
        shortages.require_room(2 * archive.size(archive.rows) + sum(map(archive.size, archive.names)))
        _copy(archive, source)
        unpacked = _keep_images(owner, archive, _names_in(source))
        _note(unpacked, archive)
        source.seek(0)
        for line in Lines(source, None):
            # One that is too long was cut, and stays too long.
            rows.write(_with_addresses(owner, line, unpacked.files) + (b" \n" if line.too_long else b"\n"))
        rows.seek(0)
        yield unpacked, rows


def _copy(archive: Archive, target: IO[bytes]) -> None:
    with archive.open(archive.rows) as member:
        while chunk := member.read(CHUNK):
            target.write(chunk)
    target.seek(0)


def _names_in(source: IO[bytes]) -> list[str]:
    """Each once, in the order of the rows."""
    names: dict[str, None] = {}
    for line in Lines(source, None):
        names.update((image.address, None) for image in _images_of(line)[1])
    return list(names)


def _images_of(line: Line) -> tuple[dict[str, Any], list[RowImage]]:
    """The row, and those of its images that it has by name: what is wrong with a row is said when it is checked."""
    try:
        value, complaint = read_json("{}" if line.too_long else line.data.decode())
    except UnicodeDecodeError:
        return {}, []
    images = [] if complaint else read_object(value)[1].images
    return value, [image for image in images if ":" not in image.address.partition("/")[0]]


def _keep_images(owner: User, archive: Archive, names: list[str]) -> Unpacked:
    unpacked, found = Unpacked(), dict[str, str]()
    until = monotonic() + LONGEST_SECONDS
    with Batch(SIDE) as batch:
        for name in names:
            member = archive.find(name)
            if not member:
                continue
            if monotonic() > until:
                words = {"minutes": LONGEST_SECONDS // 60, "name": shorten(member)}
                raise DatasetRejected(
                    _(
                        "Opening the images took longer than %(minutes)d minutes and was stopped at %(name)s. Scale the"
                        " images down, or split the zip file."
                    )
                    % words
                )
            if member not in found:
                found[member] = _keep_image(owner, archive, member, batch, unpacked)
            if found[member]:
                unpacked.files[name] = found[member]
            else:
                unpacked.refused[name] = unpacked.refused[member]
    return unpacked


def _keep_image(owner: User, archive: Archive, member: str, batch: Batch, unpacked: Unpacked) -> str:
    """Its file; nothing, with the reason by the name of the member, for one that cannot be used."""
    # One byte more than may be tells that it is too large.
    content = archive.read(member, LARGEST_FILE + 1)
    try:
        image = batch.clean(content, shorten(member))
    except ImageRefused as error:
        unpacked.refused[member] = (str(error), _("Then upload the zip file again."))
        return ""
    unpacked.turned += image.is_turned
    return kept.save(owner.pk, image, hashlib.sha256(image.content).hexdigest())


def _with_addresses(owner: User, line: Line, files: dict[str, str]) -> bytes:
    """As it is where it names no image that came along."""
    value, images = _images_of(line)
    known = [image for image in images if image.address in files]
    if not known:
        return line.data
    for image in known:
        file = files[image.address]
        address = places.address(owner.pk, file)
        for name in ("url", *ADDRESSES):
            if name in image.source:
                image.source[name] = address
        for name in KINDS:
            if name in image.source:
                image.source[name] = places.type_of(file)
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()


def _note(unpacked: Unpacked, archive: Archive) -> None:
    count = len(set(unpacked.files.values()))
    unpacked.notes.append(
        ngettext("%(count)d image came with the rows.", "%(count)d images came with the rows.", count)
        % {"count": count}
    )
    if turned := unpacked.turned:
        sentence = ngettext(
            "%(count)d image was turned upright, as its camera had noted.",
            "%(count)d images were turned upright, as their cameras had noted.",
            turned,
        )
        unpacked.notes.append(sentence % {"count": turned})
    asked = {archive.find(name) for name in (*unpacked.files, *unpacked.refused)}
    if unused := [name for name in archive.names if name not in asked]:
        words = {"count": len(unused), "names": ", ".join(map(shorten, unused[:NAMED]))}
        sentence = ngettext(
            "%(count)d file of the zip file is in no row and was left out: %(names)s.",
            "%(count)d files of the zip file are in no row and were left out, such as %(names)s.",
            len(unused),
        )
        unpacked.notes.append(sentence % words)
