"""Names that people give to things: one line of text, for forms, files and services."""

import re

from django.utils.translation import gettext as _

LONGEST_NAME = 128
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


def name_problem(text: str) -> tuple[str, str]:
    """A code and a sentence; two empty texts for a good name."""
    if not text:
        return "required", _("Enter a name.")
    if len(text) > LONGEST_NAME:
        words = {"most": LONGEST_NAME, "length": len(text)}
        return "max_length", _(
            "A name can have at most %(most)d characters. This one has %(length)d. Shorten it."
        ) % words
    if CONTROL_CHARACTERS.search(text):
        return "control_characters", _(
            "A name must be one line of text. Remove line breaks and other control characters."
        )
    if not any(character.isalnum() for character in text):
        return "no_letter", _("Use at least one letter or digit in the name.")
    return "", ""
