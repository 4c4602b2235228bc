"""Image files of each kind, good ones, of 60 by 40 pixels."""

import io

from PIL import Image

SIZE, ORIENTATION, TURNED_RIGHT = (60, 40), 0x0112, 6


def draw(kind: str, **options: object) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", SIZE, "red").save(content, kind, **options)
    return content.getvalue()


def animate(kind: str) -> bytes:
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue", "green")]
    content = io.BytesIO()
    frames[0].save(content, kind, save_all=True, append_images=frames[1:], duration=100)
    return content.getvalue()


def turn() -> bytes:
    """A photo whose camera was held sideways, and noted that."""
    tags = Image.Exif()
    tags[ORIENTATION] = TURNED_RIGHT
    return draw("JPEG", exif=tags)
