"""`:evaluateInstances` as REST has it."""

import httpx
import pytest

from tests.jobs.localvertex.servers import PARENT

PAIR = {"prediction": "a b", "reference": "a b"}
CALL = '{"content": "", "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}'
CALLS = {"prediction": CALL, "reference": CALL}
STEPS = {"toolCalls": [{"toolName": "f", "toolInput": "{}"}]}
BOTH = {"predictedTrajectory": STEPS, "referenceTrajectory": STEPS}


def evaluate(server, version="v1beta1", **body):
    address = f"{server.url}/{version}/{PARENT}:evaluateInstances"
    return httpx.post(address, json=body, trust_env=False, timeout=20)


@pytest.mark.parametrize(
    ("metric", "spec", "instance"),
    [
        ("exactMatch", {}, PAIR),
        ("bleu", {"useEffectiveOrder": True}, PAIR),
        ("rouge", {"rougeType": "rougeLsum", "useStemmer": True}, PAIR),
        ("toolCallValid", {}, CALLS),
        ("toolNameMatch", {}, CALLS),
        ("toolParameterKeyMatch", {}, CALLS),
        ("toolParameterKvMatch", {"useStrictStringMatch": True}, CALLS),
        ("trajectoryExactMatch", {}, BOTH),
        ("trajectoryInOrderMatch", {}, BOTH),
        ("trajectoryAnyOrderMatch", {}, BOTH),
        ("trajectoryPrecision", {}, BOTH),
        ("trajectoryRecall", {}, BOTH),
        ("trajectorySingleToolUse", {"toolName": "f"}, {"predictedTrajectory": STEPS}),
    ],
)
def test_every_metric_has_its_results(server, metric, spec, instance):
    found = evaluate(server, **{f"{metric}Input": {"metricSpec": spec, "instances": [instance]}}).json()
    ((name, values),) = found.items()
    assert (name, [*values.values()]) == (f"{metric}Results", [[{"score": 1}]])


def test_instances_keep_their_order(server):
    instances = [PAIR, {"prediction": "a", "reference": "b"}]
    found = evaluate(server, "v1", exactMatchInput={"metricSpec": {}, "instances": instances}).json()
    assert found == {"exactMatchResults": {"exactMatchMetricValues": [{"score": 1}, {"score": 0}]}}


def test_several_metrics_of_one_instance(server):
    """What cannot be computed is told in its own result."""
    computed = {"type": "ROUGE", "parameters": {"rouge_type": "rouge1"}}
    metrics = [
        {"exactMatchSpec": {}},
        {"computationBasedMetricSpec": computed},
        {"pointwiseMetricSpec": {"metricPromptTemplate": "How good is it?"}},
    ]
    words = {"response": {"text": "a b"}, "reference": {"contents": {"contents": [{"parts": [{"text": "a c"}]}]}}}
    exact, overlap, judged = evaluate(server, metrics=metrics, instance=words).json()["metricResults"]
    assert (exact, overlap) == ({"score": 0}, {"score": 0.5})
    assert (judged["error"]["code"], "score" in judged) == (12, False)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({}, 400, "One of the metric inputs is required"),
        ({"bleuInput": {"metricSpec": {}, "instances": []}}, 400, "The bleu_input.instances field is required."),
        (
            {"bleuInput": {"metricSpec": {}, "instances": [PAIR] * 1001}},
            400,
            "bleu_input.instances must be a list of 1 to 1,000.",
        ),
        ({"bleuInput": {"instances": [PAIR]}}, 400, "The bleu_input.metric_spec field is required."),
        (
            {"rougeInput": {"metricSpec": {"rougeType": "r"}, "instances": [PAIR]}},
            400,
            "Rouge type 'r' is not",
        ),
        ({"toolNameMatchInput": {"metricSpec": {}, "instances": [PAIR]}}, 400, "reference must be a JSON object"),
        (
            {"exactMatchInput": {"metricSpec": {}, "instances": [{"prediction": "a" * 200_001, "reference": "a"}]}},
            400,
            "exact_match_input: prediction",
        ),
        (
            {"coherenceInput": {"metricSpec": {}, "instance": {"prediction": "a"}}},
            501,
            "coherence_input: Operation is not implemented",
        ),
        (
            {"pointwiseMetricInput": {"metricSpec": {"metricPromptTemplate": "p"}, "instance": {"jsonInstance": "{}"}}},
            501,
            "pointwise_metric_input: Operation is not implemented, or supported",
        ),
        ({"metricSources": [{"metricResourceName": "a"}]}, 501, "Operation is not implemented, or supported"),
    ],
)
def test_refused(server, body, code, message):
    refused = evaluate(server, **body)
    assert refused.status_code == code
    assert refused.json()["error"]["message"].startswith(message)
