"""More than 300 files that mean harm. The beginning of a name says what must come of it:

`refused-` never a picture; `cleaned-` a picture whose message EVIL is gone; `any-` one of the two.
"""

import gzip
import io
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from PIL import Image, ImageDraw, PngImagePlugin

EVIL = b"EVIL<script>alert(1)</script>"
MAGIC = {
    "PNG": b"\x89PNG\r\n\x1a\n",
    "JPEG": b"\xff\xd8\xff\xe0",
    "WEBP": b"RIFF\x00\x10\x00\x00WEBP",
    "GIF": b"GIF89a",
}
HUGE = (65535, 30000, 12000, 6001)
Files = Iterator[tuple[str, bytes]]


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def drawing(mode: str = "RGB", size: tuple[int, int] = (64, 48)) -> Image.Image:
    picture = Image.effect_noise(size, 60).convert("RGB")
    ImageDraw.Draw(picture).rectangle((8, 8, 30, 30), "red")
    return picture.convert(mode)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def chunks(png: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Where each begins, its name and the length of its data."""
    at = 8
    while at < len(png):
        length = struct.unpack_from(">I", png, at)[0]
        yield at, png[at + 4 : at + 8], length
        at += length + 12


def with_chunk(png: bytes, *added: bytes) -> bytes:
    """Right behind the header."""
    return png[:33] + b"".join(added) + png[33:]


def png_of(width: int, height: int, *, depth: int = 8, colour: int = 2, data: bytes = b"\x78\x9c") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return MAGIC["PNG"] + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def zeros(size: int) -> bytes:
    """A zlib stream of so many zeros, made without holding them."""
    packer, block = zlib.compressobj(9), bytes(2**20)
    parts = [packer.compress(block) for _ in range(size // 2**20)]
    return b"".join(parts) + packer.compress(bytes(size % 2**20)) + packer.flush()


def bases() -> dict[str, bytes]:
    options: dict[str, dict[str, Any]] = {"WEBP": {"lossless": True}}
    return {kind: saved(drawing(), kind, **options.get(kind, {})) for kind in MAGIC}


def broken() -> Files:
    chance = random.Random(7)
    for kind, content in bases().items():
        for number in range(12):
            yield f"any-truncated-{kind}-{number}", content[: 8 + number * len(content) // 12]
        for number in range(14):
            damaged = bytearray(content)
            for _ in range(1 + number):
                damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
            yield f"any-damaged-{kind}-{number}", bytes(damaged)
        for number in range(6):
            yield f"any-random-{kind}-{number}", MAGIC[kind] + chance.randbytes(10 ** (1 + number % 5))
    png = bases()["PNG"]
    for at, name, length in chunks(png):
        end = at + 8 + length
        verdict = "any" if name in {b"IDAT", b"IEND"} else "refused"
        yield f"{verdict}-crc-{name.decode()}-{at}", png[:end] + bytes([png[end] ^ 1]) + png[end + 1 :]


def other_types() -> Files:
    svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    texts = {
        "svg": svg,
        "svg-xml": b"<?xml version='1.0'?>" + svg,
        "svg-bom": b"\xef\xbb\xbf" + svg,
        "svgz": gzip.compress(svg),
        "html": b"<!doctype html>" + EVIL,
        "html-comment": b"<!-- GIF89a -->" + EVIL,
        "js": b"alert(1)//",
        "empty": b"",
        "text": b"hello",
        "zero": bytes(64),
        "pdf": b"%PDF-1.7\n" + EVIL,
        "ps": b"%!PS-Adobe-3.0 EPSF-3.0\n(x) run",
        "elf": b"\x7fELF" + bytes(60),
        "mz": b"MZ" + bytes(60),
        "php": b"<?php system('id');",
        "mvg": b"push graphic-context",
        "json": b'{"a": 1}',
        "xbm": b"#define x_width 1\n#define x_height 1\nstatic char x_bits[] = {0};",
        "xpm": b'/* XPM */\nstatic char *x[] = {"1 1 1 1"};',
        "fits": b"SIMPLE  =                    T" + b" " * 80,
        "psd": b"8BPS\x00\x01" + bytes(40),
        "jp2": b"\x00\x00\x00\x0cjP  \r\n\x87\n",
        "jxl": b"\x00\x00\x00\x0cJXL \r\n\x87\n",
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(40),
        "emf": b"\x01\x00\x00\x00" + bytes(36) + b" EMF",
        "pcx": b"\n\x05\x01\x08" + bytes(124),
        "mpg": b"\x00\x00\x01\xb3" + bytes(8),
        "wasm": b"\x00asm\x01",
        "riff-wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
        "gz": gzip.compress(EVIL),
        "space-png": b" " + bases()["PNG"],
        "nul-jpeg": b"\x00" + bases()["JPEG"],
        "gif-lower": b"gif89a" + bytes(20),
    }
    for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis", b"mp42", b"qt  ", b"crx "):
        texts[f"ftyp-{brand.decode().strip()}"] = b"\x00\x00\x00\x18ftyp" + brand + bytes(40)
    for name, content in texts.items():
        yield f"refused-type-{name}", content
    for kind in ("BMP", "TIFF", "ICO", "PPM", "TGA", "DDS", "ICNS", "SGI", "PCX", "JPEG2000"):
        yield f"refused-kind-{kind}", saved(drawing(), kind)
    frames = [drawing() for _ in range(20)]
    yield "refused-kind-tiff-frames", saved(frames[0], "TIFF", save_all=True, append_images=frames[1:])


def archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as made:
        made.writestr("EVIL.html", EVIL)
    return content.getvalue()


def polyglots() -> Files:
    for kind, content in bases().items():
        yield f"cleaned-tail-html-{kind}", content + EVIL
        yield f"cleaned-tail-zip-{kind}", content + archive()
        yield f"cleaned-tail-pdf-{kind}", content + b"\n%PDF-1.4 " + EVIL
    png = bases()["PNG"]
    yield "cleaned-zip-in-png", with_chunk(png, chunk(b"zIPc", archive()))
    yield "cleaned-text-in-png", with_chunk(png, chunk(b"tEXt", b"Comment\x00" + EVIL))
    yield "cleaned-itxt-in-png", with_chunk(png, chunk(b"iTXt", b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + EVIL))
    yield "cleaned-jpeg-comment", saved(drawing(), "JPEG", comment=EVIL)
    yield "cleaned-gif-comment", saved(drawing(), "GIF", comment=EVIL)
    yield "cleaned-jpeg-icc", saved(drawing(), "JPEG", icc_profile=EVIL * 20)
    yield "cleaned-webp-xmp", saved(drawing(), "WEBP", xmp=EVIL)
    yield "cleaned-webp-icc", saved(drawing(), "WEBP", icc_profile=EVIL)
    yield "any-gif-js", b"GIF89a/*" + bases()["GIF"][8:] + b"*/=1;alert(1)"


def sizes() -> Files:
    for number in HUGE:
        for colour, depth in ((2, 8), (0, 1), (3, 8), (6, 16)):
            verdict = "refused" if number > 6000 else "any"
            yield f"{verdict}-size-png-{number}-{colour}", png_of(number, number, depth=depth, colour=colour)
    for width, height in (
        (0, 0),
        (0, 9),
        (9, 0),
        (2**31 - 1, 1),
        (1, 2**31 - 1),
        (1, 65535),
        (65535, 1),
        (2**32 - 1, 2**32 - 1),
    ):
        yield f"refused-size-png-{width}x{height}", png_of(width, height)
    for width, height in ((1, 1), (7, 7), (1, 2000), (2000, 1), (3000, 9)):
        yield f"refused-narrow-{width}x{height}", saved(Image.new("RGB", (width, height)), "PNG")
    gif, jpeg = bases()["GIF"], bases()["JPEG"]
    frame = jpeg.index(b"\xff\xc0") + 5
    for number in HUGE:
        yield f"refused-size-gif-{number}", gif[:6] + struct.pack("<HH", number, number) + gif[10:]
        yield f"refused-size-jpeg-{number}", jpeg[:frame] + struct.pack(">HH", number, number) + jpeg[frame + 4 :]
    inner = gif.index(b"\x2c") + 5
    yield "any-gif-frame-beyond-the-screen", gif[:inner] + struct.pack("<HH", 65535, 65535) + gif[inner + 4 :]


def bombs() -> Files:
    yield "refused-bomb-png-bits", saved(Image.new("1", (20000, 20000)), "PNG")
    yield "refused-bomb-png-grey", saved(Image.new("L", (13000, 13000)), "PNG")
    yield "refused-bomb-webp", saved(Image.new("RGB", (16383, 2000)), "WEBP", quality=1, method=0)
    yield "refused-bomb-gif", saved(Image.new("P", (9000, 9000)), "GIF")
    yield "refused-bomb-jpeg", saved(Image.new("L", (9000, 9000)), "JPEG")
    yield "cleaned-full-rgba", saved(Image.new("RGBA", (6000, 4000), (9, 9, 9, 99)), "PNG", compress_level=1)
    yield "cleaned-full-key", saved(Image.new("RGB", (6000, 4000)), "PNG", compress_level=1, transparency=(0, 0, 0))
    yield "cleaned-full-webp", saved(Image.new("RGBA", (4000, 4000), (9, 9, 9, 99)), "WEBP", quality=1, method=0)
    yield "cleaned-full-sixteen-bits", saved(Image.new("I;16", (6000, 4000), 30000), "PNG", compress_level=1)
    png, thick = bases()["PNG"], zeros(200 * 2**20)
    yield "refused-bomb-ztxt", with_chunk(png, chunk(b"zTXt", b"Comment\x00\x00" + thick))
    yield "refused-bomb-itxt", with_chunk(png, chunk(b"iTXt", b"Comment\x00\x01\x00\x00\x00" + thick))
    yield "any-bomb-icc", with_chunk(png, chunk(b"iCCP", b"icc\x00\x00" + thick))
    yield (
        "any-bomb-exif",
        with_chunk(png, chunk(b"eXIf", b"II*\x00\x08\x00\x00\x00\xff\xff" + b"\x12\x01\x03\x00" * 2**18)),
    )
    many = chunk(b"zTXt", b"Comment\x00\x00" + zeros(2**20 - 99))
    yield "any-bomb-many-texts", with_chunk(png, *[many] * 200)
    yield "any-bomb-idat", png_of(64, 48, data=thick)
    yield "any-many-chunks", with_chunk(png, *[chunk(b"tEXt", b"a\x00b")] * 20000)
    wave = saved(drawing(size=(1500, 1500)), "JPEG", progressive=True, quality=30)
    scan = wave.index(b"\xff\xda")
    yield "any-bomb-scans", wave[:scan] + wave[scan:-2] * 12
    yield "refused-large-file", bases()["PNG"] + bytes(10 * 2**20)


def exif(**values: Any) -> bytes:
    tags = Image.Exif()
    for name, value in values.items():
        tags[int(name[1:])] = value
    return tags.tobytes()


def exif_tricks() -> Files:
    for number in (*range(10), 255, 65535):
        for kind in ("JPEG", "PNG", "WEBP"):
            yield f"cleaned-exif-{number}-{kind}", saved(drawing(), kind, exif=exif(_274=number, _270=EVIL.decode()))
    odd = {
        "text": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x02\x00\x04\x00\x00\x00abc\x00" + bytes(4),
        "gps": exif(_34853={1: "N", 2: (1.0, 2.0, 3.0)}),
        "long": exif(_37510=EVIL * 2000),
        "garbage": b"Exif\x00\x00" + b"\xff" * 300,
        "short": b"Exif\x00\x00II*",
        "loop": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00",
        "count": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\x12\x01\x04\x00\xff\xff\xff\xff" * 40,
        "big": b"Exif\x00\x00MM\x00\x2b" + bytes(40),
    }
    for name, tags in odd.items():
        yield f"cleaned-exif-{name}", saved(drawing(), "JPEG", exif=tags)


def odd_modes() -> Files:
    for mode in ("CMYK", "L"):
        yield f"cleaned-mode-jpeg-{mode}", saved(drawing(mode), "JPEG")
    for mode in ("1", "L", "LA", "P", "RGBA", "I;16"):
        yield f"cleaned-mode-png-{mode}", saved(drawing("L" if mode == "I;16" else mode).convert(mode), "PNG")
    yield "cleaned-palette-transparent", saved(drawing("P"), "PNG", transparency=bytes(range(256)))
    yield "cleaned-palette-key", saved(drawing("P"), "PNG", transparency=3)
    yield "cleaned-grey-key", saved(drawing("L"), "PNG", transparency=3)
    yield "cleaned-progressive", saved(drawing(), "JPEG", progressive=True)
    row = b"\x00" + bytes(64 * 6)
    yield "cleaned-sixteen-bit-colours", png_of(64, 48, depth=16, data=zlib.compress(row * 48))
    yield (
        "cleaned-sixteen-bit-alpha",
        png_of(48, 48, depth=16, colour=6, data=zlib.compress((b"\x00" + bytes(48 * 8)) * 48)),
    )
    frames = [drawing() for _ in range(60)]
    for kind in ("GIF", "WEBP", "PNG"):
        yield f"cleaned-animated-{kind}", saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=20)
    info = PngImagePlugin.PngInfo()
    info.add_itxt("Author", EVIL.decode(), zip=True)
    yield "cleaned-png-author", saved(drawing(), "PNG", pnginfo=info, dpi=(10, 10))


def all_files() -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for family in (broken, other_types, polyglots, sizes, bombs, exif_tricks, odd_modes):
        for name, content in family():
            assert name not in found, name
            found[name] = content
    return found
