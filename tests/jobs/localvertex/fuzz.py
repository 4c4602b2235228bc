"""Requests as clients send them, and what a seeded generator makes of them: wrong types, lost and added fields, broken
JSON, other names and queries. Every mutation keeps the rest, so that most requests get past the first check."""

import copy
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.jobs.localvertex.servers import PARENT, PROJECT, TINY, TINY_NAME

NASTY: list[Any] = [
    None, True, 0, -1, 1.5, 2**63, -(2**70), 1e308, "", " ", "x" * 5000, "é\u0000\u202e", "../../etc", "%2e%2e", "NaN",
    "gs://", "gs://garden-local", "gs://no-such-bucket/x", "projects/p1", [], [None], {}, {"": ""}, [[[[[]]]]],
    {"@type": "type.googleapis.com/google.protobuf.Any"}, "2026-99-99T00:00:00Z", "-5s",
]  # fmt: skip
SEGMENTS = ["", "*", "-", "@", "a@b@c", "%00", "%2F", "..", "é", "x" * 300, "default", "fuzz@1", "fuzz@99", ":cancel"]
KEYS = ["updateMask", "readMask", "pageSize", "pageToken", "filter", "orderBy", "$alt", "alt", "endpointId", "shoes"]
VALUES = [
    "1", "-1", "a,b", "((", "a=b AND", "labels.a:*", "name:*", "name,labels", "createTime>1", "name desc", "9" * 5000,
    "json;enum-encoding=int", "desc", "%ff", "b",
]  # fmt: skip
SERIES = {
    "filter": 'metric.type="aiplatform.googleapis.com/prediction/online/response_count"',
    "interval.startTime": "2026-11-30T04:00:00Z",
    "interval.endTime": "2026-11-30T05:00:00Z",
    "aggregation.alignmentPeriod": "300s",
    "aggregation.perSeriesAligner": "ALIGN_DELTA",
    "aggregation.crossSeriesReducer": "REDUCE_SUM",
    "aggregation.groupByFields": "metric.labels.response_code",
}
ENTRIES = {
    "resourceNames": [PROJECT], "filter": 'resource.type="ml_job" AND timestamp>"2026-11-30T05:00:00Z"',
    "orderBy": "timestamp desc", "pageSize": 10, "pageToken": "",
}  # fmt: skip
BOARD = f"{PARENT}/tensorboards/1"
RUN = f"{BOARD}/experiments/e/runs/r"
OWN = f"{PARENT}/tensorboards/own"
OWN_RUN = f"{OWN}/experiments/f/runs/f"
WRITTEN = {
    "tensorboardTimeSeriesId": "f",
    "valueType": "SCALAR",
    "values": [{"step": 1, "scalar": {"value": 0.5}, "wallTime": "2026-05-18T00:00:00Z"}],
}
ENDPOINT, MODEL = f"{PARENT}/endpoints/fuzz", f"{PARENT}/models/m-fuzz"
CHAT = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "temperature": 0.5, "stop": ["x"], "seed": 1}
COMPLETION = {"prompt": ["a", "b"], "max_tokens": 5, "n": 2, "logprobs": 1, "echo": True, "seed": 1}
GENERATE = {
    "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
    "systemInstruction": {"parts": [{"text": "Be short."}]},
    "generationConfig": {"temperature": 0.5, "topK": 3, "maxOutputTokens": 5, "stopSequences": ["x"], "seed": 1},
    "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {}}}]}],
}
BATCH = {
    "displayName": "F",
    "model": TINY_NAME,
    "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://garden-local/fuzz/train.jsonl"]}},
    "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "gs://garden-local/fuzz/out"}},
    "instanceConfig": {"keyField": "completion"},
    "modelParameters": {"max_tokens": 5},
}
POOLED = {"machineSpec": {"machineType": "n1-standard-4"}, "minReplicaCount": 1, "maxReplicaCount": 2}
PAIR = {"prediction": "a b", "reference": "a c"}
SPEC = {
    "trainingDatasetUri": "gs://garden-local/fuzz/train.jsonl",
    "hyperParameters": {"epochCount": "1", "learningRate": 0.001, "adapterSize": "ADAPTER_SIZE_FOUR"},
    "tuningMode": "TUNING_MODE_PEFT_ADAPTER",
}
TUNE = {
    "baseModel": TINY,
    "outputUri": "gs://garden-local/fuzz/out",
    "supervisedTuningSpec": SPEC,
    "labels": {"a": "b"},
}
DEPLOY = {
    "publisherModelName": TINY_NAME,
    "modelConfig": {"modelUserId": "m-fuzz"},
    "endpointConfig": {"endpointUserId": "fuzz"},
    "deployConfig": {"dedicatedResources": {"machineSpec": {"machineType": "local-cpu"}, "minReplicaCount": 1}},
}
CONTAINER = {
    "imageUri": "us-docker.pkg.dev/x/pytorch-peft-train:1",
    "args": ["--pretrained_model_name_or_path=tiny-gemma3", "--train_dataset=gs://a/b", "--output_dir=gs://a/c"],
}
CUSTOM = {"displayName": "F", "jobSpec": {"workerPoolSpecs": [{"containerSpec": CONTAINER, "replicaCount": 1}]}}
PIPELINE = {
    "displayName": "F",
    "trainingTaskDefinition": "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml",
    "trainingTaskInputs": CUSTOM["jobSpec"],
}
STORE = f"{PARENT}/metadataStores/default"
DEPLOYED = {"model": MODEL, "id": "7", "dedicatedResources": {"minReplicaCount": 1}}
SEEDS: list[tuple[str, str, Any]] = [
    ("GET", "publishers/google/models", None),
    (
        "POST",
        f"{PARENT}/{TINY_NAME}:countTokens",
        {"instances": [{"prompt": "Hi", "completion": "Hello"}]},
    ),
    ("POST", f"{PARENT}/{TINY_NAME}:computeTokens", {"contents": GENERATE["contents"]}),
    ("POST", f"{ENDPOINT}:countTokens", {**GENERATE, "generationConfig": {}}),
    ("POST", f"{ENDPOINT}:countTokens", {"instances": [{"prompt": "Once"}]}),
    (
        "POST",
        f"{PARENT}:evaluateInstances",
        {"rougeInput": {"metricSpec": {"rougeType": "rouge1", "useStemmer": True}, "instances": [PAIR]}},
    ),
    ("POST", f"{PARENT}:evaluateInstances", {"toolNameMatchInput": {"metricSpec": {}, "instances": [PAIR]}}),
    ("POST", f"{PARENT}:evaluateInstances", {"metrics": [{"bleuSpec": {}}], "instance": {"response": {"text": "a"}}}),
    (
        "POST",
        f"{PARENT}/{TINY_NAME}:export",
        {"destination": {"outputUriPrefix": "gs://garden-local/fuzz/base"}},
    ),
    ("GET", TINY_NAME, None),
    ("POST", f"{PROJECT}/modelGardenEula:accept", {"publisherModel": TINY_NAME}),
    ("POST", f"{PROJECT}/modelGardenEula:check", {"publisherModel": TINY_NAME}),
    ("POST", f"{PARENT}:recommendSpec", {"gcsUri": "gs://garden-local/fuzz", "checkUserQuota": True}),
    ("POST", f"{PARENT}:deploy", DEPLOY),
    ("POST", f"{PARENT}/tuningJobs", TUNE),
    ("GET", f"{PARENT}/tuningJobs", None),
    ("GET", f"{PARENT}/tuningJobs/1", None),
    ("POST", f"{PARENT}/tuningJobs/1:cancel", {}),
    ("POST", f"{PARENT}/tuningJobs:rebaseTunedModel", {"tunedModelRef": {"tuningJob": f"{PARENT}/tuningJobs/1"}}),
    ("POST", f"{PARENT}/customJobs", CUSTOM),
    ("GET", f"{PARENT}/customJobs", None),
    ("GET", f"{PARENT}/customJobs/1", None),
    ("POST", f"{PARENT}/customJobs/1:cancel", {}),
    ("DELETE", f"{PARENT}/customJobs/1", None),
    ("POST", f"{PARENT}/endpoints", {"displayName": "F", "labels": {"a": "b"}, "description": "d"}),
    ("GET", f"{PARENT}/endpoints", None),
    ("GET", ENDPOINT, None),
    ("DELETE", f"{PARENT}/endpoints/none", None),
    ("PATCH", f"{ENDPOINT}?updateMask=displayName,labels", {"displayName": "G", "labels": {"a": "c"}, "etag": ""}),
    ("POST", f"{ENDPOINT}:update", {"endpoint": {"clientConnectionConfig": {"inferenceTimeout": "60s"}}}),
    ("POST", f"{ENDPOINT}:deployModel", {"deployedModel": DEPLOYED, "trafficSplit": {"0": 100}}),
    ("POST", f"{ENDPOINT}:undeployModel", {"deployedModelId": "8", "trafficSplit": {"7": 100}}),
    ("POST", f"{ENDPOINT}:mutateDeployedModel", {"deployedModel": DEPLOYED, "updateMask": "dedicatedResources"}),
    ("POST", f"{ENDPOINT}/chat/completions", CHAT),
    ("POST", f"{ENDPOINT}/chat/completions", {**CHAT, "stream": True, "stream_options": {"include_usage": True}}),
    ("POST", f"{ENDPOINT}/completions", COMPLETION),
    ("POST", f"{ENDPOINT}/completions", {**COMPLETION, "stream": True, "stream_options": {"include_usage": True}}),
    ("POST", f"{ENDPOINT}/invoke/v1/completions", COMPLETION),
    ("POST", f"{PARENT}/endpoints/openapi/chat/completions", {**CHAT, "model": TINY}),
    ("POST", f"{ENDPOINT}:generateContent", GENERATE),
    ("POST", f"{ENDPOINT}:streamGenerateContent", GENERATE),
    ("POST", f"{PARENT}/{TINY_NAME}:generateContent", GENERATE),
    ("POST", f"{ENDPOINT}:predict", {"instances": [{"@requestFormat": "chatCompletions", **CHAT}]}),
    ("POST", f"{ENDPOINT}:predict", {"instances": [{"prompt": "Once"}], "parameters": {"max_tokens": 5}}),
    ("POST", f"{ENDPOINT}:rawPredict", {"prompt": "Once"}),
    ("POST", f"{ENDPOINT}:streamRawPredict", {"prompt": "Once", "stream": True}),
    ("POST", f"{ENDPOINT}:serverStreamingPredict", {"inputs": [{"stringVal": ["Once"]}]}),
    (
        "POST",
        f"{PARENT}/models:upload",
        {"model": {"displayName": "F", "artifactUri": "gs://a/b"}, "parentModel": MODEL},
    ),
    ("GET", f"{PARENT}/models", None),
    ("POST", f"{PARENT}/models:copy", {"sourceModel": MODEL, "modelId": "copied"}),
    ("GET", f"{MODEL}@1", None),
    ("DELETE", f"{PARENT}/models/none", None),
    ("PATCH", f"{MODEL}?updateMask=description", {"description": "d"}),
    ("GET", f"{MODEL}:listVersions", None),
    ("GET", f"{MODEL}:listCheckpoints", None),
    ("DELETE", f"{MODEL}@9:deleteVersion", None),
    ("POST", f"{MODEL}@1:mergeVersionAliases", {"versionAliases": ["live", "-old"]}),
    ("GET", f"{PARENT}/operations", None),
    ("GET", f"{ENDPOINT}/operations", None),
    ("POST", f"{PARENT}/operations/1:wait", {"timeout": "0.1s"}),
    ("GET", f"{PARENT}/operations/1", None),
    ("POST", f"{PARENT}/operations/1:cancel", {}),
    ("DELETE", f"{PARENT}/operations/1", None),
    ("GET", f"{PARENT}/tensorboards", None),
    ("GET", BOARD, None),
    ("GET", f"{BOARD}:batchRead?timeSeries={RUN}/timeSeries/1", None),
    ("GET", f"{BOARD}/experiments", None),
    ("GET", f"{BOARD}/experiments/e", None),
    ("GET", f"{BOARD}/experiments/e/runs", None),
    ("GET", RUN, None),
    ("GET", f"{RUN}/timeSeries", None),
    ("GET", f"{RUN}/timeSeries/1", None),
    ("GET", f"{RUN}/timeSeries/1:read?maxDataPoints=3", None),
    ("POST", f"{RUN}/timeSeries/1:exportTensorboardTimeSeries", {"pageSize": 2}),
    ("POST", f"{PARENT}/batchPredictionJobs", BATCH),
    ("GET", f"{PARENT}/batchPredictionJobs", None),
    ("GET", f"{PARENT}/batchPredictionJobs/1", None),
    ("POST", f"{PARENT}/batchPredictionJobs/1:cancel", {}),
    ("DELETE", f"{PARENT}/batchPredictionJobs/1", None),
    (
        "POST",
        f"{PARENT}/deploymentResourcePools",
        {"deploymentResourcePoolId": "fuzz", "deploymentResourcePool": {"dedicatedResources": POOLED}},
    ),
    ("GET", f"{PARENT}/deploymentResourcePools", None),
    ("GET", f"{PARENT}/deploymentResourcePools/fuzz", None),
    ("GET", f"{PARENT}/deploymentResourcePools/fuzz:queryDeployedModels", None),
    (
        "PATCH",
        f"{PARENT}/deploymentResourcePools/fuzz?updateMask=dedicatedResources.maxReplicaCount",
        {"dedicatedResources": POOLED},
    ),
    ("DELETE", f"{PARENT}/deploymentResourcePools/none", None),
    ("POST", f"{PARENT}/cachedContents", {"model": TINY_NAME, "contents": GENERATE["contents"], "ttl": "60s"}),
    ("GET", f"{PARENT}/cachedContents", None),
    ("GET", f"{PARENT}/cachedContents/1", None),
    ("PATCH", f"{PARENT}/cachedContents/1?updateMask=ttl", {"ttl": "60s"}),
    ("DELETE", f"{PARENT}/cachedContents/1", None),
    ("POST", f"{PARENT}/trainingPipelines", PIPELINE),
    ("GET", f"{PARENT}/trainingPipelines", None),
    ("GET", f"{PARENT}/trainingPipelines/1", None),
    ("POST", f"{PARENT}/trainingPipelines/1:cancel", {}),
    ("DELETE", f"{PARENT}/trainingPipelines/1", None),
    ("POST", f"{PARENT}/tensorboards", {"displayName": "F", "labels": {"a": "b"}, "isDefault": True}),
    ("PATCH", f"{OWN}?updateMask=displayName,labels", {"displayName": "G", "labels": {"a": "c"}, "etag": ""}),
    ("DELETE", f"{PARENT}/tensorboards/none", None),
    ("POST", f"{OWN}/experiments?tensorboardExperimentId=g", {"displayName": "F", "source": "s"}),
    ("PATCH", f"{OWN}/experiments/f?updateMask=description", {"description": "d"}),
    ("DELETE", f"{OWN}/experiments/none", None),
    ("POST", f"{OWN}/experiments/f/runs?tensorboardRunId=g", {"displayName": "F", "labels": {"a": "b"}}),
    ("PATCH", f"{OWN_RUN}?updateMask=labels", {"labels": {"a": "c"}}),
    ("DELETE", f"{OWN}/experiments/f/runs/none", None),
    (
        "POST",
        f"{OWN}/experiments/f/runs:batchCreate",
        {"requests": [{"tensorboardRun": {"displayName": "H"}, "tensorboardRunId": "h"}]},
    ),
    ("POST", f"{OWN_RUN}/timeSeries", {"displayName": "G", "valueType": "SCALAR", "pluginData": "Zm9v"}),
    ("PATCH", f"{OWN_RUN}/timeSeries/f?updateMask=pluginName", {"pluginName": "scalars"}),
    ("DELETE", f"{OWN_RUN}/timeSeries/none", None),
    (
        "POST",
        f"{OWN}/experiments/f:batchCreate",
        {"requests": [{"parent": OWN_RUN, "tensorboardTimeSeries": {"displayName": "H", "valueType": "TENSOR"}}]},
    ),
    ("POST", f"{OWN_RUN}:write", {"timeSeriesData": [WRITTEN]}),
    (
        "POST",
        f"{OWN}/experiments/f:write",
        {"writeRunDataRequests": [{"tensorboardRun": OWN_RUN, "timeSeriesData": [WRITTEN]}]},
    ),
    ("GET", f"{OWN_RUN}/timeSeries/f:read?maxDataPoints=3&filter=step>1", None),
    ("GET", f"{OWN}:readSize", None),
    ("GET", f"{OWN}:readUsage", None),
    ("POST", f"{ENDPOINT}:directPredict", {"inputs": [{"stringVal": ["Once"]}], "parameters": {"intVal": [1]}}),
    ("POST", f"{ENDPOINT}:directRawPredict", {"methodName": "m", "input": "Zm9v"}),
    ("POST", f"{ENDPOINT}:explain", {"instances": [{"prompt": "Once"}], "deployedModelId": "7"}),
    ("GET", f"{PARENT}/hyperparameterTuningJobs", None),
    (
        "POST",
        f"{PARENT}/hyperparameterTuningJobs",
        {"displayName": "F", "studySpec": {}, "trialJobSpec": {}, "maxTrialCount": 1, "parallelTrialCount": 1},
    ),
    ("GET", f"{PARENT}/hyperparameterTuningJobs/1", None),
    ("POST", f"{PARENT}/hyperparameterTuningJobs/1:cancel", {}),
    ("DELETE", f"{PARENT}/hyperparameterTuningJobs/1", None),
    ("GET", f"{PARENT}/persistentResources", None),
    ("POST", f"{PARENT}/persistentResources?persistentResourceId=f", {"resourcePools": [{"replicaCount": 1}]}),
    ("GET", f"{PARENT}/persistentResources/f", None),
    ("PATCH", f"{PARENT}/persistentResources/f?updateMask=labels", {"labels": {"a": "c"}}),
    ("DELETE", f"{PARENT}/persistentResources/f", None),
    ("POST", f"{PARENT}/persistentResources/f:reboot", {}),
    ("GET", STORE, None),
    *(
        seed
        for kind in ("context", "execution", "artifact")
        for seed in (
            (
                "POST",
                f"{STORE}/{kind}s?{kind}Id=fuzz",
                {"displayName": "F", "metadata": {"a": 1}, "labels": {"a": "b"}},
            ),
            ("GET", f"{STORE}/{kind}s?filter=displayName=F", None),
            ("GET", f"{STORE}/{kind}s/fuzz", None),
            ("PATCH", f"{STORE}/{kind}s/fuzz?updateMask=description", {"description": "d"}),
            ("DELETE", f"{STORE}/{kind}s/none", None),
        )
    ),
    ("POST", f"{STORE}/contexts/fuzz:addContextChildren", {"childContexts": [f"{STORE}/contexts/none"]}),
    ("POST", f"{STORE}/contexts/fuzz:addContextArtifactsAndExecutions", {"artifacts": [f"{STORE}/artifacts/fuzz"]}),
    ("GET", f"{STORE}/contexts/fuzz:queryContextLineageSubgraph", None),
    ("POST", f"{STORE}/executions/fuzz:addExecutionEvents", {"events": [{"artifact": f"{STORE}/artifacts/fuzz"}]}),
    ("GET", f"{STORE}/executions/fuzz:queryExecutionInputsAndOutputs", None),
    # Of other services, which have versions of their own.
    ("GET", f"/v3/{PROJECT}/timeSeries?{urlencode(SERIES)}", None),
    ("POST", "/v2/entries:list", ENTRIES),
]


