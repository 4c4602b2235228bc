"""Trainings of what cannot be tuned here, and those that no row makes small enough for this machine, are refused before
anything is written."""

from jobs.localvertex.api.errors import precondition
from jobs.localvertex.memory.fit import why_never_train_on
from jobs.localvertex.memory.free import whole_memory
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Method
from jobs.localvertex.models.catalogue import CatalogueModel
from jobs.localvertex.models.weights import Weights
from jobs.localvertex.resources.call import Parts


def require_trainable(weights: Weights) -> None:
    """Now, or once they are made ready. Raises FAILED_PRECONDITION with what is the matter with them."""
    if not weights.can_train:
        raise precondition(f"{weights.id} cannot be tuned: {weights.message}")


def require_memory(parts: Parts, model: CatalogueModel, method: Method) -> None:
    """Raises FAILED_PRECONDITION. What is free is asked before the training starts, when its rows are known."""
    weights = parts.weights.find(model.id)
    shape = None if weights is None or parts.instant else Shape.read(weights.hf)
    if shape is not None and (reason := why_never_train_on(parts.look(), shape, method, whole_memory())):
        raise precondition(reason)
