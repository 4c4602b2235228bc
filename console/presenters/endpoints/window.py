"""How much an endpoint reads, and why that is less than what its model was made for."""

from dataclasses import dataclass

from console.presenters.catalogue import context_windows
from jobs.models import Endpoint, PublisherModel
from jobs.services.catalogue import windows


@dataclass(frozen=True)
class Window:
    """`why` is empty where it is as large as the model's own."""

    tokens: int
    why: str


def window_of(endpoint: Endpoint) -> Window | None:
    """None when nobody tells it. One query."""
    served = endpoint.model
    model = PublisherModel.objects.filter(name=served.base_model).first()
    if model is None:
        return None
    machine = (served.machine_type, served.accelerator_count)
    if asked := served.serving_options.get("context_tokens"):
        return Window(asked, "")
    tokens, less = windows.served(model.data, *machine), context_windows.served(model.data, *machine)
    return Window(tokens, less.made_for_words if less else "") if tokens else None
