"""What a model wrote, as HTML that cannot do anything.

Markdown is rendered with raw HTML switched off, then the result is cut down to an allowlist: the second step does not
trust the first. Only formulas are drawn after that, by elements of our own. No image is ever loaded; links carry no
referrer, and those of answers lead to a page that asks first.
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import quote, urlsplit

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from jobs import addresses

from . import math

LONGEST_HIGHLIGHTED = 20_000
LONGEST_TEX, LONGEST_TEX_LINES = 500, 30

TAGS = frozenset({
    "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong",
    "s", "del", "a", "span", "table", "thead", "tbody", "tr", "th", "td",
})  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "pre": {"data-language"}}
ALIGNMENTS = frozenset({"align-left", "align-center", "align-right"})
CLASSES = {
    "span": frozenset(filter(None, STANDARD_TYPES.values())) | {"blocked-image"},
    "pre": frozenset({"code"}),
    "code": frozenset({"math"}),
    "th": ALIGNMENTS,
    "td": ALIGNMENTS,
}
SCHEMES = frozenset({"http", "https", "mailto"})
LONGEST_ADDRESS = 4_000

# A line in which nothing means anything: most of what is drawn while it is written begins as one.
_WORDS = re.compile(r"[^\W\d_](?:[^\W_]|[ ,.;:!?'()])*")
_LANGUAGE = re.compile(r"[\w+#.-]{1,24}")
_TEX = re.compile(
    r"\\\((.+?)\\\)|\\\[(.+?)\\\]|\$\$([^$]+?)\$\$|\$(?![\s$])((?:[^$\\\n]|\\.)+?)(?<![\s\\])\$(?![\d$])", re.DOTALL
)


def render(markdown: str) -> str:
    return math.render_formulas(_cleaner(asks=False).clean(_parser(asks=False).render(markdown)))


def answer(markdown: str) -> str:
    """Nobody chose the links of an answer: they open the page that asks, in a tab of its own."""
    if _WORDS.fullmatch(markdown):
        return f"<p>{markdown.strip()}</p>\n"
    return math.render_formulas(_cleaner(asks=True).clean(_parser(asks=True).render(markdown)))


@cache
def _cleaner(*, asks: bool) -> nh3.Cleaner:
    """A table scrolls sideways by itself, by keyboard too. Bullets stand where the script of the list begins."""
    fixed = {tag: {"dir": "auto"} for tag in ("ul", "ol", "blockquote")} | {"table": {"tabindex": "0", "dir": "auto"}}
    return nh3.Cleaner(
        tags=TAGS,
        attributes=ATTRIBUTES,
        allowed_classes=CLASSES,
        url_schemes=frozenset() if asks else SCHEMES,
        url_relative=_asking if asks else "pass_through",
        set_tag_attribute_values={**fixed, "a": {"target": "_blank"}} if asks else fixed,
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )


def leave(address: str = "") -> str:
    """The page of the console that shows the address and asks."""
    return addresses.of_page("leave", address)


def _asking(address: str) -> str | None:
    return address if address.startswith(leave()) else None


def code(text: str, language: str) -> SafeString:
    """Coloured by classes, for a `<pre class="highlight">` of the page."""
    return SafeString(_highlight(text, language, ""))


@cache
def _parser(*, asks: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "highlight": _highlight}).enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "math", _math)
    parser.block.ruler.before("fence", "math_block", _math_block, {"alt": ["paragraph", "blockquote", "list"]})
    parser.add_render_rule("math", _tex)
    parser.add_render_rule("math_block", _tex)
    if asks:
        parser.add_render_rule("link_open", _link)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("fence", _code)
    parser.add_render_rule("code_block", _code)
    for cell in ("th_open", "td_open"):
        parser.add_render_rule(cell, _cell)
    return parser


def _link(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    token = tokens[index]
    address = str(token.attrs.pop("href", ""))
    if address.partition(":")[0].lower() in SCHEMES and len(address) <= LONGEST_ADDRESS:
        token.attrs = {"href": leave(quote(address, safe="")), **token.attrs}
    return self.renderToken(tokens, index, options, env)


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
    named = f' data-language="{language}"' if _LANGUAGE.fullmatch(language) else ""
    return f'<pre class="code"{named}><code>{_highlight(token.content, language, "")}</code></pre>\n'


def _highlight(code: str, language: str, _attributes: str) -> str:
    if not language or len(code) > LONGEST_HIGHLIGHTED:
        return escape(code)
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return escape(code)
    html = str(highlight(code, lexer, HtmlFormatter(nowrap=True)))
    return html if code.endswith("\n") else html.removesuffix("\n")


def _math(state: StateInline, silent: bool) -> bool:
    """TeX in a line, before Markdown takes its marks for its own."""
    found = _TEX.match(state.src, state.pos, min(state.posMax, state.pos + LONGEST_TEX))
    if not found:
        return False
    if not silent:
        state.push("math", "code", 0).content = found[found.lastindex or 0].strip()
    state.pos = found.end()
    return True


def _math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    begin = state.bMarks[start] + state.tShift[start]
    closing = {"$$": "$$", r"\[": r"\]"}.get(state.src[begin : begin + 2])
    if closing is None or state.is_code_block(start):
        return False
    for line in range(start, min(end, start + LONGEST_TEX_LINES)):
        text = state.src[begin + 2 if line == start else state.bMarks[line] : state.eMarks[line]]
        found, _, rest = text.partition(closing)
        if rest.strip() or state.isEmpty(line):
            return False
        if found != text and (found.strip() or line > start):
            if not silent:
                state.line = line + 1
                token = state.push("math_block", "code", 0)
                token.content = state.getLines(start, line + 1, state.blkIndent, False).strip()[2:-2].strip()
                token.map, token.block = [start, line + 1], True
            return True
    return False


def _tex(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    tex = f'<code class="math">{escape(tokens[index].content)}</code>'
    return f'<pre class="code">{tex}</pre>\n' if tokens[index].block else tex


def _cell(self: RendererHTML, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    """The alignment as a class: the page's policy allows no style attribute."""
    token = tokens[index]
    side = re.search(r"left|center|right", str(token.attrs.get("style", "")))
    return f'<{token.tag} class="align-{side[0]}">' if side else f"<{token.tag}>"
