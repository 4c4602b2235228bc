"""An imported model taken away again: out of what can be deployed and tuned first, then off the disk."""

import logging
from collections.abc import Callable
from typing import TypeAlias

from jobs.localvertex.api.errors import not_found, precondition
from jobs.localvertex.models.base_models import BaseModels
from jobs.localvertex.models.catalogue import Catalogue

from .shelf import Shelf

log = logging.getLogger(__name__)
MOST_NAMED = 5
ListUses: TypeAlias = Callable[[str], list[str]]


def remove(model: str, shelf: Shelf, weights: BaseModels, catalogue: Catalogue, list_uses: ListUses) -> int:
    """Bytes of the disk that this frees."""
    if catalogue.find(model) is None:  # somebody else has just removed it
        raise not_found(f"The model {model}")
    shelf.require(model)
    _require_unused(model, list_uses)  # what waits for these weights would fail while they are withdrawn
    mine = weights.withdraw(model)
    try:
        _require_unused(model, list_uses)  # from here on nothing begins with it
    except BaseException:
        weights.add(mine)
        raise
    try:
        freed = shelf.remove(model)
    except BaseException:
        weights.add(shelf.read_weights(model))  # what can be made again may be gone
        raise
    catalogue.remove(model)
    log.info("%s was removed, %d bytes are free again", model, freed)
    return freed


def _require_unused(model: str, list_uses: ListUses) -> None:
    if uses := list_uses(model):
        raise precondition(
            f"{model} is used by {', '.join(uses[:MOST_NAMED])}. Undeploy or cancel what uses it, or wait until that"
            " has ended, and remove the model then."
        )
