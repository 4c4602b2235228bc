"""The words that were searched for, marked in what was found."""

import re

from django.utils.html import format_html_join
from django.utils.safestring import SafeString


def highlight(text: str, q: str) -> SafeString:
    words = "|".join(re.escape(word) for word in q.split())
    parts = re.split(f"({words})", text, flags=re.IGNORECASE) if words else [text]
    tags = (("<mark>", "</mark>") if number % 2 else ("", "") for number in range(len(parts)))
    return format_html_join(
        "", "{}{}{}", ((SafeString(a), part, SafeString(b)) for part, (a, b) in zip(parts, tags, strict=False))
    )
