"""Tokens of requests, by the model that would answer them; and of rows of training data, by its tokenizer."""

import json
from typing import Any

from google.cloud.aiplatform_v1beta1.types import (
    ComputeTokensRequest,
    ComputeTokensResponse,
    CountTokensRequest,
    CountTokensResponse,
)
from google.protobuf import json_format

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.api.wire import parse, render
from jobs.localvertex.resources.call import Call, Route
from jobs.localvertex.resources.keeping import refuse_others
from jobs.localvertex.serving.apis.tokens import Tokens
from jobs.localvertex.serving.predict import FORMAT_KEY
from jobs.localvertex.serving.targets import Target

MOST_ROWS = 1000
TRAINING_FIELDS = ("completion", "messages", "contents")  # one of them is in each row of training data
ASKED = ("contents", "systemInstruction", "tools")


def count_tokens(call: Call) -> CountTokensResponse:
    """`instances` of a publisher's model may be rows of training data: what they have in a training is told, of one
    pass, and only as much as it learns from."""
    request = call.parse_post(CountTokensRequest)
    if not request.contents and _are_rows(request):
        return CountTokensResponse(total_tokens=_count_rows(call, request))
    asked = ("contents", "system_instruction", "tools") if request.contents else ("instances",)
    refuse_others(request, ("endpoint", "model", "generation_config", *asked))
    target, tokens = _target(call, request.endpoint), Tokens(call.parts.serving, call.parts.buckets)
    shown = render(request)
    if request.contents:
        found = tokens.count_contents(target, {key: shown[key] for key in ASKED if key in shown})
    else:
        found = tokens.count_instances(target, _instances(request))
    details = [{"modality": "TEXT", "token_count": found["tokens"]}]
    return CountTokensResponse(
        total_tokens=found["tokens"], total_billable_characters=found["characters"], prompt_tokens_details=details
    )


def compute_tokens(call: Call) -> ComputeTokensResponse:
    request = call.parse_post(ComputeTokensRequest)
    refuse_others(request, ("endpoint", "model", "contents" if request.contents else "instances"))
    target, tokens = _target(call, request.endpoint), Tokens(call.parts.serving, call.parts.buckets)
    if request.contents:
        found = tokens.list_contents(target, render(request)["contents"])
    else:
        found = tokens.list_instances(target, _instances(request))
    return parse(ComputeTokensResponse, {"tokensInfo": found})


def _target(call: Call, name: str) -> Target:
    size = len(json.dumps(call.body)) if "/endpoints/" in name else 0
    return call.parts.targets.find(name, call.host, size)


def _instances(request: Any) -> list[Any]:
    if not request.instances:
        raise invalid("Unable to submit request because at least one contents field is required.", "contents")
    return [json_format.MessageToDict(one) for one in type(request).pb(request).instances]


def _are_rows(request: CountTokensRequest) -> bool:
    if "/publishers/" not in request.endpoint or not request.instances:
        return False
    rows = _instances(request)
    return any(
        isinstance(row, dict) and FORMAT_KEY not in row and not row.keys().isdisjoint(TRAINING_FIELDS) for row in rows
    )


def _count_rows(call: Call, request: CountTokensRequest) -> int:
    model = call.parts.catalogue.get(request.endpoint.partition("/publishers/")[2].replace("/models/", "/"), "endpoint")
    refuse_others(request, ("endpoint", "model", "instances", "generation_config"))
    if len(request.instances) > MOST_ROWS:
        raise invalid(f"At most {MOST_ROWS:,} rows are counted at a time.", "instances")
    weights = call.parts.weights.get(model.id, model.how_to_get)
    if model.tuning is None or not weights.trainable:
        raise precondition(f"{model.id} is not ready to be tuned on this machine.")
    rows = [json.dumps(row, ensure_ascii=False) for row in _instances(request)]
    tokens = call.parts.trials.count(weights, rows, model.tuning.max_tokens)
    if not call.parts.runner.running:
        call.parts.trials.measure_soon(weights)
    return tokens


_NAMES = (
    "{endpoint=projects/*/locations/*/endpoints/*}",
    "{endpoint=projects/*/locations/*/publishers/*/models/*}",
)

ROUTES = [
    *(Route("count_tokens", "POST", f"{name}:countTokens", count_tokens) for name in _NAMES),
    *(Route("compute_tokens", "POST", f"{name}:computeTokens", compute_tokens) for name in _NAMES),
]
