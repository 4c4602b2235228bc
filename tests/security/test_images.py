"""Files that pretend to be pictures, are something else as well, or carry more: refused, or drawn anew."""

import io
import random
import resource
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image, PngImagePlugin

from jobs.errors import ImageRefused
from jobs.models import Picture
from jobs.sandbox import image
from jobs.services.image_files import image_file
from jobs.services.image_files.image_file import CleanImage, clean
from tests.support.share import one_of

SIDE = 896
HTML = b"<html><script>alert(document.domain)</script>"
MARK = b"canary-of-the-owner"
PNG = b"\x89PNG\r\n\x1a\n"
RANDOM_SEED = 12


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, data: bytes, *more: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """With a header that says anything."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"".join([PNG, head, *more, chunk(b"IDAT", data), chunk(b"IEND", b"")])


def zeros(count: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(
        [*(packer.compress(bytes(min(2**20, count - at))) for at in range(0, count, 2**20)), packer.flush()]
    )


def drawn(kind: str, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    content = io.BytesIO()
    noise = random.Random(RANDOM_SEED).randbytes(size[0] * size[1] * 3)
    Image.frombytes("RGB", size, noise).save(content, kind, **options)
    return content.getvalue()


def gif(width: int, height: int) -> bytes:
    content = bytearray(drawn("GIF"))
    content[6:10] = struct.pack("<HH", width, height)
    return bytes(content)


def jpeg(width: int, height: int) -> bytes:
    content = bytearray(drawn("JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(content)


def webp(width: int, height: int) -> bytes:
    body = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + (width - 1).to_bytes(3, "little")
    body += (height - 1).to_bytes(3, "little") + drawn("WEBP")[12:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", size := len(data)) + data + b"\0" * (size % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_orientation(content: bytes, value: Any) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = value
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(tags.tobytes()) + 2) + tags.tobytes() + content[2:]


REFUSED: dict[str, Callable[[], bytes]] = {
    "169 million pixels in a small file": lambda: png(13000, 13000, zeros(13000 * 13001), depth=8, colour=0),
    "more pixels than a number holds": lambda: png(2**31 - 1, 2**31 - 1, b"x"),
    "just over the limit": lambda: png(4900, 4900, b"x"),
    "one row for ever": lambda: png(24_000_000, 1, zeros(24_000_000)),
    "no width": lambda: png(0, 100, zeros(100)),
    "a text of 256 MB": lambda: png(64, 48, zeros(64 * 49 * 3), chunk(b"zTXt", b"a\0\0" + zeros(2**28))),
    "a text of 64 MB in another language": lambda: png(
        64, 48, zeros(10), chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(2**26))
    ),
    "a colour profile of 64 MB": lambda: png(64, 48, zeros(10), chunk(b"iCCP", b"a\0\0" + zeros(2**26))),
    "a chunk with no end": lambda: PNG + struct.pack(">I", 2**31 - 1) + b"IHDR" + bytes(100),
    "a thousand headers": lambda: PNG + chunk(b"IHDR", bytes(13)) * 1000,
    "a depth that is none": lambda: png(64, 48, zeros(64 * 49 * 3), depth=7),
    "a sum that is wrong": lambda: drawn("PNG").replace(b"IHDR", b"IHDS", 1),
    "a gif of four gigapixels": lambda: gif(65535, 65535),
    "a jpeg of four gigapixels": lambda: jpeg(65535, 65535),
    "a webp of 268 million pixels": lambda: webp(16384, 16384),
    "a webp that is nothing": lambda: riff((b"VP8 ", bytes(30))),
    "a webp of frames that are nothing": lambda: riff((b"VP8X", bytes(10)), (b"ANIM", bytes(6)), (b"ANMF", bytes(50))),
    "a jpeg without a picture": lambda: b"\xff\xd8\xff\xd9",
    "a jpeg of markers": lambda: b"\xff\xd8" + b"\xff\xe1\x00\x02" * 100_000,
    "a jpeg of segments that reach too far": lambda: b"\xff\xd8\xff\xe1\xff\xff" + b"x" * 100,
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "svg behind a byte order mark": lambda: b"\xef\xbb\xbf<?xml version='1.0'?><svg/>",
    "a page": lambda: HTML,
    "tiff": lambda: drawn("TIFF"),
    "bmp": lambda: drawn("BMP"),
    "ico": lambda: drawn("ICO"),
    "ppm": lambda: drawn("PPM"),
    "pcx": lambda: drawn("PCX"),
    "dds": lambda: b"DDS " + bytes(124),
    "psd": lambda: b"8BPS\0\1" + bytes(100),
    "jpeg 2000": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
    "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nsystem",
    "pdf": lambda: b"%PDF-1.7\n",
    "heic": lambda: b"\0\0\0\x18ftypheic" + bytes(100),
    "avif": lambda: b"\0\0\0\x18ftypavif" + bytes(100),
    "fli": lambda: bytes(4) + b"\x11\xaf" + bytes(200),
    "an archive": lambda: b"PK\3\4" + bytes(100),
    "a program": lambda: b"\x7fELF" + bytes(100),
    "a gzip of a picture": lambda: b"\x1f\x8b" + drawn("PNG"),
    "too large": lambda: PNG + bytes(image_file.LARGEST_FILE),
    "nothing": lambda: b"",
    "one byte": lambda: b"\x89",
    **{f"{kind} cut after {size}": lambda kind=kind, size=size: drawn(kind)[:size]  # type: ignore[misc]
       for kind in ("PNG", "JPEG", "GIF", "WEBP") for size in (12, 30)},
}  # fmt: skip
REDRAWN: dict[str, Callable[[], bytes]] = {
    "a page behind a png": lambda: drawn("PNG") + HTML,
    "a page behind a jpeg": lambda: drawn("JPEG") + HTML,
    "a page in the comment of a jpeg": lambda: drawn("JPEG", comment=HTML),
    "a page in the comment of a gif": lambda: drawn("GIF", comment=HTML),
    "a page in the text of a png": lambda: png(64, 48, zeros(64 * 49 * 3), chunk(b"tEXt", b"a\0" + HTML)),
    "a page in the profile of a jpeg": lambda: drawn("JPEG", icc_profile=HTML),
    "a script that is a gif": lambda: drawn("GIF") + b"=1;alert(1)//" + HTML,
    "an archive behind a png": lambda: drawn("PNG") + b"PK\3\4" + HTML,
    "a program behind a webp": lambda: drawn("WEBP") + b"\x7fELF" + HTML,
    "an orientation that is none": lambda: with_orientation(drawn("JPEG"), 99),
    "tags of rubbish": lambda: drawn("JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + HTML),
}
EXIF = Image.Exif()
EXIF[0x010F] = EXIF[0x013B] = EXIF[0x8298] = EXIF[0x010E] = MARK.decode()
EXIF.get_ifd(0x8825).update({1: "N", 2: (37.0, 33.0, 59.0), 29: MARK.decode()})
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + MARK + b"</x:xmpmeta>"
TEXTS = PngImagePlugin.PngInfo()
for name in ("Author", "Comment", "Location", "XML:com.adobe.xmp", "parameters"):
    TEXTS.add_itxt(name, MARK.decode())
TELLING: dict[str, bytes] = {
    "JPEG": drawn("JPEG", exif=EXIF, icc_profile=MARK, comment=MARK, xmp=XMP),
    "PNG": drawn("PNG", exif=EXIF, icc_profile=MARK, pnginfo=TEXTS),
    "WEBP": drawn("WEBP", exif=EXIF, icc_profile=MARK, xmp=XMP, lossless=True),
    "GIF": drawn("GIF", comment=MARK),
}


def open_it(content: bytes) -> CleanImage | None:
    try:
        return clean(io.BytesIO(content), size=len(content), name="it", side=SIDE)
    except ImageRefused:
        return None


@pytest.mark.threat("T10")
@pytest.mark.parametrize("name", one_of(3, REFUSED))
def test_it_is_refused_with_little_memory_and_soon(name: str) -> None:
    content = REFUSED[name]()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    assert open_it(content) is None
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert time.monotonic() - began < image_file.SECONDS
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < image.CPU_SECONDS
    assert after.ru_maxrss - before.ru_maxrss <= image.MEMORY // 1024
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - own < 20_000


@pytest.mark.threat("T11")
@pytest.mark.parametrize("name", REDRAWN)
def test_what_is_something_else_as_well_is_a_picture_only(name: str) -> None:
    made = open_it(REDRAWN[name]())
    assert made
    assert [word for word in (b"<html", b"script", b"PK\3\4", b"ELF", b"alert") if word in made.content] == []
    assert bare(made) == set()


@pytest.mark.threat("T11")
@pytest.mark.parametrize("kind", TELLING)
def test_nothing_is_left_of_what_a_camera_wrote_down(kind: str) -> None:
    assert MARK in TELLING[kind]
    made = open_it(TELLING[kind])
    assert made
    assert (MARK in made.content, bare(made)) == (False, set())


def bare(made: CleanImage) -> set[str]:
    """What there is besides pixels: chunks of PNG, segments and tags of JPEG."""
    if made.content_type == "image/png":
        return chunks_of(made.content) - {"IHDR", "IDAT", "IEND"}
    with Image.open(io.BytesIO(made.content)) as picture:
        known = {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        segments = {f"{name} {content[:20]!r}" for name, content in vars(picture)["applist"] if name != "APP0"}
        return {str(key) for key in {*picture.info} - known} | segments | {str(tag) for tag in picture.getexif()}


def chunks_of(content: bytes) -> set[str]:
    """Up to the very end of the file."""
    found, at = set(), len(PNG)
    while at < len(content):
        size = struct.unpack(">I", content[at : at + 4])[0]
        found.add(content[at + 4 : at + 8].decode("latin-1"))
        at += size + 12
    return found


@pytest.mark.threat("T10", "T11")
def test_pictures_with_bits_that_fell_over_are_refused_or_drawn_anew() -> None:
    chance = random.Random(RANDOM_SEED)
    print(f"seed {RANDOM_SEED}")
    for kind, whole in TELLING.items():
        for _ in range(4):
            content = bytearray(whole)
            for _ in range(chance.randrange(1, 20)):
                content[chance.randrange(16, len(content))] = chance.randrange(256)
            made = open_it(bytes(content[: chance.randrange(len(content) // 2, len(content))]))
            assert made is None or (MARK in made.content, bare(made)) == (False, set()), kind


@pytest.mark.django_db
@pytest.mark.threat("T11")
@pytest.mark.parametrize("name", ["a page behind a png", "a page in the comment of a jpeg", "a script that is a gif"])
@pytest.mark.parametrize("said", ["text/html", "image/svg+xml"])
def test_it_is_served_as_an_image_whatever_its_sender_calls_it(
    client: Client, owner: Any, name: str, said: str
) -> None:
    client.force_login(owner)
    file = SimpleUploadedFile('a.html"; x="', REDRAWN[name](), said)
    assert client.post("/studio/chat/pictures/", {"file": file}).status_code == 201
    picture = Picture.objects.get()
    answer = client.get(f"/studio/chat/pictures/{picture.pk}/?type={said}", headers={"Accept": said})
    ending = {"image/png": "png", "image/jpeg": "jpg"}[picture.content_type]
    assert answer["Content-Type"] == picture.content_type
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == f'inline; filename="picture.{ending}"'
    assert "sandbox" in answer["Content-Security-Policy"]
    assert HTML not in answer.content


@pytest.mark.django_db
@pytest.mark.threat("T10")
@pytest.mark.parametrize("name", ["169 million pixels in a small file", "a text of 256 MB", "svg", "PNG cut after 30"])
def test_the_page_refuses_it_with_a_sentence_and_keeps_nothing(client: Client, owner: Any, name: str) -> None:
    client.force_login(owner)
    answer = client.post("/studio/chat/pictures/", {"file": SimpleUploadedFile("a.png", REFUSED[name](), "image/png")})
    assert (answer.status_code, answer.content.startswith(b"<p>a.png "), Picture.objects.count()) == (422, True, 0)
