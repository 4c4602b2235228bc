"""Hugging Face by its own client: what a repository holds, and its files, checked as they come.

Its address is HF_ENDPOINT, where that is set. The token of a person is sent to the hub alone, and in no message.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from jobs.localvertex.api.errors import ApiError, precondition, unavailable

from .listing import (
    CONFIG,
    MAX_FILES,
    MAX_SETTINGS,
    TEMPLATE,
    TOKENIZER_CONFIG,
    Listing,
    RemoteFile,
    check_names,
    keep_top,
)
from .source import Repository, endpoint

logging.getLogger("httpx2").setLevel(logging.WARNING)  # the addresses of a CDN are signed
SECONDS = 30.0
PIECE = 2**20
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
READ = (CONFIG, TOKENIZER_CONFIG, TEMPLATE)
PARTIAL = 206
BEYOND = 2**63  # no file has so many bytes, and no model so many parameters


class Tell(Protocol):
    """Told how many bytes came. Raises to end it."""

    def __call__(self, count: int, /) -> None: ...


class Broken(Exception):
    """What came is not what was promised."""


class CannotContinue(Exception):
    """The hub begins the file anew, whatever part was asked for."""


def require_client(find: Callable[[str], object] = find_spec) -> None:
    """A server that is installed alone has none; it imports files of its machine only."""
    if find("huggingface_hub") is None:
        raise precondition(
            "This server is installed without huggingface_hub, by which models are imported. Install it: pip install"
            " huggingface_hub."
        )


def list_repository(source: Repository, token: str) -> Listing:
    require_client()
    from huggingface_hub import HfApi  # noqa: PLC0415  # takes a second to be imported

    with explain_errors(source, token):
        found = HfApi(endpoint=endpoint()).model_info(
            source.name, revision=source.revision, files_metadata=True, timeout=SECONDS, token=token or False
        )
        listing = _make_listing(source, found)
    return replace(listing, texts=_read_texts(listing, source, token))


def _make_listing(source: Repository, found: Any) -> Listing:
    """`found`: what the client read. It checks no types, so that any error may come of them."""
    siblings = found.siblings or []
    if len(siblings) > MAX_FILES:
        raise precondition(
            f"{source} has {len(siblings)} files, more than {MAX_FILES}. No model needs so many. Choose another one."
        )
    check_names((one.rfilename for one in siblings), source)
    files = keep_top(_file(one) for one in siblings)
    card: Any = found.card_data or {}
    return Listing(
        title=source.title,
        revision=str(found.sha or source.revision),
        files=files,
        licence=_text(card, "license_name") or _text(card, "license"),
        licence_url=_text(card, "license_link"),
        is_gated=bool(found.gated),
        parameters=_count(found.safetensors.total) if found.safetensors else 0,
    )


def _read_texts(listing: Listing, source: Repository, token: str) -> dict[str, Any]:
    texts: dict[str, Any] = {}
    for name in READ:
        one = listing.find(name)
        if one is None:
            continue
        if one.size > MAX_SETTINGS:
            raise precondition(
                f"{name} of {source} is far larger than such a file needs to be. Choose another repository."
            )
        content = bytearray()
        with explain_errors(source, token):
            for part in _stream(source, listing.revision, one, token, 0):
                content += part
                if len(content) > one.size:
                    raise precondition(f"{source} sent more of {name} than it said. Try again, or choose another one.")
        texts[name] = bytes(content)
    return texts


def download(source: Repository, revision: str, one: RemoteFile, target: Path, token: str, tell: Tell) -> None:
    """Goes on where `target` ends, and counts that as come. Raises ApiError: UNAVAILABLE where a later try may do."""
    kept = min(target.stat().st_size, one.size) if target.exists() else 0
    failed = 0
    while True:
        before = kept
        try:
            with explain_errors(source, token):
                _append(source, revision, one, target, token, tell, kept)
            return
        except CannotContinue:
            tell(-kept)
            kept = 0
        except Broken as error:
            target.unlink(missing_ok=True)
            raise precondition(str(error)) from None
        except ApiError as error:
            kept = target.stat().st_size if target.exists() else 0
            failed = 1 if kept > before else failed + 1
            if error.status != "UNAVAILABLE" or failed > len(PAUSES):
                raise
            _pause(PAUSES[failed - 1], tell)


def _pause(seconds: float, tell: Tell) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        tell(0)
        time.sleep(0.1)


def _append(
    source: Repository, revision: str, one: RemoteFile, target: Path, token: str, tell: Tell, kept: int
) -> None:
    digest = _digest(one)
    with target.open("r+b" if kept else "w+b") as file:
        if kept:
            file.truncate(kept)
            for part in iter(lambda: file.read(PIECE), b""):
                digest.update(part)
        tell(0)
        if kept < one.size:
            for part in _stream(source, revision, one, token, kept):
                if file.tell() + len(part) > one.size:
                    raise Broken(f"{source} sent more of {one.name} than it said. Try again, or choose another one.")
                digest.update(part)
                file.write(part)
                file.flush()
                tell(len(part))
        size = file.tell()
    if size < one.size:
        raise unavailable(f"The connection to {endpoint()} ended in the middle of {one.name}. Resume once it is back.")
    if (one.sha256 or one.git_sha1) and digest.hexdigest() != (one.sha256 or one.git_sha1):
        raise Broken(
            f"The checksum of {one.name} differs from the one that {source} gives. The repository is damaged, or"
            " something on the way changes files. Try again, or choose another repository."
        )


def _digest(one: RemoteFile) -> Any:
    """Git's own sum of a file begins with its size."""
    if one.sha256 or not one.git_sha1:
        return hashlib.sha256()
    return hashlib.sha1(f"blob {one.size}\0".encode())  # noqa: S324  # Git's


