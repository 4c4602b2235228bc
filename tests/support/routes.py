"""The addresses of the console. None of them is in a file of its own, so each is a pattern."""

from django.urls import URLPattern, get_resolver


def patterns() -> list[URLPattern]:
    found = get_resolver().url_patterns
    assert all(isinstance(each, URLPattern) for each in found)
    return [each for each in found if isinstance(each, URLPattern)]
