"""The last look at the files of a model before it is shown to anybody: are they what they say?"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.localvertex.api.errors import precondition

from .facts import LONGEST_NAME, Plan, has_template, read_json, write_count
from .gguf import read_gguf
from .listing import CONFIG, TEMPLATE, TOKENIZER_CONFIG, Listing
from .shelf import PROJECTOR, WHOLE
from .source import HUB, Repository, Source
from .tensors import check_weights, text_of

TOKENIZERS = ("tokenizer.json", "tokenizer.model")


@dataclass(frozen=True)
class Found:
    parameters: int = 0
    context_tokens: int = 0
    has_template: bool = True


def check(folder: Path, plan: Plan, where: object) -> Found:
    """Raises ApiError with a sentence for files that are damaged, or of another model than they say."""
    if plan.gguf:
        return _check_gguf(folder)
    config = read_json((folder / CONFIG).read_bytes(), CONFIG, where)
    if config != dict(plan.config) or plan.family is None:
        raise precondition(f"{CONFIG} of {where} changed while it was read. Try again.")
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise precondition(f"{where} has no tokenizer ({' or '.join(TOKENIZERS)}). Look for another repository of it.")
    parameters = check_weights(folder, config, plan.family)
    context = text_of(config).get("max_position_embeddings")
    names = (TEMPLATE, TOKENIZER_CONFIG)
    texts = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    return Found(parameters, context if type(context) is int else 0, has_template(texts, where))


def drop_code(folder: Path) -> None:
    """What names code of the repository, which was not taken and would never be run."""
    for name in (CONFIG, TOKENIZER_CONFIG):
        path = folder / name
        if not path.is_file():
            continue
        found = read_json(path.read_bytes(), name, folder.name)
        if found.pop("auto_map", None) is not None:
            path.write_text(json.dumps(found, ensure_ascii=False, indent=2), encoding="utf-8")


def _check_gguf(folder: Path) -> Found:
    found = read_gguf(folder / WHOLE)
    if found.is_projector:
        raise precondition("The GGUF file holds only the vision part of a model. Choose the file of the model itself.")
    if (folder / PROJECTOR).is_file() and not read_gguf(folder / PROJECTOR).is_projector:
        raise precondition(
            "The mmproj file holds a whole model, not the vision part of one. Choose another repository."
        )
    return Found(context_tokens=found.context_tokens, has_template=found.has_template)


def make_card(source: Source, listing: Listing, plan: Plan, found: Found) -> dict[str, Any]:
    """What the catalogue shows of it; without a chat template it says what that means."""
    is_repository = isinstance(source, Repository)
    summary = f"Imported from {'Hugging Face' if is_repository else 'files of this computer'}."
    if not found.has_template:
        summary += " It has no chat template: it continues texts, and answers questions only after a tuning."
    page = f"{HUB}/{source}" if is_repository else ""
    return {
        "display_name": listing.title[:LONGEST_NAME],
        "summary": summary,
        "parameters": write_count(found.parameters or listing.parameters),
        "context_tokens": found.context_tokens,
        "licence": {"name": listing.licence, "url": _url(listing, page), "acceptance": listing.is_gated},
        "weights": page,
    }


def _url(listing: Listing, page: str) -> str:
    """A link of the model's card may lead anywhere."""
    return listing.licence_url if listing.licence_url.startswith("https://") else page
