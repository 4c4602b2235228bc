"""Every place where text could become markup, or an address be followed, is known: tests/security/markup.toml says why
it may. What these rules recognise as harmless is not in it; a place that is not listed, or is gone, fails."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.template.base import Lexer, TokenType

pytestmark = pytest.mark.threat("T5")
ROOT = Path(__file__).parents[2]
ALLOWED = tomllib.loads((Path(__file__).parent / "markup.toml").read_text())
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SOURCES = sorted(path for top in ("console", "jobs") for path in (ROOT / top).rglob("*.py"))
SCRIPTS = sorted([*(ROOT / "static").glob("*.js"), *(ROOT / "static/controllers").glob("*.js")])

MAKES_SAFE = {"SafeString", "SafeText", "SafeData", "mark_safe", "format_html", "format_html_join", "html_safe"}
SINKS = re.compile(
    r"\.(?:inner|outer)HTML\s*\+?=|insertAdjacentHTML|setHTMLUnsafe|parseHTMLUnsafe|DOMParser|createContextualFragment"
    r"|document\.write|srcdoc|\beval\(|\bFunction\(|createPolicy|htmx\.(?:swap|ajax)\(|\bfetch\(|location\s*=|\.href\s*="
)
FILTERS = r"\|\s*(?:safe|safeseq|json_script|unordered_list|urlize\w*)\b"
UNESCAPED = {
    TokenType.VAR: re.compile(FILTERS),
    TokenType.BLOCK: re.compile(rf"{FILTERS}|^(?:autoescape|filter|debug|verbatim)\b"),
    TokenType.TEXT: re.compile(r"(?!)"),
    TokenType.COMMENT: re.compile(r"(?!)"),
}
ACTS = re.compile(
    r"(?:data-)?hx-.*|on[a-z]+|href|src|srcset|action|formaction|ping|poster|style|is|slot|content|xlink:href|target"
    r"|data-(?:controller|action)|data-.*-(?:url|action)-(?:value|param)"
)
# What is put into an attribute by these is an address or an id of ours.
TAGS_OF_OURS = re.compile(
    r"(?:url|static|at|if|elif|else|endif|for|endfor|with|endwith|translate|get_current_language)\b"
)
NAMES_OF_OURS = re.compile(
    r"[\w.]*\b(?:pk|id|conversation_id|auto_id|id_for_label)|forloop\.counter|[\w.|:']+\|urlencode(?::'')?"
)
HELD = re.compile("\ue000(\\d+)\ue001")
TAG = re.compile(r"<([a-zA-Z][\w-]*)((?:\"[^\"]*\"|'[^']*'|[^>\"'])*)>")
ATTRIBUTE = re.compile(r"([\w:@.-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))")


def listed(part: str) -> list[str]:
    return sorted(f"{where}: {one}" for entry in ALLOWED[part] for where, found in entry["in"].items() for one in found)


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def made_safe(path: Path) -> Iterator[str]:
    """Calls whose text is not written out in the call, so that what it is made of has to be looked at."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            if isinstance(node, ast.FunctionDef) and node.name == "__html__":
                yield "def __html__"
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if any(word.arg in {"is_safe", "needs_autoescape"} for word in node.keywords):
            yield ast.unparse(node)
        first = node.args[1 if name == "format_html_join" else 0] if name in MAKES_SAFE and node.args else None
        if name in MAKES_SAFE and not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            yield ast.unparse(node)


def test_every_text_that_is_made_safe_is_known() -> None:
    assert sorted(f"{short(path)}: {one}" for path in SOURCES for one in made_safe(path)) == listed("python")


def test_no_template_leaves_anything_unescaped() -> None:
    tokens = [(path, token) for path in TEMPLATES for token in Lexer(path.read_text()).tokenize()]
    asked = [(path, token.contents) for path, token in tokens if UNESCAPED[token.token_type].search(token.contents)]
    assert [f"{short(path)}: {words}" for path, words in asked] == []


def test_every_place_where_a_script_makes_elements_or_asks_for_something_is_known() -> None:
    lines = [(path, line.strip()) for path in SCRIPTS for line in path.read_text().splitlines()]
    assert sorted(f"{short(path)}: {line}" for path, line in lines if SINKS.search(line)) == listed("scripts")


def acting(path: Path) -> Iterator[str]:
    """What of data is in attributes that are acted on, unless a rule says that it is ours."""
    held: list[str] = []
    text = ""
    ours: set[str] = set()
    for token in Lexer(path.read_text()).tokenize():
        if token.token_type == TokenType.TEXT:
            text += token.contents
        elif token.token_type != TokenType.COMMENT:
            is_ours = token.token_type == TokenType.BLOCK and TAGS_OF_OURS.match(token.contents)
            if name := re.match(r"url .* as (\w+)$", token.contents):
                ours.add(name[1])
            held.append("" if is_ours or token.contents in ours else token.contents)
            text += f"\ue000{len(held) - 1}\ue001"
    for tag in TAG.finditer(text):
        for attribute in ATTRIBUTE.finditer(tag[2]):
            if ACTS.fullmatch(attribute[1]):
                for number in HELD.findall(attribute[0]):
                    words = held[int(number)]
                    if words and not NAMES_OF_OURS.fullmatch(words):
                        yield f"{attribute[1]} {words}"


def test_every_attribute_that_is_acted_on_and_filled_from_data_is_known() -> None:
    assert sorted({f"{short(path)}: {one}" for path in TEMPLATES for one in acting(path)}) == listed("templates")


def test_an_attribute_has_no_name_from_data() -> None:
    names = re.compile(r"\s(?:hx-|data-|on)[\w:-]*\{\{")
    assert [short(path) for path in TEMPLATES if names.search(path.read_text())] == []


@pytest.mark.parametrize("part", ["python", "scripts", "templates"])
def test_each_has_its_reason(part: str) -> None:
    assert [entry for entry in ALLOWED[part] if len(entry["reason"]) < 20] == []


def test_what_is_rendered_is_left_alone_by_htmx() -> None:
    rendered = re.compile(r"<(?:div|pre) class=\"(?:md|highlight)(?: tail)?\"[^>]*>")
    tags = [(path, tag) for path in TEMPLATES for tag in rendered.findall(path.read_text())]
    assert len(tags) > 10
    assert [f"{short(path)}: {tag}" for path, tag in tags if " hx-ignore" not in tag] == []


def test_no_token_goes_with_what_is_no_form() -> None:
    """A form carries its own: with a header of the body any element's request would be as good as a form's."""
    assert [short(path) for path in TEMPLATES if "hx-headers" in path.read_text()] == []
