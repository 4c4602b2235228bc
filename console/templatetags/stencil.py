"""The rows of a long list: what they share is drawn once a page, and each row fills in its own words."""

import re
import secrets
from typing import Any, Final

from django import template
from django.template.context import Context
from django.utils.html import conditional_escape
from django.utils.safestring import SafeString

register = template.Library()

# No text that a page shows can contain it.
MARK: Final = secrets.token_hex(8)
HOLE: Final = re.compile(rf"{MARK}([a-z_]+)!")


@register.simple_tag(takes_context=True)
def stencil(context: Context, template_name: str, like: Any, **words: Any) -> SafeString:
    """`{% include template_name with … only %}`, drawn once a page for all rows that are `like` each other.

    In the place of each of the `words` the template sees something that stands for it: it can write it and make
    addresses of it with `at`. What it decides by must be in `like`, which is hashed.
    """
    page: Any = context.render_context
    drawn: dict[tuple[str, Any], list[str]] = page.setdefault(__name__, {})
    if (template_name, like) not in drawn:
        drawn[template_name, like] = _split_template(context, template_name, like, words)
    safe = {word: conditional_escape(value) for word, value in words.items()}
    pieces = drawn[template_name, like].copy()
    pieces[1::2] = [safe[word] for word in pieces[1::2]]
    return SafeString("".join(pieces))


def _split_template(context: Context, template_name: str, like: Any, words: dict[str, Any]) -> list[str]:
    """The text between the holes, and in turn with it the word for each hole."""
    assert context.template is not None
    holes = {word: f"{MARK}{word}!" for word in words}
    inner = context.new({**holes, "like": like, "csrf_token": context.get("csrf_token")})
    return HOLE.split(context.template.engine.get_template(template_name).render(inner))
