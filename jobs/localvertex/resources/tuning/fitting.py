"""Trainings that no row makes small enough for this machine are refused before anything is written."""

from jobs.localvertex.api.errors import precondition
from jobs.localvertex.devices.machine import CPU
from jobs.localvertex.memory.fit import why_never_train
from jobs.localvertex.memory.free import whole_memory
from jobs.localvertex.memory.shape import Shape
from jobs.localvertex.memory.training import Method, Training
from jobs.localvertex.models.catalogue import CatalogueModel
from jobs.localvertex.resources.call import Parts


def require_memory(parts: Parts, model: CatalogueModel, method: Method) -> None:
    """Raises FAILED_PRECONDITION. What is free is asked before the training starts, when its rows are known,
    and so is a graphics card, which may turn out too small."""
    weights, whole = parts.weights.find(model.id), whole_memory()
    if weights is None or whole is None or parts.instant or parts.trains_on != CPU:
        return
    shape = Shape.read(weights.hf)
    if shape is not None and (reason := why_never_train(Training(shape, method), whole)):
        raise precondition(reason)
