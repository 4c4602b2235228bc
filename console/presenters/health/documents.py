"""The documents that come with the console."""

import re
from functools import cache
from pathlib import Path

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.text import markdown

PICTURE = re.compile(r"^!\[(.*)\]\(images/(\S+)\)$", re.MULTILINE)
DOCUMENT_LINK = re.compile(r'href="([\w.-]+)\.md"')
DOCS: Path = settings.BASE_DIR / "docs"
# Long lines are scrolled by keyboard, too.
SCROLLED = '<pre tabindex="0" '


def documents() -> dict[str, Path]:
    """By name: what is asked for is looked up, and never made into a path."""
    return {path.stem: path for path in sorted(DOCS.glob("*.md"))}


def language_of(slug: str) -> str:
    return "ko" if slug.endswith(".ko") else "en"


@cache
def render_document(path: Path) -> tuple[str, SafeString]:
    """The title and the rest. The files do not change while the console runs."""
    first, _line, rest = path.read_text(encoding="utf-8").partition("\n")
    pieces = PICTURE.split(rest)
    texts = [markdown.render(piece).replace("<pre ", SCROLLED) for piece in pieces[::3]]
    shown = [_render_image(*pair) for pair in zip(pieces[1::3], pieces[2::3], strict=True)]
    html = "".join(piece for pair in zip(texts, [*shown, ""], strict=True) for piece in pair)
    html = DOCUMENT_LINK.sub(lambda link: f'href="{reverse("settings-document", args=[link[1]])}"', html)
    return first.lstrip("# ").strip(), SafeString(html)  # noqa: S308  # cut down to an allowlist there


def _render_image(text: str, name: str) -> str:
    """`markdown` loads no picture at all; these come with the console."""
    address = reverse("settings-picture", args=[name])
    return format_html('<p><img class="shot" src="{}" alt="{}" loading="lazy"></p>', address, text)