def _stream(source: Repository, revision: str, one: RemoteFile, token: str, start: int) -> Iterator[bytes]:
    from huggingface_hub import get_session, hf_hub_url, hf_raise_for_status  # noqa: PLC0415

    url = hf_hub_url(source.name, one.name, revision=revision, endpoint=endpoint())
    headers = {"Accept-Encoding": "identity", "User-Agent": "garden-console"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if start:
        headers["Range"] = f"bytes={start}-"
    with get_session().stream("GET", url, headers=headers, timeout=SECONDS) as answer:
        hf_raise_for_status(answer)
        if start and answer.status_code != PARTIAL:
            raise CannotContinue
        yield from answer.iter_raw()


@contextmanager
def explain_errors(source: Repository, token: str) -> Iterator[None]:
    """What the hub says no with, in sentences."""
    import httpx2  # noqa: PLC0415  # the client of Hugging Face brings it
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        yield
    except errors.GatedRepoError:
        raise _refuse_gated(source, token) from None
    except errors.RevisionNotFoundError:
        raise precondition(
            f"{source} has no revision {source.revision[:100]!r}. Enter a branch, a tag or a commit that is there."
        ) from None
    except errors.RepositoryNotFoundError:
        raise _not_found(source, token) from None
    except errors.DisabledRepoError:
        raise precondition(f"{source} was disabled at Hugging Face. Choose another repository.") from None
    except errors.RemoteEntryNotFoundError:
        raise precondition(
            f"A file that {source} lists is not there. Import the repository's latest revision."
        ) from None
    except errors.HFValidationError as error:
        raise precondition(f"{source} is no name of a repository ({str(error)[:200]}). Check the name.") from None
    except errors.HfHubHTTPError as error:
        raise _http(source, error.response.status_code) from None
    except (httpx2.HTTPError, httpx2.StreamError, json.JSONDecodeError, errors.OfflineModeIsEnabled) as error:
        raise unavailable(
            f"{endpoint()} cannot be reached ({type(error).__name__}). What was downloaded is kept. Check the network"
            " of this machine and its proxy settings, and try again."
        ) from None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise precondition(
            f"{endpoint()} does not answer as Hugging Face does ({type(error).__name__}). Check HF_ENDPOINT and the"
            " proxy settings of this machine."
        ) from None


def _refuse_gated(source: Repository, token: str) -> ApiError:
    if token:
        return ApiError(
            "PERMISSION_DENIED",
            f"Hugging Face does not let the account of this token read {source}. Ask for access on the model's page,"
            " wait until it is granted, and try again.",
        )
    return ApiError(
        "PERMISSION_DENIED",
        f"{source} is gated: its publisher wants to know who uses it. Agree to its terms on its page at Hugging Face,"
        " and enter a token of that account.",
    )


def _not_found(source: Repository, token: str) -> ApiError:
    more = "the account of this token may not see it" if token else "it is private, and needs a token"
    return ApiError("NOT_FOUND", f"Hugging Face has no model {source}, or {more}. Check the name.")


def _http(source: Repository, status: int) -> ApiError:
    if status == 401:  # noqa: PLR2004
        return ApiError(
            "PERMISSION_DENIED", "Hugging Face does not know this token. Make a new one there, and enter it."
        )
    if status == 403:  # noqa: PLR2004
        return ApiError(
            "PERMISSION_DENIED", f"The token doesn't allow reading {source}. Give it the right to read models."
        )
    if status == 429 or status >= 500:  # noqa: PLR2004
        return unavailable(f"Hugging Face does not answer now (status {status}). Try again in a moment.")
    return precondition(f"Hugging Face refused to give {source} (status {status}). Look at its page there.")


def _file(one: Any) -> RemoteFile:
    large = one.lfs
    size = large.size if large else one.size
    return RemoteFile(
        str(one.rfilename),
        size if isinstance(size, int) and 0 <= size < BEYOND else -1,
        str(large.sha256) if large else "",
        "" if large else str(one.blob_id or ""),
    )


def _count(found: Any) -> int:
    count = int(found)
    if count >= BEYOND:
        raise OverflowError
    return count


def _text(card: Any, name: str) -> str:
    found = card.get(name) if hasattr(card, "get") else None
    return found[:200] if isinstance(found, str) else ""
