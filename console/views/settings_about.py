"""Which console this is, what it is made of, and its documentation."""

import platform
from functools import cache
from pathlib import Path

import django
from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from console.http import ConsoleRequest
from jobs import markup

DOCS: Path = settings.BASE_DIR / "docs"
NOTICES: Path = settings.BASE_DIR / "THIRD_PARTY_NOTICES.md"
# Long lines are scrolled by keyboard, too.
SCROLLED = '<pre tabindex="0" '


@require_safe
def index(request: ConsoleRequest) -> HttpResponse:
    context = {
        "version": settings.VERSION,
        "python": platform.python_version(),
        "django": django.get_version(),
        "notices": rendered(NOTICES)[1] if NOTICES.is_file() else "",
        "documents": [(path.stem, rendered(path)[0]) for path in documents().values()],
    }
    return render(request, "settings/about.html", context)


@require_safe
def document(request: ConsoleRequest, slug: str) -> HttpResponse:
    path = documents().get(slug)
    if path is None:
        raise Http404
    title, text = rendered(path)
    return render(request, "settings/document.html", {"title": title, "text": text})


def documents() -> dict[str, Path]:
    """By name: what is asked for is looked up, and never made into a path."""
    return {path.stem: path for path in sorted(DOCS.glob("*.md"))}


@cache
def rendered(path: Path) -> tuple[str, SafeString]:
    """The title and the rest. The files do not change while the console runs."""
    first, _line, rest = path.read_text(encoding="utf-8").partition("\n")
    text = markup.render(rest).replace("<pre ", SCROLLED)
    return first.lstrip("# ").strip(), SafeString(text)  # noqa: S308  # cut down to an allowlist there
