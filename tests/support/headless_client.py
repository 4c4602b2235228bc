"""A browser without a screen: follows links, sends forms with all that they carry, reads event streams."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


class Page(HTMLParser):
    """The forms, links and data attributes of one page; `text` is all that a person would read."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.response = response
        self.url = str(response.url)
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self._form: Form | None = None
        self._named: dict[str, Form] = {}
        self._select = ""
        self._textarea = ""
        self._silent = 0
        self._form_ids: dict[str, Form] = {}
        self.feed(response.text)

    def form(self, ending: str) -> Form:
        found = [form for form in self.forms if form.action.split("?")[0].endswith(ending)]
        if not found:
            raise LookupError(f"{self.url} has no form to …{ending}, only to {[form.action for form in self.forms]}")
        return found[0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.attributes.append((tag, given))
        handler = getattr(self, f"_start_{tag}", None)
        if handler:
            handler(given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""
        elif tag in {"script", "style", "template"}:
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        if self._textarea and self._form:
            typed = self._form.fields[self._textarea]
            # As browsers do: the line break after the tag is none of the text.
            self._form.fields[self._textarea] = typed + data if typed else data.removeprefix("\n")
        elif not self._silent:
            self.text += data

    def _owner(self, given: dict[str, str]) -> Form | None:
        return self._form_ids.get(given["form"]) if "form" in given else self._form

    def _start_script(self, given: dict[str, str]) -> None:
        self._silent += 1

    _start_style = _start_template = _start_script

    def _start_a(self, given: dict[str, str]) -> None:
        self.links.append(given.get("href", ""))

    def _start_form(self, given: dict[str, str]) -> None:
        self._form = Form(given.get("action") or self.url, given.get("method", "get").lower())
        self.forms.append(self._form)
        if "id" in given:
            self._form_ids[given["id"]] = self._form

    def _start_input(self, given: dict[str, str]) -> None:
        form, name, kind = self._owner(given), given.get("name", ""), given.get("type", "text")
        if form is None or not name:
            return
        if kind == "file":
            form.files.append(name)
        elif kind in {"checkbox", "radio"}:
            form.choices.setdefault(name, []).append(given.get("value", "on"))
            if "checked" in given:
                form.fields[name] = given.get("value", "on")
        elif kind not in {"submit", "button"}:
            form.fields[name] = given.get("value", "")

    def _start_select(self, given: dict[str, str]) -> None:
        self._select = given.get("name", "")

    def _start_option(self, given: dict[str, str]) -> None:
        if self._form and self._select:
            known = self._form.choices.setdefault(self._select, [])
            known.append(given.get("value", ""))
            if "selected" in given or len(known) == 1:
                self._form.fields[self._select] = given.get("value", "")

    def _start_textarea(self, given: dict[str, str]) -> None:
        if self._form and given.get("name"):
            self._textarea = given["name"]
            self._form.fields[self._textarea] = ""


class Visitor:
    def __init__(self, address: str, verify: bool = True) -> None:
        self.client = httpx.Client(base_url=address, follow_redirects=True, timeout=60, trust_env=False, verify=verify)

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: Any) -> None:
        self.client.close()

    def get(self, url: str) -> Page:
        return self._page(self.client.get(url))

    def submit(self, page: Page, ending: str, files: dict[str, Path] | None = None, **values: Any) -> Page:
        form = page.form(ending)
        url = httpx.URL(page.url).join(form.action)
        data = {**form.fields, **values}
        headers = {"Referer": page.url, "Origin": str(self.client.base_url).rstrip("/")}
        if form.method == "get":
            return self._page(self.client.get(url, params=data))
        opened = {name: (path.name, path.read_bytes()) for name, path in (files or {}).items()}
        return self._page(self.client.post(url, data=data, files=opened or None, headers=headers))

    def sign_in(self, link: str) -> Page:
        """The link's page may ask for a click, so that nothing which only looks at it uses it up."""
        page = self.get(link)
        token = link.rstrip("/").rpartition("/")[2]
        if any(token in form.action for form in page.forms):
            page = self.submit(page, f"{token}/")
        return page

    def events(self, url: str) -> Iterator[tuple[str, str]]:
        """(event, data) as they come, until the server ends the stream."""
        with self.client.stream("GET", url, headers={"Accept": "text/event-stream"}, timeout=120) as response:
            response.raise_for_status()
            event, data = "", []
            for line in response.iter_lines():
                if line.startswith("event:"):
                    event = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].removeprefix(" "))
                elif not line and (event or data):
                    yield event, "\n".join(data)
                    event, data = "", []

    def wait_for(self, url: str, words: tuple[str, ...], patience: float, pause: float = 0.5) -> Page:
        """Reads a page until it shows one of these words."""
        until = time.monotonic() + patience
        while True:
            page = self.get(url)
            if any(word in page.text for word in words):
                return page
            if time.monotonic() > until:
                raise TimeoutError(f"{url} did not show {words} within {patience} s:\n{page.text[-3000:]}")
            time.sleep(pause)

    @staticmethod
    def _page(response: httpx.Response) -> Page:
        if response.status_code >= 400 and response.status_code != 422:
            raise RuntimeError(
                f"{response.request.method} {response.url} answered {response.status_code}:\n{response.text[:2000]}"
            )
        return Page(response)
