"""The policy of the browser would refuse these at run time; here they are refused before."""

import re
from pathlib import Path

import pytest
from django.template.loader import get_template

ROOT = Path(__file__).parents[2] / "templates"
TEMPLATES = sorted(ROOT.rglob("*.html"))
SCRIPT = (ROOT.parent / "static/console.js").read_text()
SPRITE = (ROOT.parent / "static/icons.svg").read_text()
FORBIDDEN = {
    "an inline style": r"\sstyle\s*=",
    "a style element": r"<style\b",
    "an inline script": r"<script(?![^>]*\bsrc=)",
    "an event attribute": r"\son[a-z]+\s*=\s*[\"']",
    "an hx-on attribute": r"\bhx-on\b",
    "a value that is evaluated": r"[\"'](?:js|javascript):",
    "a trigger filter": r"hx-trigger=[\"'](?:[^\"']*,)?\s*(?:every\s+\S+\s*|[\w:.-]+)\[",
    "an address of another site": r"(?:src|href|action)=[\"'](?:https?:)?//",
    "an htmx 2 event": r"htmx:[a-z]+[A-Z]",
    "an inline image of data": r"\bsrcdoc\b",
}


LONGEST_LINE = 200


def each_template():
    return pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(ROOT).as_posix())


@each_template()
def test_a_template_keeps_to_the_policy(path):
    text = path.read_text()
    assert [name for name, pattern in FORBIDDEN.items() if re.search(pattern, text)] == []


@each_template()
def test_the_lines_of_a_template_can_be_read(path):
    lines = path.read_text().splitlines()
    assert [number for number, line in enumerate(lines, 1) if len(line) > LONGEST_LINE] == []


@each_template()
def test_a_template_compiles(path):
    assert get_template(path.relative_to(ROOT).as_posix()) is not None


@each_template()
def test_a_form_that_posts_carries_its_token(path):
    forms = re.findall(r"<form\b[^>]*method=\"post\".*?</form>", path.read_text(), re.S)
    assert [form[:80] for form in forms if "csrf_token" not in form and "hidden_fields" not in form] == []


@each_template()
def test_an_icon_is_in_the_sprite(path):
    names = re.findall(r"{% icon \"([^\"]+)\"", path.read_text()) + re.findall(r"\bicon=\"([^\"]+)\"", path.read_text())
    assert [name for name in names if f'id="{name}"' not in SPRITE] == []


@each_template()
def test_an_htmx_post_sits_in_a_real_form(path):
    """static/guard.js lets no other element ask for a change."""
    tags = re.findall(r"<(\w+)[^>]*\shx-post=", path.read_text())
    assert [tag for tag in tags if tag not in {"form", "button", "input", "select"}] == []


@each_template()
def test_a_controller_is_one_that_the_page_knows(path):
    names = " ".join(re.findall(r"data-controller=\"([a-z -]+)\"", path.read_text())).split()
    assert [name for name in names if not re.search(rf"[ {{]\"?{name}\"?: ", SCRIPT)] == []


@each_template()
def test_what_is_fetched_at_each_ring_stays_in_its_place(path):
    """A replaced element takes along the ring that came meanwhile, unless a clock of its own makes up for it."""
    tags = re.findall(r"<\w+(?:{%.*?%}|\"[^\"]*\"|[^>\"])*>", path.read_text())
    rings = [tag for tag in tags if "{% live_trigger" in tag or "throttle:" in tag]
    assert [tag for tag in rings if 'hx-swap="outerHTML"' in tag and "every " not in tag] == []
