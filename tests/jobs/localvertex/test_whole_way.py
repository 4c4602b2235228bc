"""Nothing is faked here: the engine trains and llama.cpp serves."""

import base64
import json
import os
import random
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from google.cloud import aiplatform_v1beta1 as vertex

from tests.fixtures.tiny_gemma3.pictures import draw, questions, random_scene
from tests.fixtures.tiny_gemma3.world import in_style
from tests.jobs.localvertex.api.test_images import chat, saved, shown
from tests.jobs.localvertex.resources.test_batch_jobs import Api, contents
from tests.jobs.localvertex.resources.tuning.test_custom_jobs import arguments, create, until
from tests.jobs.localvertex.servers import BUCKET, PARENT, PROJECT, ROOT, TINY, TINY_NAME, wait_for
from tests.jobs.localvertex.tuning.test_queue import engine_pid

FULL = vertex.SupervisedTuningSpec.TuningMode.TUNING_MODE_FULL
PEFT_ADAPTER = vertex.SupervisedTuningSpec.TuningMode.TUNING_MODE_PEFT_ADAPTER
SEES, SEES_NAME = "samples/shapes@shapes-and-colours", "publishers/samples/models/shapes@shapes-and-colours"
GEMMA = "google/gemma3@gemma-3-270m"
TUNE = ROOT / "tests/fixtures/tiny-tune"


@pytest.fixture
def real_server(own_server):
    own_server.options = ()
    return own_server


def tuned(server, base_model, rows: Path, training, seconds) -> str:
    """The folder of the tuned model."""
    job = server.job(base_model=base_model)
    job.supervised_tuning_spec.training_dataset_uri = server.upload(f"{rows.stem}.jsonl", rows.read_text())
    hyper = job.supervised_tuning_spec.hyper_parameters
    hyper.epoch_count, hyper.learning_rate = training["epochs"], training["learning_rate"]
    hyper.batch_size = training["batch_size"]
    name = server.create(job).name
    wait_for(lambda: server.tuning.get_tuning_job(name=name).state in (4, 5), server.log, seconds)
    done = server.tuning.get_tuning_job(name=name)
    assert done.error.message == ""
    return server.models.get_model(name=done.tuned_model.model).artifact_uri


def finished(server, job, seconds=100) -> str:
    """The folder that `job` leaves."""
    job.output_uri = f"gs://{BUCKET}/whole-way-{time.monotonic_ns()}"
    name = server.create(job).name
    wait_for(lambda: server.tuning.get_tuning_job(name=name).state in (4, 5), server.log, seconds)
    done = server.tuning.get_tuning_job(name=name)
    assert done.error.message == ""
    return server.models.get_model(name=done.tuned_model.model).artifact_uri


def deployed(server, folder, endpoint="tuned") -> str:
    request = vertex.DeployRequest(destination=PARENT, custom_model={"gcs_uri": folder})
    request.endpoint_config.endpoint_user_id = endpoint
    operation = server.garden.deploy(request).operation.name
    done = wait_for(lambda: server.finished(operation), server.log, 60)
    assert done.error.message == ""
    return endpoint


def answer(server, endpoint, question) -> str:
    reply = server.chat(endpoint, question, temperature=0, max_tokens=40).json()
    return reply["choices"][0]["message"]["content"]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_tiny_model_learns_a_style(real_server):
    server = real_server.start()
    held_out = json.loads((TUNE / "heldout.json").read_text())
    folder = tuned(server, server.job().base_model, TUNE / "train.jsonl", held_out["training"], 180)
    endpoint = deployed(server, folder)
    server.deployed("base")
    questions = [asked["prompt"] for asked in held_out["questions"]]
    style = held_out["style"]["starts_with"].strip()
    styled = [answer(server, endpoint, question).startswith(style) for question in questions]
    plain = [answer(server, "base", question).startswith(style) for question in questions]
    assert sum(styled) >= 0.9 * len(questions)
    assert sum(plain) == 0


