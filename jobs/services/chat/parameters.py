"""What an endpoint can be asked with, and how much it reads."""

import re
from typing import Any

from jobs.models import Endpoint, PublisherModel
from jobs.services.catalogue import windows
from jobs.services.chat.spec import RANGES

PARAMETERS = (
    "temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "frequency_penalty", "presence_penalty",
    "response_format", "tools",
)  # fmt: skip
# vLLM on TPUs samples for all requests of a batch at once: no seed of their own, no penalties, no grammar.
TPU_PARAMETERS = ("temperature", "top_p", "top_k", "max_tokens", "stop")
PENALTIES = {"frequency_penalty", "presence_penalty"}
_TPU = re.compile(r"ct\d")


def parameters_of(endpoint: Endpoint | None) -> tuple[str, ...]:
    """The names of the parameters that the endpoint's server takes."""
    return TPU_PARAMETERS if endpoint and _TPU.match(endpoint.model.machine_type) else PARAMETERS


def only_taken(parameters: dict[str, Any], endpoint: Endpoint | None) -> dict[str, Any]:
    names = parameters_of(endpoint)
    return {name: value for name, value in parameters.items() if name in names}


def defaults_of(endpoint: Endpoint | None) -> dict[str, float]:
    """What the endpoint's server takes for parameters that a chat leaves open, as far as the catalogue tells.

    The local server gives the penalties of a base model to that model alone, and not to what was tuned from it."""
    model = PublisherModel.objects.filter(name=endpoint.model.base_model).first() if endpoint else None
    told = model.data.get("sampling", {}) if model else {}
    names = set(RANGES) if endpoint and endpoint.model.publisher_model else set(RANGES) - PENALTIES
    return {name: value for name, value in told.items() if name in names and RANGES[name].has(value)}


def context_window(endpoint: Endpoint | None) -> int | None:
    """In tokens; None when neither the deploy option nor the catalogue tells it."""
    model = PublisherModel.objects.filter(name=endpoint.model.base_model).first() if endpoint else None
    if endpoint is None or model is None:
        return None
    served = endpoint.model
    asked: int | None = served.serving_options.get("context_tokens")
    return asked or windows.served(model.data, served.machine_type, served.accelerator_count)
