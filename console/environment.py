"""Values of environment variables; a wrong one stops the start with a sentence that says what to write."""

import ipaddress
import math
import os
import re
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

SECRET_VERSION = r"projects/[^/\s]+/secrets/[^/\s]+/versions/[^/\s]+"  # noqa: S105 - the form of a name
# An image with its registry, as `docker push` takes it.
TRAINER_IMAGE = r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+(:[\w.-]+)?(@sha256:[0-9a-f]{64})?"
TRAINER_EXAMPLE = "us-central1-docker.pkg.dev/my-project/garden/garden-trainer"


def env(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def env_text(name: str, pattern: str, example: str) -> str:
    """Empty, or of that form from its beginning to its end."""
    value = env(name)
    if value and not re.fullmatch(pattern, value):
        raise ImproperlyConfigured(f"{name}={value!r} is not a valid value. Enter, for example, {example}.")
    return value


def env_bool(name: str, default: bool = False) -> bool:
    value = env(name).lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    if value:
        raise ImproperlyConfigured(f"{name}={value!r} is not a valid value. Enter 1 or 0.")
    return default


def env_choice(name: str, *choices: str) -> str:
    """The first is taken when nothing is said."""
    value = env(name, choices[0]).lower()
    if value not in choices:
        raise ImproperlyConfigured(f"{name}={value!r} is not a valid value. Enter {' or '.join(choices)}.")
    return value


def env_secret(name: str, shortest: int) -> str:
    """Empty, or long enough that nobody guesses it. The value is in no message."""
    value = env(name)
    if value and (len(value) < shortest or not value.isascii() or len(value.split()) > 1):
        raise ImproperlyConfigured(
            f"{name} must have {shortest} characters or more, without spaces. Use, for example, the output of "
            "`openssl rand -hex 32`."
        )
    return value


def env_number(name: str, default: float, minimum: float) -> float:
    text = env(name, str(default))
    try:
        number = float(text)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={text!r} is not a number. Enter a number, for example {default}.") from None
    if not minimum <= number < math.inf:
        raise ImproperlyConfigured(f"{name}={text} is too small or not a finite number. Enter {minimum} or more.")
    return number


def env_url(name: str, schemes: set[str], example: str) -> str:
    value = env(name)
    if value and not is_url(value, schemes):
        shown = re.sub(r"//.*@", "//…@", value)
        raise ImproperlyConfigured(f"{name}={shown!r} is not an address. Enter an address, for example {example}.")
    return value.rstrip("/")


def is_url(value: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in schemes and bool(parts.netloc) and parts.port != 0
    except ValueError:
        return False


def env_networks(name: str) -> list[str]:
    """Addresses and networks, separated by commas."""
    found = [word.strip() for word in env(name).split(",") if word.strip()]
    for word in found:
        try:
            ipaddress.ip_network(word)
        except ValueError:
            raise ImproperlyConfigured(
                f"{name} has {word!r}, which is not an address or a network. Example: 127.0.0.1, 172.16.0.0/12."
            ) from None
    return found


def env_locations(name: str) -> list[str]:
    """Names of Google Cloud locations, separated by commas."""
    found = [word.strip() for word in env(name).split(",") if word.strip()]
    for word in found:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", word):
            raise ImproperlyConfigured(
                f"{name} has {word!r}, which is not a location. Example: us-central1, europe-west4."
            )
    return found
