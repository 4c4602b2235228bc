"""Batch prediction as REST has it, from a file in a bucket to the files that it leaves there."""

import json

import httpx
import pytest

from tests.jobs.localvertex.servers import BUCKET, PARENT, PROJECT, TINY_NAME, wait_for

ENDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
HI = [{"role": "user", "content": "hi"}]


def contents(text="hi", **more):
    return {"request": {"contents": [{"role": "user", "parts": [{"text": text}]}]}, **more}


class Api:
    def __init__(self, server):
        self.server = server

    def send(self, verb, path, **body):
        address = f"{self.server.url}/v1beta1/{path}"
        return httpx.request(verb, address, json=body or None, trust_env=False, timeout=20)

    def create(self, name, rows, model=TINY_NAME, **more):
        lines = "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows)
        uri = self.server.upload(f"{name}/in.jsonl", lines + "\n")
        return self.send("POST", f"{PARENT}/batchPredictionJobs", **body(name, [uri], model, **more)).json()

    def ended(self, job):
        def found():
            seen = self.send("GET", job["name"]).json()
            return seen if seen["state"] in ENDED else None

        return wait_for(found, self.server.log)

    def outputs(self, job):
        """By the names of the files."""
        place = job["outputInfo"]["gcsOutputDirectory"].removeprefix(f"gs://{BUCKET}/")
        names = self.server.stored(f"{place}/")
        return {name: [json.loads(line) for line in self.server.text(f"{place}/{name}").splitlines()] for name in names}


def body(name, uris, model=TINY_NAME, **more):
    return {
        "displayName": name,
        "model": model,
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": uris}},
        "outputConfig": {
            "predictionsFormat": "jsonl",
            "gcsDestination": {"outputUriPrefix": f"gs://{BUCKET}/{name}/out"},
        },
        **more,
    }


@pytest.fixture(scope="module")
def api(shared_server):
    return Api(shared_server)


def test_rows_for_generate_content(api):
    bad = {"request": {"contents": [{"role": "tester", "parts": [{"text": "a"}]}]}}
    job = api.create("batch-contents", [contents(key="a"), bad, contents("bye")])
    assert (job["state"], job["model"]) == ("JOB_STATE_PENDING", TINY_NAME)
    done = api.ended(job)
    assert done["state"] == "JOB_STATE_SUCCEEDED"
    assert done["completionStats"] == {"successfulCount": "2", "failedCount": "1"}
    assert done["outputInfo"]["gcsOutputDirectory"].startswith(f"gs://{BUCKET}/batch-contents/out/prediction-model-20")
    ((name, lines),) = api.outputs(done).items()
    first, second, third = lines
    assert (name, first["key"], first["status"]) == ("predictions.jsonl", "a", "")
    assert first["request"] == contents()["request"]
    assert first["response"]["candidates"][0]["content"]["parts"] == [{"text": "Hello there"}]
    assert second["response"] == {}
    assert second["status"].startswith(
        'Bad Request: {"error": {"code": 400, "message": "Please use a valid role: user,'
    )
    assert third["response"]["usageMetadata"]["totalTokenCount"] == 5


def test_rows_of_openai(api):
    asked = {
        "custom_id": "1",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"messages": HI, "stream": True},
    }
    job = api.create("batch-chat", [asked, {"custom_id": "2", "body": {"messages": []}}, {"body": {"prompt": "Once"}}])
    found = api.outputs(api.ended(job))
    first, third = found["predictions.jsonl"]
    assert set(first) == {"custom_id", "body", "id", "response"}
    assert first["response"]["choices"][0]["message"]["content"] == "Hello there"
    assert third["response"]["choices"][0]["text"] == " and so on"
    (failed,) = found["errors.jsonl"]
    assert failed["error"] == {"code": 3, "message": "messages must be a list with at least one message."}


