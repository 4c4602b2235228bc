"""The whole way of `--instant`: the server, its queue and its states are the real ones."""

import json

import httpx
import openai
import pytest

from jobs.localvertex.instant.answers import SAID
from tests.jobs.localvertex.servers import BUCKET, PARENT, LocalVertex, wait_for

LLAMA = "meta/llama3_1@llama-3.1-8b-instruct"
QWEN = "publishers/qwen/models/qwen3@qwen3-8b"


@pytest.fixture(scope="module")
def instant(tmp_path_factory, bucket_address):
    server = LocalVertex(tmp_path_factory.mktemp("instant"), bucket_address, options=("--instant",)).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def tuned(instant):
    return instant.until(instant.create(instant.job(base_model=LLAMA)).name, "SUCCEEDED")


@pytest.fixture(scope="module")
def client(instant):
    instant.deployed("asked", publisher_model_name=QWEN)
    return openai.OpenAI(base_url=f"{instant.url}/v1beta1/{PARENT}/endpoints/asked", api_key="local", max_retries=0)


def test_any_model_of_the_catalogue_is_tuned(instant, tuned):
    stats = tuned.tuning_data_stats.supervised_tuning_data_stats
    assert (stats.tuning_dataset_example_count, stats.tuning_step_count) == (4, 2)
    assert [one.checkpoint_id for one in tuned.tuned_model.checkpoints] == ["1", "2"]
    folder = tuned.output_uri.removeprefix(f"gs://{BUCKET}/")
    log = instant.text(f"{folder}/logs/train.log")
    assert "the weights are random and nothing is learned" in log
    assert "nothing was learned" in instant.text(f"{folder}/postprocess/node-0/checkpoints/final/README.md")


def test_what_was_tuned_is_deployed(instant, tuned):
    model = instant.models.get_model(name=tuned.tuned_model.model)
    endpoint = instant.deployed("of-tuned", publisher_model_name="", custom_model={"gcs_uri": model.artifact_uri})
    assert instant.chat("of-tuned").json()["choices"][0]["message"]["content"] == f'{SAID} You wrote: "hi"'
    assert len(endpoint.deployed_models) == 1


@pytest.mark.slow
def test_a_whole_model_is_deployed(instant):
    job = instant.job(base_model="google/gemma3@gemma-3-4b-it")
    job.supervised_tuning_spec.tuning_mode = "TUNING_MODE_FULL"
    job.supervised_tuning_spec.hyper_parameters.adapter_size = 0
    model = instant.models.get_model(name=instant.until(instant.create(job).name, "SUCCEEDED").tuned_model.model)
    instant.deployed("whole", publisher_model_name="", custom_model={"gcs_uri": model.artifact_uri})
    assert instant.chat("whole").json()["usage"]["prompt_tokens"] == 1


def test_failures_by_name(instant):
    failed = instant.until(instant.create(instant.job(tuned_model_display_name="It [fails]")).name, "FAILED")
    assert failed.error.message == "The name of this job asks for a failure by [fails]."
    operation = instant.deploy("no", publisher_model_name=QWEN, model_config={"model_display_name": "It [fails]"})
    ended = wait_for(lambda: instant.finished(operation), instant.log)
    assert ended.error.message == (
        "Model server exited unexpectedly. E The name of this deployed model asks for a failure by [fails]."
    )


def test_waits_until_it_is_cancelled(instant):
    name = instant.create(instant.job(tuned_model_display_name="It [waits]")).name
    instant.until(name, "RUNNING")
    instant.tuning.cancel_tuning_job(name=name)
    assert instant.until(name, "CANCELLED", "SUCCEEDED").state.name == "JOB_STATE_CANCELLED"


def test_a_quantised_custom_job_needs_no_package(instant):
    train = instant.upload("custom/train.jsonl", json.dumps({"prompt": "a", "completion": "b"}) + "\n")
    arguments = [
        "--task=instruct-lora", "--pretrained_model_name_or_path=google/gemma-3-4b-it", "--precision_mode=4bit",
        f"--train_dataset={train}", f"--output_dir=gs://{BUCKET}/custom/out",
    ]  # fmt: skip
    container = {"image_uri": "us-docker.pkg.dev/vertex-ai/pytorch-peft-train:1", "args": arguments}
    body = {"displayName": "q", "jobSpec": {"workerPoolSpecs": [{"containerSpec": container, "replicaCount": 1}]}}
    job = httpx.post(f"{instant.url}/v1/{PARENT}/customJobs", json=body, trust_env=False).json()

    def ended():
        found = httpx.get(f"{instant.url}/v1/{job['name']}", trust_env=False).json()
        return found if found["state"] in ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED") else None

    assert wait_for(ended, instant.log).get("error") is None
    assert "adapter_model.safetensors" in instant.stored("custom/out/")


def test_chat(client):
    said = client.chat.completions.create(model="any", messages=[{"role": "user", "content": "Hello you"}], n=2)
    assert [choice.message.content for choice in said.choices] == [f'{SAID} You wrote: "Hello you"'] * 2
    assert (said.usage.prompt_tokens, said.object) == (2, "chat.completion")


def test_streamed_chat(client):
    chunks = list(
        client.chat.completions.create(
            model="any", messages=[{"role": "user", "content": "Hello you"}], max_tokens=3, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "The local Vertex"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "length"
    assert chunks[-1].usage.completion_tokens == 3


def test_log_probabilities(client):
    said = client.chat.completions.create(
        model="any", messages=[{"role": "user", "content": "hi"}], max_tokens=1, logprobs=True, top_logprobs=1
    )
    (token,) = said.choices[0].logprobs.content
    assert (token.token, token.logprob, token.top_logprobs[0].token) == ("The", 0.0, "The")


def test_a_tool_is_called_once(client):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    tools = [{"type": "function", "function": {"name": "forecast", "parameters": parameters}}]
    messages = [{"role": "user", "content": "Rain?"}]
    asked = client.chat.completions.create(model="any", messages=messages, tools=tools).choices[0]
    (call,) = asked.message.tool_calls
    assert (asked.finish_reason, call.function.name) == ("tool_calls", "forecast")
    assert json.loads(call.function.arguments) == {"city": SAID, "days": 0}
    result = {"role": "tool", "tool_call_id": call.id, "content": "No."}
    told = client.chat.completions.create(model="any", messages=[*messages, asked.message, result], tools=tools)
    assert told.choices[0].message.content == f'{SAID} You wrote: "No."'


def test_a_plain_prompt(instant, client):
    address = f"{instant.url}/v1/{PARENT}/endpoints/asked:predict"
    reply = httpx.post(address, json={"instances": [{"prompt": "Once"}]}, trust_env=False).json()
    assert reply["predictions"] == [f'Prompt:\nOnce\nOutput:\n{SAID} You wrote: "Once"']


def test_what_is_too_long_is_refused(client):
    with pytest.raises(openai.BadRequestError, match="has 9000 tokens; this model takes 8192"):
        client.chat.completions.create(model="any", messages=[{"role": "user", "content": "a " * 9000}])


@pytest.mark.slow
def test_answers_after_a_restart(instant, client):
    instant.stop()
    instant.start()
    client.base_url = f"{instant.url}/v1beta1/{PARENT}/endpoints/asked"
    said = client.chat.completions.create(model="any", messages=[{"role": "user", "content": "again"}])
    assert said.choices[0].message.content == f'{SAID} You wrote: "again"'
