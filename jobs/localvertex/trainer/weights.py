"""The weights of the base model: from a folder of Cloud Storage, or from Hugging Face with the token of the project."""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import google.auth
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession
from requests import RequestException

from jobs.localvertex.api.errors import ApiError, invalid, precondition
from jobs.localvertex.storage.buckets import Buckets, location, uri_of

TOKEN, SECRET = "HF_TOKEN", "HF_TOKEN_SECRET"  # noqa: S105 - names of variables
SECRET_NAME = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[^/]+")
SECRETS = "https://secretmanager.googleapis.com"
SECONDS = 30
FILES = ("*.json", "*.safetensors", "*.model", "*.jinja")
HUGGING_FACE = re.compile(r"[\w.-]+/[\w.-]+")


def fetch(source: str, folder: Path, buckets: Buckets, environ: Mapping[str, str]) -> Path:
    """`source`: `gs://` or `/gcs/` and a folder, or a name of Hugging Face. Raises ApiError with what is to be done."""
    folder.mkdir(parents=True, exist_ok=True)
    if (uri := uri_of(source)).startswith("gs://"):
        _fetch_from_bucket(uri, folder, buckets)
    elif HUGGING_FACE.fullmatch(source):
        _fetch_from_hugging_face(source, folder, read_token(environ))
    else:
        raise invalid(f"{source!r} is neither a folder of Cloud Storage nor a name of Hugging Face.")
    if not (folder / "config.json").is_file():
        raise precondition(f"{source} holds no config.json. Put the Hugging Face files of the model there.")
    return folder


def read_token(environ: Mapping[str, str], session: Any = None) -> str:
    """Of Hugging Face, from the environment or from Secret Manager; nothing where neither is set."""
    name = environ.get(SECRET, "")
    if environ.get(TOKEN) or not name:
        return environ.get(TOKEN, "")
    if not SECRET_NAME.fullmatch(name):
        raise invalid(f"{SECRET}={name!r} must be projects/PROJECT/secrets/NAME/versions/latest.")
    try:
        asked = (session or _session()).get(f"{SECRETS}/v1/{name}:access", timeout=SECONDS)
    except (GoogleAuthError, RequestException) as error:
        raise ApiError("UNAVAILABLE", f"The secret {name} cannot be read: {error}") from error
    if asked.status_code != 200:  # noqa: PLR2004
        raise ApiError(
            "PERMISSION_DENIED",
            f"The secret {name} cannot be read (HTTP {asked.status_code}). Grant the job's service account"
            " roles/secretmanager.secretAccessor on it.",
        )
    return base64.b64decode(asked.json()["payload"]["data"]).decode().strip()


def _session() -> Any:
    credentials, _project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
    return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]


def _fetch_from_bucket(uri: str, folder: Path, buckets: Buckets) -> None:
    place = location(uri, "--pretrained_model_name_or_path")
    for name in buckets.children(place):
        is_wanted = "/" not in name and any(Path(name).match(pattern) for pattern in FILES)
        if is_wanted and not (folder / name).exists():
            buckets.download(place / name, folder / name)


def _fetch_from_hugging_face(name: str, folder: Path, token: str) -> None:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - takes a second to be imported
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError  # noqa: PLC0415

    try:
        snapshot_download(name, local_dir=folder, allow_patterns=list(FILES), token=token or False)
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise ApiError(
            "PERMISSION_DENIED",
            f"Hugging Face does not give {name}. Accept its licence there, and put a token of that account into the"
            f" secret that {SECRET} names, or copy the weights to a bucket.",
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise ApiError("UNAVAILABLE", f"{name} cannot be downloaded from Hugging Face: {error}") from error
