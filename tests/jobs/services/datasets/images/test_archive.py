import io
import stat
import struct
import zipfile
from collections.abc import Callable

import pytest

from jobs.errors import DatasetRejected
from jobs.services.datasets import spec
from jobs.services.datasets.images import archive
from jobs.services.datasets.images.archive import MOST_FILES, open_archive
from tests.support.zips import lines, make_row, pack

pytestmark = pytest.mark.threat("T13")
ROWS = lines(make_row("a.png"))
GOOD: dict[str, bytes | str] = {"rows.jsonl": ROWS, "a.png": b"a"}
NESTED = "%s is an archive inside the zip file. Add the files in it themselves."
DAMAGED = "The zip file is damaged or incomplete. Create it again, then upload it."
MANY = f"The zip file has too many files. The limit is {MOST_FILES}. Split it, or leave out what no row needs."
OUT = "The name %s in the zip file leads out of it. Create the zip file from inside the folder."
LINK = "%s in the zip file is a link or a device. Add the file itself."


def info(name: str, mode: int = 0, **values: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    for field, value in values.items():
        setattr(made, field, value)
    return made


def with_name(name: str) -> bytes:
    return pack([("rows.jsonl", ROWS), (info(name), b"a")])


def overwrite(content: bytes, at: int, data: bytes) -> bytes:
    return content[:at] + data + content[at + len(data) :]


def encrypt() -> bytes:
    """The mark in both places of its last file."""
    content = pack(GOOD)
    local, listed = content.rfind(b"PK\x03\x04"), content.rfind(b"PK\x01\x02")
    return overwrite(overwrite(content, local + 6, b"\1"), listed + 8, b"\1")


def bomb() -> bytes:
    """Thirty files of ten megabytes each in some hundred kilobytes."""
    zeros = b"\0" * (10 * spec.MEGABYTE)
    return pack([("rows.jsonl", ROWS), *((f"{number}.png", zeros) for number in range(30))])


def claims(count: int, length: int) -> bytes:
    """What the end of the file says of the list."""
    content = pack(GOOD)
    return overwrite(content, content.rfind(b"PK\x05\x06") + 10, struct.pack("<HL", count, length))


def with_zip64() -> bytes:
    content = pack(GOOD)
    at = content.rfind(b"PK\x05\x06")
    return content[:at] + b"PK\x06\x07" + bytes(16) + content[at:]


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "a name with dots": (lambda: with_name("../a.png"), OUT % "../a.png"),
    "dots in the middle": (lambda: with_name("a/../../b.png"), OUT % "a/../../b.png"),
    "a name from the root": (lambda: with_name("/etc/passwd"), OUT % "/etc/passwd"),
    "a name of Windows": (lambda: with_name("..\\a.png"), OUT % "../a.png"),
    "a drive of Windows": (lambda: with_name("C:/a.png"), OUT % "C:/a.png"),
    "a link": (lambda: pack([("rows.jsonl", ROWS), (info("a.png", stat.S_IFLNK), "/etc/passwd")]), LINK % "a.png"),
    "a device": (lambda: pack([("rows.jsonl", ROWS), (info("a.png", stat.S_IFCHR), "")]), LINK % "a.png"),
    "the rows a link": (lambda: pack([(info("rows.jsonl", stat.S_IFLNK), "/a")]), LINK % "rows.jsonl"),
    "encrypted": (encrypt, "a.png in the zip file is encrypted. Make the zip file without a password."),
    "a zip in it": (lambda: pack({**GOOD, "b.ZIP": b"PK"}), NESTED % "b.ZIP"),
    "a tar in it": (lambda: pack({**GOOD, "b.tar.gz": b"x"}), NESTED % "b.tar.gz"),
    "lzma": (
        lambda: pack([("rows.jsonl", ROWS), (info("a.png", compress_type=zipfile.ZIP_LZMA), b"a")]),
        "a.png is compressed in a way that can't be read here. Make an ordinary zip file.",
    ),
    "no rows": (
        lambda: pack({"a.png": b"a"}),
        "The zip file has no file of rows. Add one that ends in .jsonl, with one JSON object per line.",
    ),
    "an empty one": (
        lambda: pack({}),
        "The zip file has no file of rows. Add one that ends in .jsonl, with one JSON object per line.",
    ),
    "two of rows": (
        lambda: pack({**GOOD, "b/more.jsonl": ROWS}),
        "The zip file has 2 files of rows, such as rows.jsonl and b/more.jsonl. Put one in each zip file.",
    ),
    "thousands": (lambda: pack([("rows.jsonl", ROWS), *((f"{n}.png", b"") for n in range(MOST_FILES))]), MANY),
    "a list that is said to be long": (lambda: claims(2, 2**31), MANY),
    "a list that is said to have many": (lambda: claims(65535, 90), MANY),
    "zip64": (with_zip64, "The zip file is in Zip64 format, for very large archives. Make an ordinary one."),
    "cut off": (lambda: pack(GOOD)[:-30], DAMAGED),
    "only its beginning": (lambda: b"PK\x03\x04", DAMAGED),
    "a list that is none": (lambda: overwrite(pack(GOOD), pack(GOOD).rfind(b"PK\x01\x02"), b"XXXX"), DAMAGED),
    "a bomb": (
        bomb,
        "With 19.png, the files in the zip file have more than 200 MB when they are unpacked. Scale the images down, or"
        " split the zip file.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_it_is_refused_by_its_list(what: str) -> None:
    make, sentence = BAD[what]
    with pytest.raises(DatasetRejected) as caught, open_archive(io.BytesIO(make())):
        pass
    assert str(caught.value) == sentence


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twice", [("a.png", "a.png"), ("a.png", "./a.png"), ("\u00e4.png", "a\u0308.png")])
def test_a_name_that_is_there_twice(twice: tuple[str, str]) -> None:
    content = io.BytesIO(pack([("rows.jsonl", ROWS), (twice[0], b"1"), (twice[1], b"2")]))
    with pytest.raises(DatasetRejected) as caught, open_archive(content):
        pass
    name = twice[0].removeprefix("./")
    assert str(caught.value) == f"The zip file has {name} twice. Remove one of them."


def test_a_damaged_file_is_named_when_it_is_read() -> None:
    content = pack([("rows.jsonl", ROWS), ("a.png", bytes(range(256)) * 9)])
    content = overwrite(content, content.find(b"a.png") + 20, b"\xff\xff\xff")
    with open_archive(io.BytesIO(content)) as found, pytest.raises(DatasetRejected) as caught:
        found.read("a.png", 10_000)
    assert str(caught.value) == "a.png in the zip file is damaged. Create the zip file again, then upload it."


def test_files_are_found_beside_the_rows_and_from_the_top() -> None:
    names = ("set/rows.jsonl", "set/images/a.png", "b.png", "set/\u00e4.png", "__MACOSX/._b.png", ".DS_Store", "set/")
    with open_archive(io.BytesIO(pack([(name, b"") for name in names]))) as found:
        assert (found.rows, found.names) == (names[0], list(names[1:4]))
        asked_for = ("images/a.png", "./images/a.png", "images\\a.png", "set/images/a.png", "b.png", "../b.png",
                     "a\u0308.png", "a.png", "/b.png", "rows.jsonl", "images", "")  # fmt: skip
        assert [found.find(name) for name in asked_for] == [
            *["set/images/a.png"] * 4, "b.png", "b.png", "set/\u00e4.png", *[""] * 5,
        ]  # fmt: skip


def test_other_files_are_no_zips() -> None:
    files = (pack(GOOD), pack({}), b'{"prompt"', b"PK is not", b"")
    assert [archive.is_zip(io.BytesIO(content)) for content in files] == [True, True, False, False, False]
