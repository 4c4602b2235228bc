"""Addresses in Cloud Storage: one strict grammar for forms, services, policies and the gateway."""

import re
import unicodedata

from django.utils.translation import gettext as _

# Of the 1024 bytes that the name of an object may have, the rest is for what Vertex AI writes below a folder.
LONGEST_PATH = 700

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]*[a-z0-9]")
_FOUR_NUMBERS = re.compile(r"\d{1,3}(\.\d{1,3}){3}", re.ASCII)
_ESCAPE = re.compile(r"%(?:u[0-9a-fA-F]{4}|[0-9a-fA-F]{2})")
_FORBIDDEN = "?#[]*\\"


def parse_gs_uri(text: str) -> tuple[str, str]:
    """`gs://bucket/some/path` → ("bucket", "some/path"); the path may be empty. One slash at the end is dropped.

    No two spellings that a server, a file system or a careless program could take for each other are both accepted.
    Raises ValueError whose text is a sentence for the person.
    """
    if not text.startswith("gs://"):
        raise ValueError(_("Enter a Cloud Storage path that starts with gs://, such as gs://my-bucket/output."))
    bucket, _slash, path = text.removeprefix("gs://").partition("/")
    _check_bucket(bucket)
    path = path.removesuffix("/")
    if path or text.endswith("//"):
        _check_path(path)
    return bucket, path


def format_gs_uri(bucket: str, path: str = "") -> str:
    return f"gs://{bucket}/{path}" if path else f"gs://{bucket}"


def canonical(text: str) -> str:
    """The one spelling, without a slash at its end. Raises ValueError as `parse_gs_uri` does."""
    return format_gs_uri(*parse_gs_uri(text))


def at_or_above(uri: str) -> list[str]:
    """Of an address in its one spelling: the bucket first, then every folder on the way, then the address itself."""
    bucket, _slash, path = uri.removeprefix("gs://").partition("/")
    names = path.split("/") if path else []
    return [format_gs_uri(bucket, "/".join(names[:length])) for length in range(len(names) + 1)]


def is_inside(uri: str, folder: str) -> bool:
    """At `folder` or below it: gs://bucket/ann2 is not inside gs://bucket/ann."""
    return uri == folder or uri.startswith(f"{folder}/")


def names_inside(text: str, folder: str) -> bool:
    """Whether a sentence names `folder` or what lies in it. A name may go on with a dot, a sentence ends with one."""
    return re.search(rf"{re.escape(folder)}(?![.]*[\w+@~=%-])", text) is not None


def _check_bucket(bucket: str) -> None:
    if not bucket:
        raise ValueError(_("Enter the name of a bucket after gs://."))
    parts = bucket.split(".")
    if len(bucket) < 3 or len(bucket) > (222 if len(parts) > 1 else 63) or any(len(part) > 63 for part in parts):
        raise ValueError(_("A bucket name must have 3 to 63 characters."))
    if not _BUCKET.fullmatch(bucket) or "" in parts or _FOUR_NUMBERS.fullmatch(bucket):
        raise ValueError(
            _(
                "A bucket name can contain only lowercase letters, digits, dashes, underscores, and dots, and "
                "can't be an IP address."
            )
        )
    if bucket.startswith("goog") or "google" in bucket:
        raise ValueError(_("A bucket name can't start with goog or contain google."))


def _check_path(path: str) -> None:
    if not path.isprintable():
        raise ValueError(_("The path contains an invisible character, such as a line break."))
    if len(path.encode()) > LONGEST_PATH:
        raise ValueError(_("The path is longer than 700 bytes."))
    if any(character in path for character in _FORBIDDEN):
        raise ValueError(_("The path can't contain any of ? # [ ] * \\."))
    if _ESCAPE.search(path):
        raise ValueError(_("The path contains an encoded character. Enter the character itself."))
    _check_folders(path)
    _check_look_alikes(path)


def _check_folders(path: str) -> None:
    folders = path.split("/")
    if "" in folders:
        raise ValueError(_("The path has two slashes in a row. Remove one."))
    if "." in folders or ".." in folders:
        raise ValueError(_("The path can't contain . or .. as a folder."))
    if any(folder != folder.strip() for folder in folders):
        raise ValueError(_("A folder name can't start or end with a space."))


def _check_look_alikes(path: str) -> None:
    """A letter may be written in two ways (é, e with an accent after it), a slash or a dot by a wide one."""
    if unicodedata.normalize("NFC", path) != path:
        raise ValueError(
            _("The path has a letter with a separate accent character. Enter the letter as one character.")
        )
    plain = unicodedata.normalize("NFKC", path)
    if plain.count("/") != path.count("/") or {".", ".."} & set(plain.split("/")) or _ESCAPE.search(plain):
        raise ValueError(_("The path has a character that looks like a slash, a dot or a percent sign."))
