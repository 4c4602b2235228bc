"""The tokens of rows of training data, by the model's own tokenizer and chat template."""

import json

from google.cloud.aiplatform_v1beta1.types import CountTokensRequest, CountTokensResponse
from google.protobuf import json_format

from jobs.localvertex.api.errors import invalid, precondition
from jobs.localvertex.resources.call import Call, Route
from jobs.localvertex.resources.keeping import refuse_others

MOST_ROWS = 1000


def count_tokens(call: Call) -> CountTokensResponse:
    """`instances` are rows. What they have in a training is told: of one pass, and only as much as it learns from."""
    request = call.parse_post(CountTokensRequest)
    model = call.parts.catalogue.get(request.endpoint.partition("/publishers/")[2].replace("/models/", "/"), "endpoint")
    refuse_others(request, ("endpoint", "model", "instances", "generation_config"))
    if not request.instances:
        raise invalid("Send rows of training data as instances: this server counts nothing else.", "instances")
    if len(request.instances) > MOST_ROWS:
        raise invalid(f"At most {MOST_ROWS:,} rows are counted at a time.", "instances")
    weights = call.parts.weights.get(model.id, model.how_to_get)
    if model.tuning is None or not weights.trainable:
        raise precondition(f"{model.id} is not ready to be tuned on this machine.")
    raw = CountTokensRequest.pb(request).instances
    rows = [json.dumps(json_format.MessageToDict(row), ensure_ascii=False) for row in raw]
    tokens = call.parts.trials.count(weights, rows, model.tuning.max_tokens)
    if not call.parts.runner.running:
        call.parts.trials.measure_soon(weights)
    return CountTokensResponse(total_tokens=tokens)


ROUTES = [
    Route("count_tokens", "POST", "{endpoint=projects/*/locations/*/publishers/*/models/*}:countTokens", count_tokens)
]
