"""What the dialog that browses Cloud Storage shows."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django import forms
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from jobs.models import StorageListing
from jobs.models.fields.uris import canonical, parse_gs_uri
from jobs.services.storage import browsing

LONGEST_NAME = 200


@dataclass(frozen=True)
class Into:
    """The field that the folder, or the file, is for. `back` is the page that has it; `form` draws the field with a
    value, by the name `field` if the form has a prefix."""

    query: dict[str, str]
    name: str
    title: str | Promise
    back: str
    form: Callable[[str], forms.Form]
    field: str = ""
    takes_files: bool = False

    def url(self, view: str, **values: str) -> str:
        return f"{reverse(view)}?{urlencode({**self.query, **values})}"

    def page_with(self, uri: str) -> str:
        return f"{self.back}{'&' if '?' in self.back else '?'}{urlencode({self.name: uri})}"


@dataclass(frozen=True)
class Entry:
    """`url` empty: a folder whose name no path may have."""

    name: str
    url: str


@dataclass(frozen=True)
class Found:
    """`url` chooses it; empty where folders are chosen, or no path may have its name."""

    name: str
    size: int
    updated: datetime | None
    url: str = ""


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
        may_choose = self.uri and self.may_choose and not self.into.takes_files
        return self.into.url("storage-choose", **self._panel, uri=self.uri) if may_choose else ""

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
            Found(one["name"], one["size"], parse_datetime(one["updated"] or ""), self._choice(one["name"]))
            for one in self.page.objects_found
        ]

    def _choice(self, name: str) -> str:
        uri = f"{self.uri}/{name}"
        is_choice = self.into.takes_files and usable(uri)
        return self.into.url("storage-choose", **self._panel, uri=uri) if is_choice else ""

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


def below(uri: str, name: str) -> str:
    name = name.strip().strip("/")
    if not name:
        raise ValueError(_("Enter a name for the new folder."))
    if len(name) > LONGEST_NAME:
        raise ValueError(_("A folder name can have at most %d characters.") % LONGEST_NAME)
    return f"{uri.rstrip('/')}/{name}" if uri else f"gs://{name}"
