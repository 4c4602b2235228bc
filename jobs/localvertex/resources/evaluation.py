"""`:evaluateInstances`: the metrics that are computed. Those that ask a model of Google's are refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.cloud.aiplatform_v1beta1.types import (
    BleuSpec,
    EvaluateInstancesRequest,
    EvaluateInstancesResponse,
    EvaluationInstance,
    Metric,
    MetricResult,
    RougeSpec,
)
from google.rpc import status_pb2

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.wire import Json, parse, raw
from jobs.localvertex.evaluation import tool_calls, trajectories
from jobs.localvertex.evaluation.bleu import compute_bleu
from jobs.localvertex.evaluation.rouge import check_type, compute_rouge
from jobs.localvertex.resources.call import Call, Route
from jobs.localvertex.resources.keeping import refuse_others

MOST_INSTANCES = 1000
LONGEST_TEXT = 200_000  # characters of a prediction or a reference
Score: TypeAlias = Callable[[Any, Any], float]  # of a metric's spec and of one instance
NOT_COMPUTED = (
    "Operation is not implemented, or supported, or enabled. This server computes exact match, BLEU, ROUGE, tool call"
    " and trajectory metrics; others ask a model that judges."
)


def evaluate_instances(call: Call) -> EvaluateInstancesResponse:
    request = call.parse_post(EvaluateInstancesRequest)
    given = [found.name for found, _ in raw(request).ListFields() if found.name.endswith("_input")]
    refuse_others(request, ("location", given[0]) if given else ("location", "metrics", "metric_sources", "instance"))
    if given:
        return _score_all(given[0], getattr(request, given[0]))
    if request.metric_sources:
        raise ApiError("UNIMPLEMENTED", NOT_COMPUTED)
    if not request.metrics:
        raise invalid("One of the metric inputs is required, such as exact_match_input.", "metric_inputs")
    return EvaluateInstancesResponse(metric_results=[_score_metric(one, request.instance) for one in request.metrics])


def _score_all(name: str, given: Any) -> EvaluateInstancesResponse:
    metric = name.removesuffix("_input")
    score = SCORES.get(metric)
    if score is None:
        raise ApiError("UNIMPLEMENTED", f"{name}: {NOT_COMPUTED}")
    if not 1 <= len(given.instances) <= MOST_INSTANCES:
        raise invalid(f"{name}.instances must be a list of 1 to {MOST_INSTANCES:,}.", f"{name}.instances")
    scores = [score(given.metric_spec, _check_length(name, one)) for one in given.instances]
    values = {f"{metric}_metric_values": [{"score": one} for one in scores]}
    return parse(EvaluateInstancesResponse, {f"{metric}_results": values})


def _check_length(name: str, instance: Any) -> Any:
    for field in ("prediction", "reference"):
        if len(getattr(instance, field, "")) > LONGEST_TEXT:
            message = f"{name}: {field} has more than {LONGEST_TEXT:,} characters."
            raise invalid(message, f"{name}.instances.{field}")
    return instance


def _score_metric(metric: Metric, instance: EvaluationInstance) -> MetricResult:
    """What one metric of several lacks is told in its result."""
    try:
        return MetricResult(score=_compute(metric, instance))
    except ApiError as error:
        return MetricResult(error=status_pb2.Status(code=error.grpc_code, message=error.message))


def _compute(metric: Metric, instance: EvaluationInstance) -> float:
    name, spec = _read_spec(metric)
    texts = {"prediction": _text(instance.response, "response"), "reference": _text(instance.reference, "reference")}
    return SCORES[name](spec, _check_length("instance", _Pair(**texts)))


@dataclass(frozen=True)
class _Pair:
    prediction: str
    reference: str


def _read_spec(metric: Metric) -> tuple[str, Any]:
    kind = str(raw(metric).WhichOneof("metric_spec") or "")
    if kind in ("exact_match_spec", "bleu_spec", "rouge_spec"):
        return kind.removesuffix("_spec"), getattr(metric, kind)
    if kind != "computation_based_metric_spec":
        raise ApiError("UNIMPLEMENTED", NOT_COMPUTED)
    computed = metric.computation_based_metric_spec
    parameters: Json = dict(computed.parameters or {})
    name = computed.type_.name.lower()
    if name not in ("exact_match", "bleu", "rouge"):
        raise invalid("computation_based_metric_spec.type must be EXACT_MATCH, BLEU or ROUGE.", "metrics")
    kinds = {"bleu": BleuSpec, "rouge": RougeSpec}
    return name, parse(kinds[name], parameters) if name in kinds else None


def _text(data: Any, field: str) -> str:
    if data.text:
        return str(data.text)
    texts = [part.text for content in data.contents.contents for part in content.parts]
    if not any(texts):
        raise invalid(f"instance.{field} must have a text.", f"instance.{field}")
    return "".join(texts)


def _score_rouge(spec: Any, one: Any) -> float:
    kind = check_type(spec.rouge_type, "rouge_input.metric_spec.rouge_type")
    return compute_rouge(kind, one.prediction, one.reference, stemmed=spec.use_stemmer, split=spec.split_summaries)


def _of_calls(score: Callable[[str, str], float]) -> Score:
    return lambda _spec, one: score(one.prediction, one.reference)


def _of_steps(score: Callable[[trajectories.Steps, trajectories.Steps], float]) -> Score:
    def both(_spec: Any, one: Any) -> float:
        return score(
            trajectories.read_steps(one.predicted_trajectory), trajectories.read_steps(one.reference_trajectory)
        )

    return both


SCORES: dict[str, Score] = {
    "exact_match": lambda _, one: float(one.prediction == one.reference),
    "bleu": lambda spec, one: compute_bleu(one.prediction, one.reference, effective_order=spec.use_effective_order),
    "rouge": _score_rouge,
    "tool_call_valid": lambda _, one: tool_calls.score_valid(one.prediction),
    "tool_name_match": _of_calls(tool_calls.score_names),
    "tool_parameter_key_match": _of_calls(tool_calls.score_keys),
    "tool_parameter_kv_match": lambda spec, one: tool_calls.score_values(
        one.prediction, one.reference, strict=spec.use_strict_string_match
    ),
    "trajectory_exact_match": _of_steps(trajectories.score_exact),
    "trajectory_in_order_match": _of_steps(trajectories.score_in_order),
    "trajectory_any_order_match": _of_steps(trajectories.score_any_order),
    "trajectory_precision": _of_steps(trajectories.score_precision),
    "trajectory_recall": _of_steps(trajectories.score_recall),
    "trajectory_single_tool_use": lambda spec, one: trajectories.score_single_use(
        trajectories.read_steps(one.predicted_trajectory), spec.tool_name
    ),
}

ROUTES = [
    Route("evaluate_instances", "POST", "{location=projects/*/locations/*}:evaluateInstances", evaluate_instances)
]
