"""The frames of one answer that is being written, without a clock and without a thread.

A frame has the fields that console/web/streams.py joins: `data` is added for good, `draft` takes the place of the
unfinished block, `text` goes on with the draft.
"""

import re
from collections.abc import Mapping
from uuid import UUID

from django.utils.html import escape

from .blocks import BlockRenderer

SHORT_LINE = 6

_MARKS = re.compile(r"""[^\w\s,.;:!?'"()%/…–-]|_""")
_ENDS = re.compile(r"(?:</(?:p|li|ul|ol|blockquote|h[1-6])>\s*|</code></pre>\s*)+$")
_FENCES = ("```", "~~~")


class Drawing:
    def __init__(self, message_id: UUID) -> None:
        self.undrawn = ""
        self._done, self._tail = f"#reply-{message_id}-done", f"#reply-{message_id}-tail"
        self._renderer = BlockRenderer()
        self._place = self._gap = self._sent = self._lost = ""
        self._is_code, self._is_held, self.is_lost = False, True, False

    def add(self, text: str) -> str:
        """What shows it at once at the end of the draft; empty if it has to be drawn."""
        if not text:
            return ""
        self.undrawn += text
        shown, self._gap = self._gap + text, ""
        self._is_held = self._is_held or not self._goes_on(shown)
        return "" if self._is_held else partial(self._place, "beforeend", escape(shown))

    def _goes_on(self, text: str) -> bool:
        """With the line, or in code with the block."""
        return not set("`~") & set(text) if self._is_code else "\n" not in text

    @property
    def is_right(self) -> bool:
        """It would be drawn as it is shown: only words were added to a line."""
        if self._is_held or self._is_code or _MARKS.search(self.undrawn):
            return False
        return len(self._renderer.rest.rpartition("\n")[2]) + len(self.undrawn) >= SHORT_LINE

    def draw(self) -> dict[str, str]:
        done, tail = self._renderer.feed(self.undrawn)
        self.undrawn, rest = "", self._renderer.rest
        self._is_code = tail.endswith("</code></pre>\n")
        self._gap = "" if self._is_code else rest[len(rest.rstrip()) :]
        ends = _ENDS.search(tail)
        self._is_held = ends is None or "\n" in self._gap or (self._is_code and not self._is_open(tail, rest))
        self._place = self._tail + " > :last-child" * (ends[0].count("</") if ends else 0)
        self._sent, self._lost, self.is_lost = self._lost + done, "", False
        fields = {"data": partial(self._done, "beforeend", self._sent)} if self._sent else {}
        return fields | {"draft": partial(self._tail, "innerMorph", tail)}

    @staticmethod
    def _is_open(code: str, source: str) -> bool:
        """More of this code can follow what is shown of it: the line is neither its beginning nor ended for it."""
        line = source.rpartition("\n")[2]
        return not line.lstrip().startswith(_FENCES) and not (line and code.endswith("\n</code></pre>\n"))

    def lose(self, fields: Mapping[str, str]) -> None:
        """These did not arrive: what was for good is sent again, and nothing goes on with what is shown."""
        self._lost = self._sent if "data" in fields else self._lost
        self._is_held = self.is_lost = True


def partial(target: str, swap: str, html: str) -> str:
    return f'<hx-partial hx-target="{target}" hx-swap="{swap}">{html}</hx-partial>'
