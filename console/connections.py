"""Settings of what the console connects to: database, Redis, e-mail and files, each from a URL of the environment."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from django.core.exceptions import ImproperlyConfigured

from console import server_urls
from console.environment import env
from jobs.files.address import FOLDER, place_of, storage_of, why_not_beside

MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}


def files(url: str, bucket: str, has_own_secret: bool) -> dict[str, Any]:
    """Where datasets and pictures are kept: an entry of STORAGES."""
    try:
        storage = storage_of(url)
    except ValueError as error:
        raise ImproperlyConfigured(str(error)) from None
    if problem := why_not_beside(place_of(storage), bucket):
        raise ImproperlyConfigured(problem)
    if storage != FOLDER and not has_own_secret:
        raise ImproperlyConfigured(
            "FILES_URL is for a console of several machines, and they must have the same secret key, or each signs out "
            "whom another signed in. Set CONSOLE_SECRET_KEY to the same value everywhere."
        )
    return storage


def mail(url: str, sender: str) -> dict[str, Any]:
    """Django's settings for sending; without an address nothing is ever sent by e-mail."""
    example = "smtps://user:password@host:465, or smtp+tls:// or smtp://"
    parts = server_urls.parse("EMAIL_URL", url or "smtp://", set(MAIL_PORTS), example)
    if url and not parts.host:
        raise ImproperlyConfigured(f"EMAIL_URL must look like {example}.")
    if url and "@" not in sender:
        raise ImproperlyConfigured("EMAIL_FROM is missing. Enter an address, for example console@example.com.")
    return {
        "EMAIL_HOST": parts.host,
        "EMAIL_PORT": parts.port or MAIL_PORTS[parts.scheme],
        "EMAIL_HOST_USER": parts.user,
        "EMAIL_HOST_PASSWORD": parts.password,
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "DEFAULT_FROM_EMAIL": sender,
    }


def database(url: str, data_dir: Path) -> dict[str, Any]:
    if not url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": data_dir / "console.sqlite3",
            # Kept open by each thread: when the last one closes, the file is tidied, and a page would wait for that.
            "CONN_MAX_AGE": None,
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                # Mapped into memory up to a size: a fifth of a long search is copying pages. NORMAL where nothing is
                # paid for: a commit waits for no disk. A power cut may take what came after the last commit of the
                # worker, two seconds ago at most; a process that dies takes nothing.
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA mmap_size=1073741824; "
                f"PRAGMA synchronous={env('SQLITE_SYNCHRONOUS', 'FULL')};",
            },
        }
    example = "postgres://user:password@host:5432/name"
    parts = server_urls.parse("DATABASE_URL", url, {"postgres", "postgresql"}, example)
    if not parts.name:
        raise ImproperlyConfigured(f"DATABASE_URL has no database name. Enter, for example, {example}.")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.name),
        "USER": parts.user,
        "PASSWORD": parts.password,
        "HOST": parts.host,
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def redis(url: str) -> str:
    """As every library reads it."""
    example = "redis://127.0.0.1:6379/0"
    return str(server_urls.parse("REDIS_URL", url or example, {"redis", "rediss"}, "redis://:password@host:6379/0"))
