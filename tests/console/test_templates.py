"""The policy of the browser would refuse these at run time; here they are refused before."""

import re
from pathlib import Path

from django.template import TemplateSyntaxError
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


def wrong(look):
    """What `look` finds, by the template it was found in: one test for all of them, of which there are hundreds."""
    found = {path.relative_to(ROOT).as_posix(): look(path.read_text()) for path in TEMPLATES}
    return {name: remarks for name, remarks in found.items() if remarks}


def test_there_are_templates():
    assert len(TEMPLATES) > 200


def test_a_template_keeps_to_the_policy():
    def forbidden(text):
        return [name for name, pattern in FORBIDDEN.items() if re.search(pattern, text)]

    assert wrong(forbidden) == {}


def test_the_lines_of_a_template_can_be_read():
    def too_long(text):
        return [number for number, line in enumerate(text.splitlines(), 1) if len(line) > LONGEST_LINE]

    assert wrong(too_long) == {}


def test_a_template_compiles():
    failures = {}
    for path in TEMPLATES:
        name = path.relative_to(ROOT).as_posix()
        try:
            get_template(name)
        except TemplateSyntaxError as error:
            failures[name] = str(error)
    assert failures == {}


def test_a_form_that_posts_carries_its_token():
    def without_token(text):
        forms = re.findall(r"<form\b[^>]*method=\"post\".*?</form>", text, re.S)
        return [form[:80] for form in forms if "csrf_token" not in form and "hidden_fields" not in form]

    assert wrong(without_token) == {}


def test_an_icon_is_in_the_sprite():
    def unknown(text):
        names = re.findall(r"{% icon \"([^\"]+)\"", text) + re.findall(r"\bicon=\"([^\"]+)\"", text)
        return [name for name in names if f'id="{name}"' not in SPRITE]

    assert wrong(unknown) == {}


def test_an_htmx_post_sits_in_a_real_form():
    """static/guard.js lets no other element ask for a change."""

    def elsewhere(text):
        tags = re.findall(r"<(\w+)[^>]*\shx-post=", text)
        return [tag for tag in tags if tag not in {"form", "button", "input", "select"}]

    assert wrong(elsewhere) == {}


def test_a_controller_is_one_that_the_page_knows():
    def unknown(text):
        names = " ".join(re.findall(r"data-controller=\"([a-z -]+)\"", text)).split()
        return [name for name in names if not re.search(rf"[ {{]\"?{name}\"?: ", SCRIPT)]

    assert wrong(unknown) == {}


def test_what_is_fetched_at_each_ring_stays_in_its_place():
    """A replaced element takes along the ring that came meanwhile, unless a clock of its own makes up for it."""

    def replaced(text):
        tags = re.findall(r"<\w+(?:{%.*?%}|\"[^\"]*\"|[^>\"])*>", text)
        rings = [tag for tag in tags if "{% live_trigger" in tag or "throttle:" in tag]
        return [tag for tag in rings if 'hx-swap="outerHTML"' in tag and "every " not in tag]

    assert wrong(replaced) == {}