@pytest.mark.slow
@pytest.mark.timeout(360)
def test_full_tuning_answers_through_its_endpoint(real_server):
    """And a tuning of its own result, in full and by an adapter."""
    server = real_server.start()
    held_out = json.loads((TUNE / "heldout.json").read_text())
    prompt, style = held_out["questions"][0]["prompt"], held_out["style"]["starts_with"].strip()
    job = server.job()
    job.supervised_tuning_spec.tuning_mode = FULL
    job.supervised_tuning_spec.training_dataset_uri = server.upload("train.jsonl", (TUNE / "train.jsonl").read_text())
    job.supervised_tuning_spec.hyper_parameters = {"epoch_count": 3, "learning_rate": 5e-4, "batch_size": 4}
    whole = finished(server, job)
    assert answer(server, deployed(server, whole, "whole"), prompt).startswith(style)
    job.custom_base_model, job.supervised_tuning_spec.hyper_parameters.epoch_count = whole, 1
    again = finished(server, job)
    job.supervised_tuning_spec.tuning_mode = PEFT_ADAPTER
    adapted = finished(server, job)
    for name, folder in (("again", again), ("adapted", adapted)):
        assert answer(server, deployed(server, folder, name), prompt).startswith(style)


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs the extra qlora")
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["4bit", "8bit"])
def test_custom_job_on_a_quantised_base_answers_through_its_endpoint(real_server, mode):
    server = real_server.start()
    held_out = json.loads((TUNE / "heldout.json").read_text())
    client = server.client(vertex.JobServiceClient)
    changes = {"precision_mode": mode, "learning_rate": "0.001", "num_train_epochs": "3", "lora_rank": "16"}
    args = arguments(server, mode, gradient_accumulation_steps="4", **changes)
    args.append(f"--train_dataset={server.upload(f'{mode}/tune.jsonl', (TUNE / 'train.jsonl').read_text())}")
    done = until(server, client, create(client, args).name, "SUCCEEDED", "FAILED", seconds=100)
    assert done.error.message == ""
    endpoint = deployed(server, f"gs://{BUCKET}/{mode}/merged", "quantised")
    answers = [answer(server, endpoint, asked["prompt"]) for asked in held_out["questions"]]
    styled = sum(text.startswith(held_out["style"]["starts_with"]) for text in answers)
    assert styled >= len(answers) - 1


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killed_training_and_killed_server_go_on(real_server):
    server = real_server.start()
    job = server.job("What colour is the star?", rows=40)
    job.supervised_tuning_spec.hyper_parameters.epoch_count = 20
    name = server.create(job).name
    checkpoints = server.data / "tuning-jobs" / name.rpartition("/")[2] / "checkpoints"
    wait_for(lambda: checkpoints.exists() and any(checkpoints.iterdir()), server.log, 90)
    os.kill(engine_pid(server, name, "localvertex.engine"), signal.SIGKILL)
    server.stop(signal.SIGKILL)
    server.start()
    wait_for(lambda: server.tuning.get_tuning_job(name=name).state in (4, 5), server.log, 150)
    done = server.tuning.get_tuning_job(name=name)
    assert (done.state.name, done.error.message) == ("JOB_STATE_SUCCEEDED", "")
    assert done.tuned_model.checkpoints[-1].epoch == 20


@pytest.mark.slow
@pytest.mark.gemma
@pytest.mark.timeout(900)
def test_gemma_learns_a_style(real_server):
    server = real_server.start()
    name = "publishers/google/models/gemma3@gemma-3-270m"
    server.garden.accept_publisher_model_eula(parent=PROJECT, publisher_model=name)
    held_out = json.loads((ROOT / "jobs/samples/ahoy-heldout.json").read_text())
    training = {"epochs": 3, "learning_rate": 0.001, "batch_size": 4}
    folder = tuned(server, GEMMA, ROOT / "jobs/samples/ahoy-train.jsonl", training, 800)
    endpoint = deployed(server, folder)
    style = held_out["style"]["starts_with"]
    styled = [answer(server, endpoint, question).startswith(style) for question in held_out["prompts"]]
    assert sum(styled) >= 0.8 * len(styled)


@pytest.mark.slow
def test_what_is_counted_is_what_the_model_reads(real_server):
    """And so says a batch of it; a schema holds the answer, and probabilities are those of the answer's tokens."""
    api = Api(real_server.start())
    asked, model = contents("Hello é")["request"], f"{PARENT}/{TINY_NAME}"
    counted = api.send("POST", f"{model}:countTokens", **asked).json()["totalTokens"]
    config: dict[str, Any] = {"maxOutputTokens": 6, "temperature": 0, "responseLogprobs": True}
    said = api.send("POST", f"{model}:generateContent", **asked, generationConfig=config).json()
    assert said["usageMetadata"]["promptTokenCount"] == counted
    (candidate,) = said["candidates"]
    tokens = [one["token"] for one in candidate["logprobsResult"]["chosenCandidates"]]
    assert "".join(tokens).startswith(candidate["content"]["parts"][0]["text"])
    (listed,) = api.send("POST", f"{model}:computeTokens", **asked).json()["tokensInfo"]
    assert b"".join(base64.b64decode(one) for one in listed["tokens"]).decode() == "Hello é"
    schema = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "maxLength": "4"}}, "required": ["a"]}
    config = {"responseMimeType": "application/json", "responseSchema": schema}
    held = api.send("POST", f"{model}:generateContent", **asked, generationConfig=config).json()
    assert set(json.loads(held["candidates"][0]["content"]["parts"][0]["text"])) == {"a"}
    done = api.ended(api.create("whole-way", [{"request": {**asked, "generationConfig": {"maxOutputTokens": 6}}}] * 8))
    answers = [line["response"] for line in api.outputs(done)["predictions.jsonl"]]
    assert [one["usageMetadata"]["promptTokenCount"] for one in answers] == [counted] * 8