@dataclass(frozen=True)
class Request:
    verb: str
    path: str
    content: bytes


def requests(seed: int, count: int) -> Iterator[Request]:
    dice = random.Random(seed)
    for _ in range(count):
        verb, path, body = copy.deepcopy(dice.choice(SEEDS))
        for _ in range(dice.choice([1, 1, 2, 3])):
            path, body = _mutate(dice, path, body)
        content = b"" if body is None else json.dumps(body).encode()
        if content and dice.random() < 0.05:
            cut = dice.randrange(len(content))
            content = content[:cut] + dice.choice([b"", b"\xff", b"\\ud800", b"[" * 3000]) + content[cut + 1 :]
        version = dice.choice(["v1beta1", "v1beta1", "v1", "ui"])
        yield Request(verb, path if path.startswith("/v") else f"/{version}/{path}", content)


def _mutate(dice: random.Random, path: str, body: Any) -> tuple[str, Any]:
    kind = dice.random()
    if kind < 0.15:
        parts = path.split("/")
        parts[dice.randrange(len(parts))] = dice.choice(SEGMENTS)
        return "/".join(parts), body
    if kind < 0.3:
        return f"{path}{'&' if '?' in path else '?'}{dice.choice(KEYS)}={dice.choice(VALUES)}", body
    if body is None or kind < 0.33:
        return path, dice.choice(NASTY)
    return path, _changed(dice, body)


def _changed(dice: random.Random, body: Any) -> Any:
    """Goes down to a random place and changes one thing there."""
    if isinstance(body, dict) and body and dice.random() < 0.85:
        key = dice.choice(list(body))
        action = dice.random()
        if action < 0.15:
            return {name: value for name, value in body.items() if name != key}
        if action < 0.25:
            return {**body, dice.choice(["shoes", "name", "etag", "display_name", "model", key.upper()]): body[key]}
        return {**body, key: _changed(dice, body[key])}
    if isinstance(body, list) and body and dice.random() < 0.7:
        place = dice.randrange(len(body))
        return [*body[:place], _changed(dice, body[place]), *body[place + 1 :]]
    return dice.choice(NASTY)
