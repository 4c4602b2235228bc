"""Makes a stranger's picture harmless: `sandbox/image.py KIND SIDE`, the file on stdin, a line of JSON and bytes out.
`sandbox/image.py many SIDE` takes one after another: of each a line of JSON and its bytes, in and out.

A program of its own, started by its path for one picture, or for those of one person. Whatever a decoder can be talked
into happens within these limits: no file, socket or process can be opened, and what comes out is pixels that were drawn
anew, without metadata.
"""

import copy
import io
import json
import resource
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from PIL import ExifTags, Image, ImageColor, ImageMode, ImagePalette, TiffImagePlugin
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

# What Pillow imports only once it needs it: no file can be opened by then.
LATER = (copy, ExifTags, ImageColor, ImageMode, ImagePalette, TiffImagePlugin)
MEGABYTE = 2**20
MEMORY = 400 * MEGABYTE
CPU_SECONDS = 5
# Of all pictures together, where one child opens many.
CPU_SECONDS_OF_MANY = 600
LARGEST_RESULT = 6 * MEGABYTE
LARGEST_PNG = MEGABYTE // 2
MAX_PIXELS = 24_000_000
# Its decoder keeps three copies of the picture.
MAX_WEBP_PIXELS = 16_000_000
MIN_PIXELS = 8
MANY = "many"
ORIENTATION = 0x0112
KINDS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "PNG": PngImageFile,
    "JPEG": JpegImageFile,
    "WEBP": WebPImageFile,
    "GIF": GifImageFile,
}
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Refused(Exception):
    """`str(error)` is a word that the console turns into a sentence."""


def limit(hard: int = 0) -> None:
    """`hard`: seconds of the processor that cannot be passed, however the limit of one picture is moved."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, hard or CPU_SECONDS + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_RESULT, LARGEST_RESULT))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    with suppress(ValueError):  # macOS takes no limit below what is mapped already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def open_image(content: bytes, kind: str) -> Image.Image:
    """By the class of its kind, so that no other format is ever tried; not decoded yet."""
    image = KINDS[kind](io.BytesIO(content))
    if image.width * image.height > (MAX_WEBP_PIXELS if kind == "WEBP" else MAX_PIXELS):
        raise Refused("pixels")
    return image


def shrink(image: Image.Image, side: int) -> Image.Image:
    """At most `side` long, turned as it is to be seen, opaque: what is transparent is white."""
    scale = min(1, side / max(image.size))
    if min(image.size) * scale < MIN_PIXELS:
        raise Refused("narrow")
    image = with_true_colours(image)
    image.thumbnail((side, side), Image.Resampling.BICUBIC)
    if image.mode == "I":
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    turn = TURNS.get(orientation(image))
    if image.mode == "RGBA":
        below = Image.new("RGB", image.size, "white")
        below.paste(image, mask=image.getchannel("A"))
        image = below
    image = image.convert("RGB")
    return image.transpose(turn) if turn is not None else image


def with_true_colours(image: Image.Image) -> Image.Image:
    """In a mode that can be scaled: indices into a palette cannot. `image` gives its memory back once it is copied,
    since scaling what is transparent makes a third copy."""
    wanted = image.mode
    if image.mode.startswith("I"):
        wanted = "I"
    elif image.mode in {"P", "LA", "PA", "La", "RGBa"} or "transparency" in image.info:
        wanted = "RGBA"
    elif image.mode == "1":
        wanted = "L"
    if wanted == image.mode and "transparency" not in image.info:
        return image
    converted = image.convert(wanted)
    image.close()
    return converted


def orientation(image: Image.Image) -> Any:
    with suppress(Exception):
        return image.getexif().get(ORIENTATION)
    return None


def encode(image: Image.Image, kind: str) -> tuple[str, bytes]:
    """Drawings stay exact as long as they are small."""
    clean, content = Image.new("RGB", image.size), io.BytesIO()
    clean.paste(image)
    if kind in {"PNG", "GIF"}:
        clean.save(content, "PNG")
        if content.tell() <= LARGEST_PNG:
            return "image/png", content.getvalue()
        content = io.BytesIO()
    clean.save(content, "JPEG", quality=90, subsampling=0)
    return "image/jpeg", content.getvalue()


def clean_image(content: bytes, kind: str, side: int, *, still: bool = False) -> tuple[dict[str, Any], bytes]:
    """`still`: one with several frames is refused; otherwise the first is drawn."""
    try:
        opened = open_image(content, kind)
        if still and getattr(opened, "n_frames", 1) > 1:
            raise Refused("animated")
        is_turned = orientation(opened) in TURNS
        image = shrink(opened, side)
        content_type, result = encode(image, kind)
    except Refused as error:
        return {"refused": str(error)}, b""
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return {"refused": "pixels"}, b""
    except MemoryError:
        return {"refused": "heavy"}, b""
    except Exception:
        return {"refused": "broken"}, b""
    head = {"content_type": content_type, "width": image.width, "height": image.height, "turned": is_turned}
    return head, result


def answer(head: dict[str, Any], result: bytes) -> None:
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + result)
    sys.stdout.flush()


def clean_many(side: int) -> None:
    """Until the input ends. Each has the processor time of one that is alone."""
    limit(CPU_SECONDS_OF_MANY)
    while asked := sys.stdin.buffer.readline():
        known = json.loads(asked)
        content = sys.stdin.buffer.read(known["size"])
        used = resource.getrusage(resource.RUSAGE_SELF)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime) + CPU_SECONDS, CPU_SECONDS_OF_MANY))
        head, result = clean_image(content, known["kind"], side, still=True)
        if len(result) > LARGEST_RESULT:
            head, result = {"refused": "heavy"}, b""
        answer({**head, "size": len(result)}, result)


def main() -> None:
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    kind, side = sys.argv[1], int(sys.argv[2])
    Image.preinit()
    if kind == MANY:
        clean_many(side)
        return
    limit()
    answer(*clean_image(sys.stdin.buffer.read(), kind, side))


if __name__ == "__main__":
    main()
