"""Which console this is, what it is made of, and its documentation."""

import platform
import re
from functools import cache
from pathlib import Path

import django
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console.web.http import ConsoleRequest
from jobs.text import markdown

DOCS: Path = settings.BASE_DIR / "docs"
NOTICES: Path = settings.BASE_DIR / "THIRD_PARTY_NOTICES.md"
# Long lines are scrolled by keyboard, too.
SCROLLED = '<pre tabindex="0" '
IMAGE_TYPES = {".png": "image/png", ".webp": "image/webp"}
PICTURE = re.compile(r"^!\[(.*)\]\(images/(\S+)\)$", re.MULTILINE)
DOCUMENT_LINK = re.compile(r'href="([\w.-]+)\.md"')


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    context = {
        "version": settings.VERSION,
        "python": platform.python_version(),
        "django": django.get_version(),
        "notices": render_document(NOTICES)[1] if NOTICES.is_file() else "",
        "documents": [(slug, language_of(slug), render_document(path)[0]) for slug, path in documents().items()],
    }
    return render(request, "settings/about.html", context)


@require_safe
def document(request: ConsoleRequest, slug: str) -> HttpResponse:
    path = documents().get(slug)
    if path is None:
        raise Http404
    title, text = render_document(path)
    return render(request, "settings/document.html", {"title": title, "text": text, "language": language_of(slug)})


@require_safe
def picture(request: ConsoleRequest, name: str) -> HttpResponse:
    path = pictures().get(name)
    if path is None:
        raise Http404
    return HttpResponse(path.read_bytes(), content_type=IMAGE_TYPES[path.suffix])


def documents() -> dict[str, Path]:
    """By name: what is asked for is looked up, and never made into a path."""
    return {path.stem: path for path in sorted(DOCS.glob("*.md"))}


def pictures() -> dict[str, Path]:
    folder = DOCS / "images"
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.suffix in IMAGE_TYPES}


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
