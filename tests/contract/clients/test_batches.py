"""Batch prediction by the SDK and by google-genai."""

import json
from functools import partial
from typing import Any

import pytest
from google.api_core.exceptions import NotFound

from tests.jobs.localvertex.servers import BUCKET, TINY, TINY_NAME, wait_for

aiplatform = pytest.importorskip("google.cloud.aiplatform")
genai = pytest.importorskip("google.genai")
ROW = {"request": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}}


@pytest.fixture(scope="module")
def rows(server):
    return server.upload("batches/in.jsonl", f"{json.dumps(ROW)}\n" * 3)


def has_succeeded(job: Any) -> bool:
    return bool(job.state.name == "JOB_STATE_SUCCEEDED")


def lines(server, folder):
    place = folder.removeprefix(f"gs://{BUCKET}/")
    (name,) = server.stored(f"{place}/")
    return [json.loads(line) for line in server.text(f"{place}/{name}").splitlines()]


@pytest.mark.usefixtures("vertexai_sdk")
def test_by_the_sdk(server, rows):
    model = server.until(server.create(server.job()).name, "SUCCEEDED").tuned_model.model
    made: Any = [
        aiplatform.BatchPredictionJob.create(
            job_display_name="By the SDK",
            model_name=name,
            gcs_source=rows,
            gcs_destination_prefix=f"gs://{BUCKET}/batches/sdk",
            machine_type="g2-standard-12",
            accelerator_type="NVIDIA_L4",
            accelerator_count=1,
            sync=False,
        )
        for name in (TINY_NAME, model)
    ]
    for job in made:
        job.wait_for_resource_creation()
        wait_for(partial(has_succeeded, job), server.log)
        assert job.completion_stats.successful_count == 3
        found = lines(server, job.output_info.gcs_output_directory)
        assert [line["response"]["candidates"][0]["finishReason"] for line in found] == ["STOP"] * 3
    assert "By the SDK" in [job.display_name for job in aiplatform.BatchPredictionJob.list()]
    made[0].delete()
    with pytest.raises(NotFound, match="was not found or your project does not have access"):
        aiplatform.BatchPredictionJob.create(
            job_display_name="a",
            model_name="publishers/a/models/b",
            gcs_source=rows,
            gcs_destination_prefix=f"gs://{BUCKET}/batches/none",
        )


def test_by_google_genai(server, rows, token):
    options = genai.types.HttpOptions(base_url=server.url, api_version="v1beta1")
    client = genai.Client(vertexai=True, project="p1", location="us-central1", credentials=token, http_options=options)
    config = {"display_name": "By genai", "dest": f"gs://{BUCKET}/batches/genai"}
    job = client.batches.create(model=TINY, src=rows, config=config)
    assert (job.state.name, job.done) == ("JOB_STATE_PENDING", False)

    def ended():
        seen = client.batches.get(name=job.name)
        return seen if seen.done else None

    done = wait_for(ended, server.log)
    assert (done.state.name, done.completion_stats.successful_count) == ("JOB_STATE_SUCCEEDED", 3)
    assert len(lines(server, done.output_info.gcs_output_directory)) == 3
    assert "By genai" in [one.display_name for one in client.batches.list(config={"page_size": 2})]
    held = server.upload("batches/held.jsonl", json.dumps(ROW).replace('"hi"', '"forever"'))
    long = client.batches.create(model=TINY, src=held, config=config)
    wait_for(lambda: client.batches.get(name=long.name).state.name == "JOB_STATE_RUNNING", server.log)
    client.batches.cancel(name=long.name)
    wait_for(lambda: client.batches.get(name=long.name).state.name == "JOB_STATE_CANCELLED", server.log)
    client.batches.delete(name=long.name)
    with pytest.raises(genai.errors.ClientError) as refused:
        client.batches.create(model="google/none", src=rows, config=config)
    assert refused.value.code == 404
