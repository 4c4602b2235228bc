"""Which pictures are taken, in a chat and in a training row: checked by their headers, before anything is decoded."""

import base64
import binascii
import hashlib
import io
import warnings
from typing import Any

from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
IMAGES = "images"
MAX_PIXELS = 24_000_000


class ImageError(ValueError):
    """The message continues a sentence that starts with the place of the picture."""


def place_of(part: dict[str, Any]) -> object:
    """Where the picture of a message's part is: OpenAI's way to write it, or Gemini's."""
    image, file = part.get("image_url"), part.get("fileData", part.get("file_data"))
    if isinstance(image, dict):
        return image.get("url")
    return file.get("fileUri", file.get("file_uri")) if isinstance(file, dict) else None


def is_stored(place: object) -> bool:
    return isinstance(place, str) and place.startswith("gs://")


def file_name_of(uri: str) -> str:
    """The file of a `gs://` picture in the folder `IMAGES` beside the training rows."""
    return hashlib.sha256(uri.encode()).hexdigest()


def data_of(url: object) -> bytes:
    """The bytes inside a data: URI. A server that fetches addresses for strangers is a hole in a firewall."""
    if not isinstance(url, str) or not url.startswith("data:image/"):
        raise ImageError("must be a data: URI or a gs:// path of an image; addresses are never fetched")
    head, separator, data = url.partition(",")
    if not separator or not head.endswith(";base64"):
        raise ImageError("must be base64 (data:image/png;base64,…)")
    return decode_base64(data)


def decode_base64(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise ImageError("is not valid base64") from None


def open_image(content: bytes, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    """Not decoded yet: that happens at the first use, and may raise OSError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=formats)
    except Image.DecompressionBombError:
        raise ImageError(f"has more than {MAX_PIXELS:,} pixels") from None
    except (OSError, ValueError, SyntaxError):
        raise ImageError(f"is not a {', '.join(formats[:-1])} or {formats[-1]} image") from None
    if picture.width * picture.height > MAX_PIXELS:
        raise ImageError(f"has more than {MAX_PIXELS:,} pixels")
    return picture
