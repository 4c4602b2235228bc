"""Which console this is, what it is made of, and its documentation."""

import platform
from pathlib import Path

import django
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.presenters.health.documents import (
    DOCS,
    documents,
    language_of,
    render_document,
)
from console.web.http import ConsoleRequest

NOTICES: Path = settings.BASE_DIR / "THIRD_PARTY_NOTICES.md"
IMAGE_TYPES = {".png": "image/png", ".webp": "image/webp"}


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    context = {
        "version": settings.VERSION,
        "python": platform.python_version(),
        "django": django.get_version(),
        "notices": render_document(NOTICES)[1] if NOTICES.is_file() else "",
        "documents": [
            (slug, language_of(slug), render_document(path)[0])
            for slug, path in documents().items()
            if path.parent == DOCS
        ],
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


def pictures() -> dict[str, Path]:
    folder = DOCS / "images"
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.suffix in IMAGE_TYPES}
