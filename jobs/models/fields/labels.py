"""Labels of a tuning job: one strict grammar for forms, files and services. Vertex AI refuses the whole job for one."""

import re
from collections.abc import Mapping

from django.utils.translation import gettext as _

# Vertex AI takes 64; three of them are the console's own.
MAX_LABELS = 61
OURS, GOOGLES = "app-", "goog"
# Settings of a training that the local server takes as labels.
LOCAL = "local-tuning-"

_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


def parse_labels(text: str) -> dict[str, str]:
    """`team=support`, one on each line. Raises ValueError whose text is a sentence for the person."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        key, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise ValueError(_("Line %(line)d: enter a label as key=value, such as team=support.") % {"line": number})
        if key in found:
            raise ValueError(_("Line %(line)d: the key %(key)s is used twice.") % {"line": number, "key": key})
        found[key] = value
    check_labels(found)
    return found


def check_labels(labels: Mapping[str, str]) -> None:
    if len(labels) > MAX_LABELS:
        raise ValueError(_("A job can have at most %d of your own labels.") % MAX_LABELS)
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            raise ValueError(
                _(
                    "The key “%s” must start with a lowercase letter and contain only lowercase letters, digits, _"
                    " and -, at most 63 characters.") % key
            )  # fmt: skip
        if not _VALUE.fullmatch(value):
            raise ValueError(
                _(
                    "The value “%(value)s” of %(key)s can contain only lowercase letters, digits, _ and -, at most"
                    " 63 characters."
                )
                % {"value": value, "key": key}
            )
        if prefix := next(filter(key.startswith, (OURS, GOOGLES, LOCAL)), ""):
            raise ValueError(
                _("The key %(key)s is reserved. Keys that start with %(prefix)s belong to the console or to Google.")
                % {"key": key, "prefix": prefix}
            )


def as_text(labels: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={value}" for key, value in labels.items())
