"""What a model wrote, as HTML that cannot do anything.

Markdown is rendered with raw HTML switched off, then the result is cut down to an allowlist: the second step does not
trust the first. No image is ever loaded; links carry no referrer.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

LONGEST_HIGHLIGHTED = 20_000
LONGEST_TAIL = 2_000
LONGEST_LIST = 500

TAGS = frozenset({
    "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong",
    "s", "del", "a", "span", "table", "thead", "tbody", "tr", "th", "td",
})  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
ALIGNMENTS = frozenset({"align-left", "align-center", "align-right"})
CLASSES = {
    "span": frozenset(filter(None, STANDARD_TYPES.values())) | {"blocked-image"},
    "pre": frozenset({"code"}),
    "th": ALIGNMENTS,
    "td": ALIGNMENTS,
}
SCHEMES = frozenset({"http", "https", "mailto"})


def render(markdown: str) -> str:
    return nh3.clean(
        _parser().render(markdown),
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        allowed_classes={tag: set(names) for tag, names in CLASSES.items()},
        url_schemes=set(SCHEMES),
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "highlight": _highlight}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image)
    parser.add_render_rule("fence", _code)
    parser.add_render_rule("code_block", _code)
    for cell in ("th_open", "td_open"):
        parser.add_render_rule(cell, _cell)
    return parser


def _image(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    words = {"text": token.content, "host": _host(str(token.attrs.get("src", "")))}
    return f'<span class="blocked-image">{escape(_("Image “%(text)s” from %(host)s is not loaded") % words)}</span>'


def _host(address: str) -> str:
    try:
        return urlsplit(address).hostname or _("an embedded file")
    except ValueError:
        return _("an unreadable address")


def _code(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    language = token.info.split()[0] if token.info.strip() else ""
    return f'<pre class="code"><code>{_highlight(token.content, language, "")}</code></pre>\n'


def _highlight(code: str, language: str, _attributes: str) -> str:
    if not language or len(code) > LONGEST_HIGHLIGHTED:
        return escape(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return escape(code)
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))


def code(text: str, language: str) -> str:
    """Coloured by classes; the text is escaped."""
    return _highlight(text, language, "")


def _cell(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """The alignment as a class: the page's policy allows no style attribute."""
    token = tokens[index]
    side = re.search(r"left|center|right", str(token.attrs.get("style", "")))
    return f'<{token.tag} class="align-{side[0]}">' if side else f"<{token.tag}>"


class BlockRenderer:
    """Renders a growing text in linear time: blocks that cannot change any more once, the rest at each feed.

    The rest is kept short: a list is cut between two items beyond 500 characters, any other block at a line or a space
    beyond 2000. The seam may show until the whole answer is rendered at its end.
    """

    def __init__(self) -> None:
        self._rest = ""
        self._fence = ""

    def feed(self, text: str) -> tuple[str, str]:
        """(HTML of the blocks that have just become final, HTML of the unfinished rest)."""
        self._rest += text
        cut, fence = self._boundary()
        done = self._rendered(self._rest[:cut]) if cut else ""
        self._rest, self._fence = self._rest[cut:], fence
        return done, self._rendered(self._rest)

    def _rendered(self, text: str) -> str:
        opened = f"{self._fence}\n{text}" if self._fence else text
        return render(opened) if text.strip() else ""

    def _boundary(self) -> tuple[int, str]:
        """Where the final part ends, and the fence that is open there. Looks at whole lines only."""
        position, cut, item, fence, cut_fence, blank = 0, 0, 0, self._fence, self._fence, False
        for line in self._rest.splitlines(keepends=True):
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
                fence = _opened(line)
            blank = not line.strip() and not fence
            position += len(line)
        if len(self._rest) - cut > LONGEST_TAIL:
            return self._forced(position, fence)
        if len(self._rest) - cut > LONGEST_LIST and item > cut:
            return item, ""
        return cut, cut_fence

    def _forced(self, lines_end: int, fence: str) -> tuple[int, str]:
        """`lines_end` is where the last whole line ends; in a fence only a line end will do."""
        if lines_end:
            return lines_end, fence
        space = self._rest.rfind(" ", 0, len(self._rest) - 1) + 1
        if fence:
            return 0, fence
        return (space or len(self._rest)), fence


_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})(.*)")
_LIST = re.compile(r"([-*+]|\d{1,9}[.)])(\s|$)")


def _opened(line: str) -> str:
    found = _FENCE.match(line.rstrip("\r\n"))
    return found[1] + found[2] if found else ""


def _closes(line: str, fence: str) -> bool:
    marker = fence[: len(fence) - len(fence.lstrip(fence[0]))]
    text = line.strip()
    return set(text) == {marker[0]} and len(text) >= len(marker) and line.startswith((marker[0], " "))


def _starts_block(line: str) -> bool:
    """A line after a blank one that no earlier list or quote can claim."""
    return bool(line.strip()) and not line[0].isspace() and not _LIST.match(line) and not line.startswith(">")
