"""Predictions that take tensors or explain themselves: no model server here does."""

from typing import Any, NoReturn

from google.cloud.aiplatform_v1beta1.types import (
    DirectPredictRequest,
    DirectRawPredictRequest,
    Endpoint,
    ExplainRequest,
)

from jobs.localvertex.api.errors import precondition
from jobs.localvertex.resources.call import Call, Route

NO_TENSORS = "The model server takes no tensors. Use :predict, :rawPredict or chat/completions."
NO_EXPLANATIONS = "The deployed model has no explanation_spec: language models explain no predictions. Use :predict."


def direct_predict(call: Call) -> NoReturn:
    _refuse(call, DirectPredictRequest, NO_TENSORS)


def direct_raw_predict(call: Call) -> NoReturn:
    _refuse(call, DirectRawPredictRequest, NO_TENSORS)


def explain(call: Call) -> NoReturn:
    _refuse(call, ExplainRequest, NO_EXPLANATIONS)


def _refuse(call: Call, kind: Any, why: str) -> NoReturn:
    call.parts.store.get(Endpoint, call.parse_post(kind).endpoint)
    raise precondition(why)


_ENDPOINT = "{endpoint=projects/*/locations/*/endpoints/*}"

ROUTES = [
    Route("direct_predict", "POST", f"{_ENDPOINT}:directPredict", direct_predict),
    Route("direct_raw_predict", "POST", f"{_ENDPOINT}:directRawPredict", direct_raw_predict),
    Route("explain", "POST", f"{_ENDPOINT}:explain", explain),
]
