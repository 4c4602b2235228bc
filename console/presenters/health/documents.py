"""The documents that come with the console."""

import re
from functools import cache, partial
from os.path import normpath
from pathlib import Path

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.text import markdown

PICTURE = re.compile(r"^!\[(.*)\]\(images/(\S+)\)$", re.MULTILINE)
DOCUMENT_LINK = re.compile(r'href="([\w./-]+)\.md(#[\w-]*)?"')
HEADING = re.compile(r"<(h[2-6])>(.*?)</\1>")
MARKUP = re.compile(r"<[^>]+>|&\w+;")
DOCS: Path = settings.BASE_DIR / "docs"
# Long lines are scrolled by keyboard, too.
SCROLLED = '<pre tabindex="0" '


def documents() -> dict[str, Path]:
    """By name: what is asked for is looked up, and never made into a path. Decision records are `adr/…`."""
    found = (*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("adr/*.md")))
    return {path.relative_to(DOCS).with_suffix("").as_posix(): path for path in found}


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
    html = HEADING.sub(_name_heading, html)
    html = DOCUMENT_LINK.sub(partial(_lead_to_page, path.parent), html)
    return first.lstrip("# ").strip(), SafeString(html)  # noqa: S308  # cut down to an allowlist there


def _render_image(text: str, name: str) -> str:
    """`markdown` loads no picture at all; these come with the console."""
    address = reverse("settings-picture", args=[name])
    return format_html('<p><img class="shot" src="{}" alt="{}" loading="lazy"></p>', address, text)


def _name_heading(heading: re.Match[str]) -> str:
    """With the id that GitHub gives it, so that a link works in both places."""
    name = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", MARKUP.sub("", heading[2]).lower()))
    return f'<{heading[1]} id="{name}">{heading[2]}</{heading[1]}>'


def _lead_to_page(folder: Path, link: re.Match[str]) -> str:
    slug = normpath(folder.relative_to(DOCS) / link[1]) if folder.is_relative_to(DOCS) else link[1]
    if slug not in documents():
        return link[0]
    return f'href="{reverse("settings-document", args=[slug])}{link[2] or ""}"'
