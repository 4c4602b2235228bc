"""What somebody names to be imported: a repository of Hugging Face, or files of this machine."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from jobs.localvertex.api.errors import invalid

HUB = "https://huggingface.co"
HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_REVISION = re.compile(r"[A-Za-z0-9_][\w./-]{0,199}")
_NO_TEXT = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_ADDRESS = re.compile(rf"/(?P<repository>{_PART}/{_PART})(?:/(?:tree|blob|resolve)/(?P<revision>[^/]+)(?:/.*)?)?/?")
HOW = "Enter ORGANIZATION/MODEL, such as Qwen/Qwen3-0.6B, or the address of the model's page at Hugging Face."


@dataclass(frozen=True)
class Repository:
    """`revision`: a branch, a tag or a commit."""

    name: str
    revision: str = "main"

    @property
    def title(self) -> str:
        return self.name.partition("/")[2]

    @property
    def family(self) -> str:
        """As Vertex AI names the publishers of Hugging Face's models, in small letters."""
        return f"hf-{self.name}".lower()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class LocalFiles:
    """A folder, or one GGUF file, of the machine of this server."""

    path: Path

    @property
    def title(self) -> str:
        return self.path.stem if self.path.is_file() else self.path.name

    @property
    def family(self) -> str:
        name = re.sub(r"[^a-z0-9._-]+", "-", self.title.lower()).strip("-.") or "model"
        return f"local/{name}"

    def __str__(self) -> str:
        return str(self.path)


Source = Repository | LocalFiles


def endpoint() -> str:
    """Of the hub, without a slash at its end."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUB


def parse_source(text: str, revision: str = "") -> Source:
    text = text.strip()
    if _NO_TEXT.search(text + revision):
        raise invalid("A name or path can't contain control characters.", "source")
    if text.startswith("/"):
        return LocalFiles(Path(text))
    if revision and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise invalid(f"{revision[:200]!r} is no branch, tag or commit.", "revision")
    if "://" in text:
        return _parse_address(text, revision)
    if not _REPOSITORY.fullmatch(text) or ".." in text or "--" in text:
        raise invalid(f"{text[:200]!r} is not the name of a model at Hugging Face. {HOW}", "source")
    return Repository(text, revision or "main")


def _parse_address(text: str, revision: str) -> Repository:
    try:
        address = urlsplit(text)
        hosts = (*HUB_HOSTS, urlsplit(endpoint()).netloc)
    except ValueError:
        raise invalid(f"{text[:200]!r} is no address. {HOW}", "source") from None
    if address.scheme not in ("http", "https") or address.netloc not in hosts:
        raise invalid(f"{text[:200]!r} is no address of {endpoint()}. {HOW}", "source")
    found = _ADDRESS.fullmatch(address.path)
    if found is None or ".." in address.path:
        raise invalid(f"{text[:200]!r} is not the address of a model at Hugging Face. {HOW}", "source")
    named = parse_source(found["repository"], revision or unquote(found["revision"] or ""))
    assert isinstance(named, Repository)
    return named
