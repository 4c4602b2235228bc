"""The files of a model, and which of them are taken: weights, tokenizer and configuration, and never code."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.localvertex.api.errors import ApiError, invalid, precondition

MEGABYTE = 2**20
MAX_FILES = 10_000
MAX_SHARDS = 1000
MAX_SETTINGS = 8 * MEGABYTE
MAX_TEXT = 128 * MEGABYTE  # of a vocabulary
CONFIG, TOKENIZER_CONFIG, TEMPLATE = "config.json", "tokenizer_config.json", "chat_template.jinja"
INDEX = "model.safetensors.index.json"
TEXTS = (
    CONFIG, TOKENIZER_CONFIG, TEMPLATE, INDEX, "generation_config.json", "tokenizer.json", "tokenizer.model",
    "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "chat_template.json",
    "preprocessor_config.json", "processor_config.json", "params.json", "tekken.json",
    "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "NOTICE.txt", "USE_POLICY.md",
)  # fmt: skip
LARGE_TEXTS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt", "tekken.json", INDEX)
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
_PLAIN = re.compile(r"[A-Za-z0-9_][\w.+-]{0,199}")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")


@dataclass(frozen=True)
class RemoteFile:
    """One of `sha256` and `git_sha1` is known of a file of the hub; of a file of this machine, `stamp`, by which
    a change is seen."""

    name: str
    size: int
    sha256: str = ""
    git_sha1: str = ""
    stamp: str = ""


@dataclass(frozen=True)
class Listing:
    """`revision`: the commit that the files are of; of local files, what tells one state of them from another.
    `texts`: the small files that were read to tell what the model is."""

    title: str
    revision: str
    files: tuple[RemoteFile, ...]
    licence: str = ""
    licence_url: str = ""
    is_gated: bool = False
    parameters: int = 0
    texts: Mapping[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> RemoteFile | None:
        return next((one for one in self.files if one.name == name), None)

    @property
    def gguf_files(self) -> list[RemoteFile]:
        """Those that hold a whole model."""
        return [one for one in self.files if one.name.lower().endswith(".gguf") and not _is_projector(one)]

    @property
    def safetensors(self) -> list[RemoteFile]:
        """`consolidated` ones are the same weights once more, in a form of another program."""
        found = [one for one in self.files if one.name.endswith(".safetensors")]
        return [one for one in found if not one.name.startswith(("consolidated", "adapter_"))]


def check_names(names: Iterable[str], where: object) -> None:
    """Of all that a repository lists, also of what would not be taken."""
    for name in names:
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.search(r"[\x00-\x1f\x7f]", name):
            raise precondition(
                f"{where} lists a file named {name[:100]!r}, which would lead out of its folder. Choose another one."
            )


def keep_top(files: Iterable[RemoteFile]) -> tuple[RemoteFile, ...]:
    """What lies right in the repository: folders hold other forms of the same weights."""
    return tuple(one for one in files if _PLAIN.fullmatch(one.name))


def choose_files(
    listing: Listing, where: object, gguf: str = "", *, takes_safetensors: bool = True
) -> list[RemoteFile]:
    """`gguf`: which of several that hold a model. Raises ApiError with a sentence where nothing can be taken."""
    if gguf and not any(one.name == gguf for one in listing.gguf_files):
        raise invalid(f"{where} has no file {gguf[:100]!r}. Choose one of its GGUF files.", "file")
    if listing.safetensors and takes_safetensors and not gguf:
        chosen = [*_texts(listing), *_weights(listing, where)]
    elif listing.gguf_files:
        chosen = _gguf(listing, where, gguf or default_gguf(listing))
    else:
        raise _without_weights(listing, where)
    for one in chosen:
        check_size(one, where)
    return chosen


def default_gguf(listing: Listing) -> str:
    """What most people run: Q4_K_M, else the smallest that is at least 8 bits, else the smallest."""
    ordered = sorted(listing.gguf_files, key=lambda one: one.size)
    for wanted in ("q4_k_m", "q8_0"):
        for one in ordered:
            if wanted in one.name.lower():
                return one.name
    return ordered[0].name if ordered else ""


def check_size(one: RemoteFile, where: object) -> None:
    if one.size < 0:
        raise precondition(f"{where} gives no size for {one.name}. Try another revision.")
    if one.name in TEXTS and one.size > (MAX_TEXT if one.name in LARGE_TEXTS else MAX_SETTINGS):
        size = one.size // MEGABYTE
        raise precondition(f"{one.name} of {where} has {size} MB, far more than such a file needs. Choose another one.")


def _texts(listing: Listing) -> list[RemoteFile]:
    return [one for one in listing.files if one.name in TEXTS]


def _weights(listing: Listing, where: object) -> list[RemoteFile]:
    if listing.find(CONFIG) is None:
        if listing.find("adapter_config.json") is not None:
            raise _is_adapter(where)
        raise precondition(f"{where} has no config.json, which tells what its weights are. Look for another one of it.")
    found = listing.safetensors
    if len(found) > MAX_SHARDS:
        raise precondition(
            f"{where} has its weights in {len(found)} files, more than {MAX_SHARDS}. Choose another one."
        )
    return found


def _gguf(listing: Listing, where: object, name: str) -> list[RemoteFile]:
    if _SPLIT.search(name):
        raise precondition(f"{name} is a part of a model in several GGUF files. Choose a file that holds all of it.")
    chosen = listing.find(name)
    assert chosen is not None
    projectors = [one for one in listing.files if _is_projector(one)]
    whole = [one for one in projectors if "f16" in one.name.lower() and "bf16" not in one.name.lower()] or projectors
    return [chosen, *whole[:1]]


def _is_projector(one: RemoteFile) -> bool:
    return one.name.lower().endswith(".gguf") and one.name.lower().startswith("mmproj")


def _without_weights(listing: Listing, where: object) -> ApiError:
    if listing.find("adapter_config.json") is not None:
        return _is_adapter(where)
    if any(one.name.endswith(PICKLED) for one in listing.files):
        return precondition(
            f"{where} has its weights in Python's pickle format only, which can hold programs and is never loaded here."
            " Look for a repository of the same model with safetensors or GGUF files."
        )
    return precondition(f"{where} has neither safetensors nor GGUF files. Choose the repository of a model's weights.")


def _is_adapter(where: object) -> ApiError:
    return precondition(f"{where} holds an adapter, and not the model below it. Import the base model instead.")
