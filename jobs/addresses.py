"""Addresses of the pages to which texts of the domain lead. The console says where they are, in `settings.PAGES`."""

from django.conf import settings


def of_page(name: str, value: str = "") -> str:
    """Below the root of the console."""
    pattern: str = settings.PAGES[name]
    return pattern.format(value)


def with_host(name: str, value: str) -> str:
    """For what leaves the console; empty where the console does not know its own address."""
    return f"{settings.CONSOLE_URL}{of_page(name, value)}" if settings.CONSOLE_URL else ""
