from dataclasses import dataclass, field, replace

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext, gettext_lazy as _

from console.web.streams import live_ticket
from jobs import shortages
from jobs.models import AccountPreference, Theme, bell_of, preference_of

THEMES = (Theme.LIGHT, Theme.DARK)
THEME_COOKIE = "theme"


@dataclass(frozen=True, slots=True)
class Item:
    view: str
    label: str | Promise
    icon: str
    key: str = ""
    also: tuple[str, ...] = ()
    url: str = ""
    current: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    title: str | Promise
    entries: tuple[Item, ...] = field(default=())


NAVIGATION = (
    Section("", (Item("dashboard", _("Dashboard"), "dashboard", "d"),)),
    Section(
        _("Models"),
        (
            Item("model-garden", _("Model Garden"), "potted_plant", "m", ("/publishers/",)),
            Item("tuning-list", _("Tuning"), "model_training", "t"),
            Item("tuned-models", _("Tuned models"), "deployed_code"),
            Item("endpoint-list", _("Endpoints"), "dns", "e", ("/elsewhere/",)),
        ),
    ),
    Section(
        _("Studio"),
        (
            Item("chat", _("Chat"), "chat", "c"),
            Item("compare", _("Compare"), "compare", "p"),
            Item("dataset-list", _("Datasets"), "dataset", "a"),
        ),
    ),
    Section(
        _("Manage"),
        (
            Item("notifications", _("Notifications"), "notifications", "b"),
            Item("settings", _("Settings & status"), "settings", "s"),
        ),
    ),
)


def place_item(item: Item, path: str) -> Item:
    url = reverse(item.view)
    inside = path == url if url == "/" else path.startswith((url, *item.also))
    return replace(item, url=url, current=inside)


def navigation(path: str) -> list[Section]:
    return [
        replace(section, entries=tuple(place_item(item, path) for item in section.entries)) for section in NAVIGATION
    ]


def project() -> dict[str, str]:
    if settings.VERTEX_API_ENDPOINT:
        return {"title": gettext("Local Vertex AI"), "hint": gettext("Everything runs on this computer")}
    title = settings.VERTEX_PROJECT or gettext("No project")
    return {"title": title, "hint": f"{title} · {settings.VERTEX_LOCATION}"}


def theme_of(request: HttpRequest, wanted: str = "") -> str:
    """Empty means: as the system has it. What the account says goes before what the browser remembers."""
    theme = wanted or request.COOKIES.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def live_url(request: HttpRequest) -> str:
    assert request.user.pk is not None
    return f"/streams/live?ticket={live_ticket(request.user.pk, request.session.session_key)}"


def shell(request: HttpRequest) -> dict[str, object]:
    """What `base.html` needs on every page; a person who has not signed in gets no navigation and no live stream.

    Lazy, because most answers are fragments that show none of it.
    """
    user = getattr(request, "user", None)
    signed_in = user is not None and user.is_authenticated
    own = preference_of(user) if user is not None and signed_in else AccountPreference()
    context: dict[str, object] = {
        "theme": theme_of(request, own.theme),
        "own": own,
        "project": SimpleLazyObject(project),
        "is_local": bool(settings.VERTEX_API_ENDPOINT),
        "home_url": reverse("dashboard"),
        "request_id": getattr(request, "id", ""),
        "shortage": shortages.present,
    }
    if signed_in:
        context["nav"] = SimpleLazyObject(lambda: navigation(request.path))
        context["bell"] = SimpleLazyObject(lambda: bell_of(request.user))
        context["drawn_at"] = SimpleLazyObject(lambda: timezone.now().isoformat())
        context["live_url"] = SimpleLazyObject(lambda: live_url(request))
    return context
