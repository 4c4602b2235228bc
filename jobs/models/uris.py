"""Addresses in Cloud Storage: one strict grammar for forms, services and the gateway."""

import re

from django.utils.translation import gettext as _

# Of the 1024 bytes that the name of an object may have, the rest is for what Vertex AI writes below a folder.
LONGEST_PATH = 700

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]*[a-z0-9]")
_FOUR_NUMBERS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")


def parse_gs_uri(text: str) -> tuple[str, str]:
    """`gs://bucket/some/path` → ("bucket", "some/path"); the path may be empty. One slash at the end is dropped.

    Raises ValueError whose text is a sentence for the person.
    """
    if not text.startswith("gs://"):
        raise ValueError(_("Write a Cloud Storage path that starts with gs://, such as gs://my-bucket/output."))
    bucket, _slash, path = text.removeprefix("gs://").partition("/")
    _check_bucket(bucket)
    path = path.removesuffix("/")
    if path:
        _check_path(path)
    return bucket, path


def _check_bucket(bucket: str) -> None:
    if not bucket:
        raise ValueError(_("Write the name of a bucket after gs://."))
    parts = bucket.split(".")
    if len(bucket) < 3 or len(bucket) > (222 if len(parts) > 1 else 63) or any(len(part) > 63 for part in parts):
        raise ValueError(_("A bucket name has 3 to 63 characters."))
    if not _BUCKET.fullmatch(bucket) or "" in parts or _FOUR_NUMBERS.fullmatch(bucket):
        raise ValueError(
            _("A bucket name has only lower-case letters, digits, dashes, underscores and dots, and no address.")
        )
    if bucket.startswith("goog") or "google" in bucket:
        raise ValueError(_("A bucket name must not begin with goog or contain google."))


def _check_path(path: str) -> None:
    if not path.isprintable():
        raise ValueError(_("The path contains a character that cannot be seen, such as a line break."))
    if len(path.encode()) > LONGEST_PATH:
        raise ValueError(_("The path is longer than 700 bytes."))
    if any(character in path for character in "?#[]*"):
        raise ValueError(_("The path must not contain any of ? # [ ] *."))
    segments = path.split("/")
    if "" in segments:
        raise ValueError(_("The path has two slashes in a row; leave one out."))
    if "." in segments or ".." in segments:
        raise ValueError(_("The path must not contain . or .. as a folder."))
