"""Pages as tests compare them."""

import re

TAG = re.compile(r"""\s*(<(?:"[^"]*"|'[^']*'|[^'">])*?)\s*>\s*""")


def tight(markup: str) -> str:
    """One space between words and attributes, and none where an element begins or ends: mostly a browser shows none
    there, and where a template breaks its lines is no matter of a test."""
    return TAG.sub(r"\1>", " ".join(markup.split()))
