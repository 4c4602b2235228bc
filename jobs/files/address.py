"""FILES_URL: one variable that says where files are kept. Read by the settings, so it may import nothing of Django."""

import os
import re
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

FOLDER = {"BACKEND": "jobs.files.folder.FolderFiles"}
BACKENDS = {"gs": "jobs.files.gcs.GoogleFiles", "s3": "jobs.files.s3.S3Files"}
OPTIONS = {"gs": ("credentials", "endpoint_url"), "s3": ("endpoint_url", "region")}
EXAMPLES = "gs://my-bucket/console or s3://my-bucket/console?endpoint_url=https://s3.example.com"

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_FOLDER = re.compile(r"(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")
_REGION = re.compile(r"[a-z0-9-]+")


def storage_of(url: str) -> dict[str, Any]:
    """As an entry of Django's STORAGES; the folder when there is no address. Raises ValueError, whose text is a
    sentence that never repeats what may be a password."""
    if not url:
        return FOLDER
    parts, options = _split(url)
    location = parts.path.strip("/")
    place = f"{parts.scheme}://{parts.netloc}/{location}".rstrip("/")
    given = {"place": place, "bucket_name": parts.netloc, "location": location, "endpoint_url": None}
    if parts.scheme == "s3":
        return {"BACKEND": BACKENDS["s3"], "OPTIONS": given | _s3(options)}
    return {"BACKEND": BACKENDS["gs"], "OPTIONS": given | _google(options)}


def place_of(storage: dict[str, Any]) -> str:
    """Such as gs://my-bucket/console; nothing for the folder."""
    return str(storage.get("OPTIONS", {}).get("place", ""))


def why_not_beside(place: str, bucket: str) -> str:
    """A sentence, or nothing: files must not lie where people's jobs read and write, in VERTEX_BUCKET."""
    if not bucket or not place.startswith("gs://"):
        return ""
    theirs = (f"{bucket}/datasets", f"{bucket}/tuning")
    if any(_overlap(place, folder) for folder in theirs):
        return (
            f"FILES_URL must not name {place}, where the datasets and outputs of jobs lie (VERTEX_BUCKET). "
            f"Name a bucket of its own, or a folder such as {bucket}/console."
        )
    return ""


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _split(url: str) -> tuple[SplitResult, dict[str, str]]:
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(f"FILES_URL is not an address; write for example {EXAMPLES}.") from None
    if parts.scheme not in BACKENDS:
        raise ValueError(
            f"FILES_URL must begin with gs:// or s3://, such as {EXAMPLES}. Leave it empty to keep files in the data "
            "directory."
        )
    if "@" in parts.netloc:
        raise ValueError("FILES_URL must not hold a key or a password; docs/containers.md says where credentials go.")
    if not _BUCKET.fullmatch(parts.netloc) or not _FOLDER.fullmatch(parts.path) or parts.fragment:
        raise ValueError(f"FILES_URL must be a bucket and a folder of plain letters; write for example {EXAMPLES}.")
    return parts, _check_options(parts.scheme, pairs)


def _check_options(scheme: str, pairs: list[tuple[str, str]]) -> dict[str, str]:
    allowed = OPTIONS[scheme]
    if unknown := next((name for name, _value in pairs if name not in allowed), ""):
        raise ValueError(
            f"FILES_URL has {unknown[:40]!r}; after ? it may have {' and '.join(allowed)} for {scheme}://."
        )
    options = dict(pairs)
    if "endpoint_url" in options:
        options["endpoint_url"] = _endpoint(options["endpoint_url"])
    return options


def _endpoint(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1) and not parts.query
    except ValueError:
        is_good = False
    if not is_good or "@" in value:
        raise ValueError("FILES_URL: endpoint_url must look like https://s3.example.com or http://minio:9000.")
    return value.rstrip("/")


def _s3(options: dict[str, str]) -> dict[str, Any]:
    if find_spec("boto3") is None:
        raise ValueError("FILES_URL names an S3 store, which needs boto3. Run: pip install 'garden-console[s3]'")
    region = options.pop("region", None)
    if region is not None and not _REGION.fullmatch(region):
        raise ValueError("FILES_URL: region must look like eu-central-1.")
    return options | {"region_name": region}


def _google(options: dict[str, str]) -> dict[str, Any]:
    file = options.pop("credentials", "")
    if file and not os.access(file, os.R_OK):
        raise ValueError(f"FILES_URL: the credentials file {file} is not there or cannot be read by this user.")
    return options | {"credentials_file": file}
