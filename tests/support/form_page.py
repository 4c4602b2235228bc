"""One form of a page, as a browser fills it in and sends it without running any script."""

from html.parser import HTMLParser
from typing import Any


class FormPage(HTMLParser):
    """`values`: what would be sent now, by the names of the fields."""

    def __init__(self, html: str, form_id: str) -> None:
        super().__init__()
        self.form_id, self.values = form_id, dict[str, Any]()
        self._is_inside, self._select, self._area = False, "", ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        name = found.get("name") or ""
        if tag == "form":
            self._is_inside = found.get("id") == self.form_id
        if not self._is_inside or "disabled" in found or "form" in found:
            return
        if tag == "input" and name:
            self._input(name, found)
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in found or self._select not in self.values):
            self.values[self._select] = found.get("value") or ""
        elif tag == "textarea":
            self._area = name
            self.values[name] = ""

    def _input(self, name: str, found: dict[str, Any]) -> None:
        kind = found.get("type", "text")
        if kind not in {"file", "submit"} and (kind not in {"checkbox", "radio"} or "checked" in found):
            self.values[name] = found.get("value") or ("on" if kind == "checkbox" else "")

    def handle_data(self, data: str) -> None:
        if self._area:
            self.values[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            self.values[self._area] = "\r\n".join(self.values[self._area].removeprefix("\n").splitlines())
            self._area = ""
        elif tag == "select":
            self._select = ""
        elif tag == "form":
            self._is_inside = False
