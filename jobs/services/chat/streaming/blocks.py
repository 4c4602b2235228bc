"""Draws a growing answer block by block."""

import re

from jobs.text.markdown import answer

LONGEST_TAIL = 2_000
LONGEST_LIST = 500


class BlockRenderer:
    """Renders a growing text in linear time: blocks that cannot change any more once, the rest at each feed.

    The rest is kept short: a list is cut between two items beyond 500 characters, any other block at a line or a space
    beyond 2000. The seam may show until the whole answer is rendered at its end.
    """

    def __init__(self) -> None:
        self.rest = ""
        self._fence = ""

    def feed(self, text: str) -> tuple[str, str]:
        """(HTML of the blocks that have just become final, HTML of the unfinished rest)."""
        self.rest += text
        cut, fence = self._boundary()
        done = self._render(self.rest[:cut]) if cut else ""
        self.rest, self._fence = self.rest[cut:], fence
        return done, self._render(self.rest)

    def _render(self, text: str) -> str:
        opened = f"{self._fence}\n{text}" if self._fence else text
        return answer(opened) if text.strip() else ""

    def _boundary(self) -> tuple[int, str]:
        """Where the final part ends, and the fence that is open there. Looks at whole lines only."""
        position, cut, item, fence, cut_fence, blank = 0, 0, 0, self._fence, self._fence, False
        for line in self.rest.splitlines(keepends=True):
            if not line.endswith("\n"):
                if blank and not fence and _starts_block(line):
                    cut, cut_fence = position, ""
                break
            if fence:
                if _closes(line, fence):
                    fence = ""
                    cut, cut_fence = position + len(line), ""
            else:
                if blank and _starts_block(line):
                    cut, cut_fence = position, ""
                item = position if _LIST.match(line) else item
                fence = _open_fence(line)
            blank = not line.strip() and not fence
            position += len(line)
        if len(self.rest) - cut > LONGEST_TAIL:
            return self._force_split(position, fence)
        if len(self.rest) - cut > LONGEST_LIST and item > cut:
            return item, ""
        return cut, cut_fence

    def _force_split(self, lines_end: int, fence: str) -> tuple[int, str]:
        """`lines_end` is where the last whole line ends; in a fence only a line end will do."""
        if lines_end:
            return lines_end, fence
        space = self.rest.rfind(" ", 0, len(self.rest) - 1) + 1
        if fence:
            return 0, fence
        return (space or len(self.rest)), fence


_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_LIST = re.compile(r"([-*+]|\d{1,9}[.)])(\s|$)")


def _open_fence(line: str) -> str:
    found = _FENCE.match(line.rstrip("\r\n"))
    return found[1] + found[2] if found else ""


def _closes(line: str, fence: str) -> bool:
    marker = fence[: len(fence) - len(fence.lstrip(fence[0]))]
    text = line.strip()
    return set(text) == {marker[0]} and len(text) >= len(marker) and line.startswith((marker[0], " "))


def _starts_block(line: str) -> bool:
    """A line after a blank one that no earlier list or quote can claim."""
    return bool(line.strip()) and not line[0].isspace() and not _LIST.match(line) and not line.startswith(">")