def test_instances(api):
    rows = [
        {"id": 7, "prompt": "Once", "note": "n", "raw_response": True},
        {"id": 8, "@requestFormat": "chatCompletions", "messages": HI},
        {"id": 9, "messages": HI},
        {"id": 10},
        "{",
        "[]",
    ]
    job = api.create("batch-instances", rows, modelParameters={"max_tokens": 3})
    found = api.outputs(api.ended(job))
    assert sorted(found) == ["prediction.errors_stats-00000-of-00001", "prediction.results-00000-of-00001"]
    first, second, third = found["prediction.results-00000-of-00001"]
    assert first == {"instance": rows[0], "prediction": " and so on"}
    for chat in (second, third):
        assert chat["prediction"]["choices"][0]["message"]["content"] == "Hello there"
    errors = found["prediction.errors_stats-00000-of-00001"]
    assert [(line["instance"], line["error"]["code"]) for line in errors] == [({"id": 10}, 3), ("{", 3), ([], 3)]


def test_a_key_stands_for_the_instance(api):
    rows = [{"id": 7, "prompt": "Once", "messages": "never seen", "raw_response": True}]
    config = {"keyField": "id", "excludedFields": ["messages"]}
    job = api.create("batch-key", rows, instanceConfig=config)
    assert api.outputs(api.ended(job)) == {
        "prediction.results-00000-of-00001": [{"key": 7, "prediction": " and so on"}]
    }


def test_a_tuned_model_is_served_for_the_batch_alone(api, server):
    model = server.until(server.create(server.job()).name, "SUCCEEDED").tuned_model.model
    done = api.ended(api.create("batch-tuned", [contents()], model))
    assert (done["state"], done["modelVersionId"]) == ("JOB_STATE_SUCCEEDED", "1")
    assert "prediction-My_tune-" in done["outputInfo"]["gcsOutputDirectory"]
    states = httpx.get(f"{server.url}/healthz", trust_env=False).json()["serving"]["models"]
    assert [one for one in states if "/models/" in one["name"] and one["name"].endswith("/batch")] == []


def test_an_endpoint_answers_too(api, server):
    server.deployed("batching")
    job = api.create("batch-endpoint", [contents()], "", endpoint=f"{PARENT}/endpoints/batching")
    (line,) = api.outputs(api.ended(job))["predictions.jsonl"]
    assert line["response"]["modelVersion"] == "batching"


def test_several_files_and_those_that_are_not_there(api, server):
    for number in range(2):
        server.upload(f"batch-many/part-{number}.jsonl", json.dumps(contents(number=number)))
    uris = [f"gs://{BUCKET}/batch-many/part-*.jsonl", f"gs://{BUCKET}/batch-many/none.jsonl"]
    done = api.ended(api.send("POST", f"{PARENT}/batchPredictionJobs", **body("batch-many", uris)).json())
    assert [line["number"] for line in api.outputs(done)["predictions.jsonl"]] == [0, 1]
    (problem,) = done["partialFailures"]
    assert (problem["code"], "none.jsonl is not there" in problem["message"]) == (5, True)


@pytest.mark.parametrize(
    ("name", "rows", "code", "message"),
    [
        ("batch-empty", [], 3, "The input has no rows."),
        ("batch-wrong", [{"request": {}}, {"request": {}}], 13, "All 2 rows failed. Their errors are in the output."),
    ],
)
def test_a_batch_without_a_good_row_has_failed(api, name, rows, code, message):
    done = api.ended(api.create(name, rows))
    assert (done["state"], done["error"]["code"], done["error"]["message"]) == ("JOB_STATE_FAILED", code, message)


def test_a_batch_without_input_has_failed(api):
    job = api.send(
        "POST", f"{PARENT}/batchPredictionJobs", **body("batch-none", ["gs://garden-local/none.jsonl"])
    ).json()
    done = api.ended(job)
    assert (done["state"], done["error"]["code"]) == ("JOB_STATE_FAILED", 5)


