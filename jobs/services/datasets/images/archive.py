"""A zip file of a stranger: everything that could be wrong with it is found by its list, before anything is unpacked.

Raises DatasetRejected, whose text names the file in it and the remedy.
"""

import os
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import IO, NoReturn

from jobs.errors import DatasetRejected
from jobs.services.datasets import spec
from jobs.text.deferred import gettext as _
from jobs.text.printable import printable

BEGINNINGS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
MOST_FILES = 5000
LARGEST_UNPACKED = 200 * spec.MEGABYTE
# Of the list at the end, which is read as a whole: some bytes and a name for each file.
LARGEST_LIST = MOST_FILES * 400
ROWS = (".jsonl", ".ndjson")
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
# What programs add of their own accord.
CLUTTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
END, END_SIZE, LONGEST_COMMENT = b"PK\x05\x06", 22, 65535
LOCATOR, LOCATOR_SIZE = b"PK\x06\x07", 20
LONGEST_SHOWN = 120
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)


def is_zip(file: IO[bytes]) -> bool:
    """The file is at its start again afterwards."""
    file.seek(0)
    found = file.read(4).startswith(BEGINNINGS)
    file.seek(0)
    return found


class Archive:
    """`rows` is the name of the one file with rows; `names` are those of all others, to be read one by one."""

    def __init__(self, packed: zipfile.ZipFile) -> None:
        self._packed = packed
        self._members = dict(_list_files(packed))
        found = [name for name in self._members if name.lower().endswith(ROWS)]
        if not found:
            reject(_("The zip file has no file of rows. Add one that ends in .jsonl, with one JSON object per line."))
        if len(found) > 1:
            words = {"count": len(found), "first": shorten(found[0]), "second": shorten(found[1])}
            reject(
                _(
                    "The zip file has %(count)d files of rows, such as %(first)s and %(second)s. Put one in each zip"
                    " file."
                )
                % words
            )
        self.rows = found[0]
        self.names = [name for name in self._members if name != self.rows]

    def find(self, name: str) -> str:
        """The file that a row means by this name, looked for beside the rows and then from the top; or nothing."""
        plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
        beside = PurePosixPath(self.rows).parent
        for place in (beside / plain, PurePosixPath(plain)):
            found = os.path.normpath(place)
            if found in self._members and found != self.rows:
                return found
        return ""

    def size(self, name: str) -> int:
        return self._members[name].file_size

    def read(self, name: str, most: int) -> bytes:
        """At most so many bytes."""
        with self.open(name) as member:
            return member.read(most)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        try:
            with self._packed.open(self._members[name]) as member:
                yield member
        except UNREADABLE as error:
            words = {"name": shorten(name)}
            raise DatasetRejected(
                _("%(name)s in the zip file is damaged. Create the zip file again, then upload it.") % words
            ) from error


@contextmanager
def open_archive(file: IO[bytes]) -> Iterator[Archive]:
    _check_list(file)
    try:
        packed = zipfile.ZipFile(file)
    except UNREADABLE as error:
        raise DatasetRejected(_say_damaged()) from error
    with packed:
        yield Archive(packed)


def reject(sentence: str) -> NoReturn:
    raise DatasetRejected(sentence)


def shorten(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= LONGEST_SHOWN else f"…{shown[-LONGEST_SHOWN:]}"


def _say_damaged() -> str:
    return _("The zip file is damaged or incomplete. Create it again, then upload it.")


def _check_list(file: IO[bytes]) -> None:
    """How long it says that its list is, as zipfile looks for it. A list is read as a whole, before anything is known
    of it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - END_SIZE - LONGEST_COMMENT - LOCATOR_SIZE, 0))
    tail = file.read()
    file.seek(0)
    at = len(tail) - END_SIZE
    if at < 0 or tail[at : at + 4] != END or tail[-2:] != b"\0\0":
        at = tail.rfind(END)
    if at < 0 or len(tail) - at < END_SIZE:
        reject(_say_damaged())
    if tail[max(at - LOCATOR_SIZE, 0) : at].startswith(LOCATOR):
        reject(_("The zip file is in Zip64 format, for very large archives. Make an ordinary one."))
    count, length = struct.unpack("<HL", tail[at + 10 : at + 16])
    if count > MOST_FILES or length > LARGEST_LIST:
        reject(_say_too_many())


def _say_too_many() -> str:
    words = {"most": MOST_FILES}
    return (
        _("The zip file has too many files. The limit is %(most)d. Split it, or leave out what no row needs.") % words
    )


def _list_files(packed: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    members = packed.infolist()
    if len(members) > MOST_FILES:
        reject(_say_too_many())
    seen: set[str] = set()
    total = 0
    for member in members:
        _check_name(member)
        if member.is_dir() or _is_clutter(member.filename):
            continue
        name = unicodedata.normalize("NFC", os.path.normpath(member.filename))
        if name in seen:
            reject(_("The zip file has %s twice. Remove one of them.") % shorten(name))
        seen.add(name)
        _check_file(member, name)
        total += member.file_size
        if total > LARGEST_UNPACKED:
            words = {"limit": LARGEST_UNPACKED // spec.MEGABYTE, "name": shorten(name)}
            reject(
                _(
                    "With %(name)s, the files in the zip file have more than %(limit)d MB when they are unpacked. Scale"
                    " the images down, or split the zip file."
                )
                % words
            )
        yield name, member


def _check_name(member: zipfile.ZipInfo) -> None:
    """Of every entry, also of a folder: a name that leads somewhere else is no accident."""
    given = member.orig_filename.replace("\\", "/")
    if "\0" in given or given.startswith("/") or ".." in given.split("/") or given[1:2] == ":":
        reject(
            _("The name %s in the zip file leads out of it. Create the zip file from inside the folder.")
            % shorten(given)
        )


def _check_file(member: zipfile.ZipInfo, name: str) -> None:
    shown, kind = shorten(name), stat.S_IFMT(member.external_attr >> 16)
    if member.flag_bits & 0x41:
        reject(_("%s in the zip file is encrypted. Make the zip file without a password.") % shown)
    if kind not in (0, stat.S_IFREG):
        reject(_("%s in the zip file is a link or a device. Add the file itself.") % shown)
    if name.lower().endswith(ARCHIVES):
        reject(_("%s is an archive inside the zip file. Add the files in it themselves.") % shown)
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        reject(_("%s is compressed in a way that can't be read here. Make an ordinary zip file.") % shown)
    if name.lower().endswith(ROWS) and (reason := spec.why_too_large(member.file_size)):
        reject(f"{shown}: {reason}")


def _is_clutter(name: str) -> bool:
    return any(part in CLUTTER or part.startswith("._") for part in name.split("/"))
