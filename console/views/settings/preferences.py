from typing import Final

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from console.context_processors import THEME_COOKIE, THEMES
from console.web.http import HtmxRequest, hx_redirect, safe_next
from jobs.models import Theme
from jobs.services.accounts import preferences

YEAR: Final = 365 * 24 * 3600


def remember(response: HttpResponse, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=YEAR, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE, httponly=True)


@require_POST
@login_not_required
def save(request: HtmxRequest) -> HttpResponse:
    """Theme and language belong to the account and to the browser, so that the sign-in page has them, too."""
    theme, language = request.POST.get("theme", ""), request.POST.get("language", "")
    chosen = {"theme": theme if theme in Theme.values else "", "language": valid_language(language)}
    chosen = {name: value for name, value in chosen.items() if value}
    if chosen and request.user.is_authenticated:
        preferences.save(request.user, **chosen)
    return set_cookies(hx_redirect(request, safe_next(request, "dashboard")), **chosen)


def set_cookies(response: HttpResponse, *, theme: str = "", language: str = "") -> HttpResponse:
    if theme in THEMES:
        remember(response, THEME_COOKIE, theme)
    elif theme:
        response.delete_cookie(THEME_COOKIE)
    if language:
        remember(response, settings.LANGUAGE_COOKIE_NAME, language)
    return response


def valid_language(code: str) -> str:
    return code if code in dict(settings.LANGUAGES) else ""