def test_cancelled_in_the_middle(api):
    """What was answered is written."""
    rows = [contents("hi"), *[contents("forever")] * 6]
    job = api.create("batch-cancelled", rows)
    wait_for(lambda: api.send("GET", job["name"]).json().get("completionStats"), api.server.log)
    waiting = api.create("batch-waiting", [contents()])
    running = api.send("DELETE", job["name"])
    assert (running.status_code, "has not ended (JOB_STATE_RUNNING)" in running.text) == (400, True)
    for one in (waiting, job):
        assert api.send("POST", f"{one['name']}:cancel").status_code == 200
        ended = api.ended(one)
        assert (ended["state"], ended["error"]["code"]) == ("JOB_STATE_CANCELLED", 1)
    assert ended["completionStats"] == {"successfulCount": "1", "incompleteCount": "6"}
    (line,) = api.outputs(ended)["predictions.jsonl"]
    assert line["request"] == rows[0]["request"]
    assert api.send("POST", f"{job['name']}:cancel").status_code == 200


def test_listed_and_deleted(api):
    job = api.ended(api.create("batch-listed", [contents()], labels={"a": "b"}))
    listed = api.send("GET", f'{PARENT}/batchPredictionJobs?filter=display_name="batch-listed" AND labels.a=b').json()
    assert listed["batchPredictionJobs"] == [job]
    cancelled = api.send("POST", f"{job['name']}:cancel")
    assert (cancelled.status_code, "has ended already" in cancelled.text) == (400, True)
    assert api.send("DELETE", job["name"]).json()["done"] is True
    assert api.send("GET", job["name"]).status_code == 404
    assert api.outputs(job)["predictions.jsonl"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"displayName": ""}, "The batch_prediction_job.display_name field is required."),
        ({"model": ""}, "Exactly one of model and endpoint must be set."),
        ({"endpoint": f"{PARENT}/endpoints/e"}, "Exactly one of model and endpoint must be set."),
        ({"model": "nonsense"}, "'nonsense' is not the name of a model"),
        (
            {"model": f"{PROJECT}/locations/europe-west4/models/m"},
            f"{PROJECT}/locations/europe-west4/models/m is not in",
        ),
        ({"model": "publishers/a/models/b"}, f"Publisher Model `{PARENT}/publishers/a/models/b` was not found"),
        ({"model": f"{PARENT}/models/none"}, f"The Model {PARENT}/models/none is not found."),
        ({"model": "", "endpoint": f"{PARENT}/endpoints/none"}, f"The Endpoint {PARENT}/endpoints/none is not found."),
        ({"inputConfig": {"instancesFormat": "csv"}}, "instances_format 'csv' is not supported for this model."),
        ({"inputConfig": {"instancesFormat": "jsonl"}}, "input_config.gcs_source.uris is required."),
        ({"outputConfig": {"predictionsFormat": "bigquery"}}, "predictions_format 'bigquery' is not supported"),
        ({"outputConfig": {"predictionsFormat": "jsonl"}}, "output_config.gcs_destination is required."),
        ({"generateExplanation": True}, "generate_explanation is not supported by this server."),
        ({"instanceConfig": {"instanceType": "array"}}, "instance_type must be object, or be left out"),
        ({"modelParameters": 5}, "model_parameters must be an object."),
        ({"dedicatedResources": {"machineSpec": {"machineType": "x1"}}}, 'Machine type "x1" is not supported.'),
        ({"encryptionSpec": {"kmsKeyName": "k"}}, "Encryption keys are not supported by this server"),
    ],
)
def test_refused(api, change, message):
    wanted = body("refused", [f"gs://{BUCKET}/a.jsonl"]) | change
    refused = api.send("POST", f"{PARENT}/batchPredictionJobs", **wanted)
    assert refused.status_code in (400, 404)
    assert refused.json()["error"]["message"].startswith(message)