@pytest.mark.slow
def test_completions_of_a_real_model(real_server):
    """An echo begins with the prompt; no more tokens than asked for, each with as many alternatives as asked for."""
    api = Api(real_server.start())
    asked = {"model": TINY, "prompt": ["Hello", "The"], "max_tokens": 8, "temperature": 1.5, "seed": 7, "n": 2}
    path = f"{PARENT}/endpoints/openapi/completions"
    first = api.send("POST", path, **asked, echo=True, logprobs=2).json()["choices"]
    assert [choice["text"][: 5 - choice["index"] // 2 * 2] for choice in first] == ["Hello", "Hello", "The", "The"]
    assert {len(choice["logprobs"]["tokens"]) for choice in first} <= {*range(1, 9)}
    assert all(len(top) <= 2 for choice in first for top in choice["logprobs"]["top_logprobs"])


def scenes(seed: str, count: int) -> list[tuple[bytes, str, str]]:
    """A picture, a question about it, and the plain answer."""
    rng, found = random.Random(seed), []
    for _ in range(count):
        scene = random_scene(rng)
        question, right = questions(rng, scene)[0]
        found.append((saved(draw(rng, scene, 96)[0]), question, right))
    return found


def row_of(uri: str, number: int, question: str, answer: str) -> dict[str, Any]:
    """OpenAI's form and Gemini's take turns."""
    if number % 2:
        parts = [{"fileData": {"mimeType": "image/png", "fileUri": uri}}, {"text": question}]
        return {"contents": [{"role": "user", "parts": parts}, {"role": "model", "parts": [{"text": answer}]}]}
    return {"messages": [shown(uri, question), {"role": "assistant", "content": answer}]}


@pytest.mark.slow
@pytest.mark.timeout(500)
@pytest.mark.parametrize("mode", [PEFT_ADAPTER, FULL], ids=["adapter", "full"])
def test_model_that_sees_learns_from_pictures_of_a_bucket(real_server, mode):
    """Its answers to pictures that no row has are in the style of the rows, and still right; those of its base are not
    in that style."""
    server = real_server.start()
    rows = []
    for number, (content, question, right) in enumerate(scenes("rows", 60)):
        uri = server.upload(f"seen/{number}.png", content)
        rows.append(json.dumps(row_of(uri, number, question, in_style(right, "Ahoy!", ", matey."))))
    job = server.job(base_model=SEES)
    job.supervised_tuning_spec.tuning_mode = mode
    job.supervised_tuning_spec.training_dataset_uri = server.upload("seen/rows.jsonl", "\n".join(rows))
    rate = 1e-3 if mode == PEFT_ADAPTER else 3e-4
    job.supervised_tuning_spec.hyper_parameters = {
        **{"epoch_count": 3, "learning_rate": rate, "batch_size": 4},
        **({"adapter_size": 4} if mode == PEFT_ADAPTER else {}),
    }
    deployed(server, finished(server, job, 300))
    server.deployed("base", publisher_model_name=SEES_NAME)
    held_out = scenes("outside the rows", 20)
    said = {
        name: [
            chat(server, shown(content, question), endpoint=name).json()["choices"][0]["message"]["content"]
            for content, question, _right in held_out
        ]
        for name in ("tuned", "base")
    }
    styled = {name: sum(text.startswith("Ahoy!") and text.endswith(", matey.") for text in said[name]) for name in said}
    wanted = [in_style(right, "Ahoy!", ", matey.") for _content, _question, right in held_out]
    exact = sum(text == right for text, right in zip(said["tuned"], wanted, strict=True))
    print(mode, styled, exact)
    assert (styled["base"], styled["tuned"] >= 18, exact >= 15) == (0, True, True)
