"""Choosing a folder of Cloud Storage: as a dialog beside a field, or as a page of its own where there are no scripts.

What a worker found is drawn; a page that nobody looked at lately is asked for, and comes when it is there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy
from django.views.decorators.http import require_safe

from console.forms.settings import DefaultsForm
from console.presenters.catalogue import weights
from console.presenters.tuning.wizard.output_form import output_form
from console.web.http import ConsoleRequest, hx_redirect, page_or_fragment, wants_fragment
from jobs import tasks
from jobs.errors import NotAllowedNow
from jobs.models import StorageListing, TuningDraft
from jobs.models.fields.uris import canonical, parse_gs_uri
from jobs.services.storage import browsing

PAGE = "storage/browse.html"
LONGEST_NAME = 200


@dataclass(frozen=True)
class Into:
    """The field that the folder is for. `back` is the page that has it; `form` draws the field with a value."""

    query: dict[str, str]
    name: str
    title: str | Promise
    back: str
    form: Callable[[str], forms.Form]

    def url(self, view: str, **values: str) -> str:
        return f"{reverse(view)}?{urlencode({**self.query, **values})}"

    def page_with(self, uri: str) -> str:
        return f"{self.back}{'&' if '?' in self.back else '?'}{urlencode({self.name: uri})}"


def into_of(request: ConsoleRequest) -> Into:
    asked = request.GET.get("into", "")
    if asked == "output":
        return into_output(request)
    if asked == "weights":
        back = f"{reverse('model-garden')}?action=deploy-weights"
        return Into(
            {"into": asked},
            "artifact_uri",
            gettext_lazy("Model source"),
            back,
            lambda uri: weights.form_of([], uri=uri),
        )
    if asked == "defaults":
        return Into(
            {"into": asked}, "output_prefix", gettext_lazy("Output folder"), reverse("settings-defaults"),
            lambda uri: DefaultsForm(None, initial={"output_prefix": uri}, machines=[]),
        )  # fmt: skip
    raise Http404(f"{asked} is no field that takes a folder.")


def into_output(request: ConsoleRequest) -> Into:
    try:
        pk = UUID(request.GET.get("draft", ""))
    except ValueError:
        raise Http404("The draft is not named.") from None
    draft = get_object_or_404(TuningDraft.objects.visible_to(request.user).open(), pk=pk)
    return Into(
        {"into": "output", "draft": str(pk)}, "output_uri", gettext_lazy("Output directory"),
        reverse("tuning-draft", args=[pk, "output"]),
        lambda uri: output_form(initial={"output_uri": uri}, draft=draft, user=request.user),
    )  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """`url` empty: a folder whose name no path may have."""

    name: str
    url: str


@dataclass(frozen=True)
class Found:
    name: str
    size: int
    updated: datetime | None


@dataclass(frozen=True)
class Browser:
    """What is seen of one page of a folder; an empty `uri` is the list of buckets. A dialog stays one, by `panel`."""

    into: Into
    uri: str
    page: StorageListing
    now: datetime
    is_dialog: bool = False
    may_choose: bool = True

    @property
    def is_late(self) -> bool:
        return self.page.is_awaited and self.now - self.page.asked_at > browsing.PATIENCE

    @property
    def is_awaited(self) -> bool:
        return self.page.is_awaited and not self.is_late

    @property
    def here(self) -> str:
        return self._at(self.uri, page=self.page.page_token)

    @property
    def again(self) -> str:
        return self._at(self.uri, page=self.page.page_token, again="1")

    @property
    def poll(self) -> str:
        return self._at(self.uri, page=self.page.page_token, poll="1")

    @property
    def following(self) -> str:
        return self._at(self.uri, page=self.page.next_token) if self.page.next_token else ""

    @property
    def first(self) -> str:
        return self._at(self.uri) if self.page.page_token else ""

    @property
    def choose(self) -> str:
        return self.into.url("storage-choose", **self._panel, uri=self.uri) if self.uri and self.may_choose else ""

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """(name, address) of every folder above, the buckets first; the last one is here."""
        found = [(_("Buckets"), self._at(""))]
        parts = self.uri.removeprefix("gs://").split("/") if self.uri else []
        for place, name in enumerate(parts):
            found.append((name, self._at("gs://" + "/".join(parts[: place + 1]))))
        return found

    @property
    def folders(self) -> list[Entry]:
        below = f"{self.uri}/" if self.uri else "gs://"
        return [
            Entry(name, self._at(f"{below}{name}") if usable(f"{below}{name}") else "") for name in self.page.folders
        ]

    @property
    def files(self) -> list[Found]:
        return [
            Found(one["name"], one["size"], parse_datetime(one["updated"] or "")) for one in self.page.objects_found
        ]

    @property
    def _panel(self) -> dict[str, str]:
        return {"panel": "1"} if self.is_dialog else {}

    def _at(self, uri: str, **values: str) -> str:
        kept = {name: value for name, value in {**self._panel, "uri": uri, **values}.items() if value}
        return self.into.url("storage-browse", **kept)


def usable(uri: str) -> bool:
    try:
        parse_gs_uri(uri)
    except ValueError:
        return False
    return True


def folder_of(text: str) -> str:
    """As the form has it, in one spelling. Raises ValueError with a sentence; nothing is the list of buckets."""
    bare = text.strip().rstrip("/")
    if bare in ("", "gs:"):
        return ""
    return canonical(bare)


@require_safe
def browse(request: ConsoleRequest) -> HttpResponse:
    """A path that was typed wrong, or not to its end, begins with the buckets, and says why."""
    into, problem = into_of(request), ""
    try:
        uri = folder_of(start_address(request, into))
    except ValueError as error:
        uri, problem = "", str(error)
    part = "dialog" if request.GET.get("panel") == "open" else "browser"
    return render_folder(request, into, uri, part, problem)


def start_address(request: ConsoleRequest, into: Into) -> str:
    """What stands in the field is where to begin; a folder for an output is a new one, so the one above it is."""
    if "uri" in request.GET:
        return request.GET["uri"]
    typed = request.GET.get(into.name, "").rstrip("/")
    return typed.rpartition("/")[0] if into.name == "output_uri" and typed.count("/") > 2 else typed


def render_folder(
    request: ConsoleRequest, into: Into, uri: str, part: str, problem: str = "", status: int = 200
) -> HttpResponse:
    now, token = timezone.now(), request.GET.get("page", "").replace("\x00", "")[:1500]
    wanted = {"again": "again" in request.GET, "polls": "poll" in request.GET}
    try:
        page, is_asked = browsing.ask(request.user, uri, token, now, **wanted)
    except NotAllowedNow as error:
        return render_folder(request, into, "", part, str(error), status)
    if is_asked:
        tasks.enqueue_after_commit(tasks.list_storage, listing_id=str(page.pk))
    context: dict[str, Any] = {
        "browser": Browser(
            into, uri, page, now, is_dialog="panel" in request.GET, may_choose=browsing.may_look(request.user, uri)
        ),
        "problem": problem,
        "typed": request.GET.get("name", ""),
        "keeps_focus": "poll" in request.GET,
    }
    return page_or_fragment(request, PAGE, part, context, status=status)


@require_safe
def choose(request: ConsoleRequest) -> HttpResponse:
    """The folder, or a new one in it by `name`, into its field: a folder is there as soon as something lies in it."""
    into, name = into_of(request), request.GET.get("name")
    uri = request.GET.get("uri", "")
    try:
        chosen = folder_of(uri if name is None else below(uri, name))
    except ValueError as error:
        return render_folder(request, into, folder_of(uri) if usable(uri) else "", "browser", str(error), status=422)
    if not wants_fragment(request):
        return hx_redirect(request, into.page_with(chosen))
    field = into.form(chosen)[into.name]
    field.field.widget.attrs["autofocus"] = True
    return render(request, "storage/chosen.html", {"field": field})


def below(uri: str, name: str) -> str:
    name = name.strip().strip("/")
    if not name:
        raise ValueError(_("Enter a name for the new folder."))
    if len(name) > LONGEST_NAME:
        raise ValueError(_("A folder name can have at most %d characters.") % LONGEST_NAME)
    return f"{uri.rstrip('/')}/{name}" if uri else f"gs://{name}"
