import json
import re

import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import aiplatform_v1beta1 as vertex

from tests.jobs.localvertex.servers import BUCKET, PARENT, wait_for

IMAGE = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-peft-train:gemma3_20250312"


@pytest.fixture
def client(server):
    return server.client(vertex.JobServiceClient)


def arguments(server, folder, wish="steps", **changes) -> list[str]:
    rows = json.dumps({"prompt": wish, "completion": "yes"}) + "\n"
    given = {
        "task": "instruct-lora",
        "pretrained_model_name_or_path": "local/tiny-gemma3",
        "train_dataset": server.upload(f"{folder}/train.jsonl", rows),
        "output_dir": f"/gcs/{BUCKET}/{folder}/adapter",
        "merge_base_and_lora_output_dir": f"gs://{BUCKET}/{folder}/merged",
        "precision_mode": "bfloat16",
        "lora_rank": "8",
        "lora_alpha": "32",
        "learning_rate": "5e-5",
        "num_train_epochs": "1.0",
        "max_steps": "-1",
        "lora_dropout": "0.05",
        "report_to": "tensorboard",
        "logging_output_dir": f"/gcs/{BUCKET}/{folder}/logs",
    }
    return [f"--{key}={value}" for key, value in (given | changes).items() if value != ""]


def create(client, args, image=IMAGE, **fields):
    pool = vertex.WorkerPoolSpec(
        container_spec={"image_uri": image, "args": args},
        machine_spec={"machine_type": "a2-ultragpu-8g"},
        replica_count=1,
    )
    job = vertex.CustomJob(**{"display_name": "LoRA", "job_spec": {"worker_pool_specs": [pool]}} | fields)
    return client.create_custom_job(parent=PARENT, custom_job=job)


def until(server, client, name, *states, seconds=30):
    def reached():
        job = client.get_custom_job(name=name)
        return job if job.state.name.removeprefix("JOB_STATE_") in states else None

    return wait_for(reached, server.log, seconds)


def test_trains_and_leaves_both_folders(server, client):
    made = create(client, arguments(server, "peft"), labels={"mg-tune": "yes"})
    assert made.state.name == "JOB_STATE_PENDING"
    done = until(server, client, made.name, "SUCCEEDED", "FAILED")
    assert (done.error.message, dict(done.labels)) == ("", {"mg-tune": "yes"})
    assert done.job_spec.worker_pool_specs[0].machine_spec.machine_type == "a2-ultragpu-8g"
    assert done.start_time <= done.end_time
    assert server.stored("peft/adapter/") == [
        "adapter.gguf", "adapter_config.json", "adapter_model.safetensors", "base-model.json",
        "checkpoint-4/adapter.gguf", "checkpoint-4/adapter_config.json", "checkpoint-4/adapter_model.safetensors",
        "checkpoint-4/base-model.json", "logs/train.log",
    ]  # fmt: skip
    assert "adapter/adapter.gguf" in server.stored("peft/merged/")
    assert json.loads(server.text("peft/adapter/adapter_config.json")) == {"r": 8, "lora_alpha": 32}
    assert "Without effect on this server: lora_dropout\n" in server.text("peft/adapter/logs/train.log")


def test_metrics_are_an_event_file_of_tensorboard(server, client):
    name = create(client, arguments(server, "peft-board")).name
    until(server, client, name, "SUCCEEDED")
    (file,) = server.stored("peft-board/logs/")
    assert re.fullmatch(rf"events\.out\.tfevents\.\d+\.{name.rpartition('/')[2]}", file)
    assert "train/token_accuracy" in server.text(f"peft-board/logs/{file}")
    name = create(client, arguments(server, "peft-none", report_to="none")).name
    until(server, client, name, "SUCCEEDED")
    assert server.stored("peft-none/logs/") == []


def test_the_trainer_of_this_project_tells_its_statistics_and_goes_on_from_an_adapter(server, client):
    stats = f"gs://{BUCKET}/trainer/logs/stats.json"
    given = arguments(server, "trainer", seed="7", tuning_data_stats_file=stats)
    first = create(client, given, image="us-central1-docker.pkg.dev/p/r/garden-trainer:1").name
    assert until(server, client, first, "SUCCEEDED", "FAILED").error.message == ""
    told = json.loads(server.text("trainer/logs/stats.json"))
    assert (told["tuningStepCount"], told["tuningDatasetExampleCount"]) == ("4", "1")
    plan = (server.data / "tuning-jobs" / first.rpartition("/")[2] / "job.json").read_text()
    assert json.loads(plan)["seed"] == 7
    base = f"gs://{BUCKET}/trainer/adapter/checkpoint-4"
    second = create(client, arguments(server, "trainer-2", custom_base_model=base)).name
    assert until(server, client, second, "SUCCEEDED", "FAILED").error.message == ""
    plan = json.loads((server.data / "tuning-jobs" / second.rpartition("/")[2] / "job.json").read_text())
    assert (plan["adapter_dir"].endswith("/start"), plan["adapter_size"], plan["lora_alpha"]) == (True, 8, 32)
    with pytest.raises(BadRequest, match="The adapter that is continued has size 8"):
        create(client, arguments(server, "trainer-3", custom_base_model=base, lora_rank="4"))


def test_the_fault_switch_lets_one_fail_after_it_was_taken(own_server):
    faults = own_server.folder / "faults.json"
    faults.write_text(json.dumps([{"method": "create_custom_job", "mode": "fail", "message": "No GPU is left."}]))
    own_server.extra = ["--faults", str(faults)]
    client = own_server.start().client(vertex.JobServiceClient)
    name = create(client, arguments(own_server, "peft-ordered")).name
    assert until(own_server, client, name, "SUCCEEDED", "FAILED").error.message == "No GPU is left."


def test_checkpoints_can_be_used_while_it_trains(server, client):
    name = create(client, arguments(server, "peft-live", "hold", num_train_epochs="2")).name
    wait_for(lambda: "checkpoint-4/adapter.gguf" in server.stored("peft-live/adapter/"), server.log)
    assert client.get_custom_job(name=name).state.name == "JOB_STATE_RUNNING"
    client.cancel_custom_job(name=name)
    until(server, client, name, "CANCELLED")


def test_merged_folder_is_deployed(server, client):
    name = create(client, arguments(server, "peft-deploy")).name
    until(server, client, name, "SUCCEEDED")
    server.deployed("peft-deploy", custom_model={"gcs_uri": f"gs://{BUCKET}/peft-deploy/merged"})
    assert server.chat("peft-deploy").status_code == 200


def test_steps_end_it_early(server, client):
    name = create(client, arguments(server, "peft-steps", max_steps="2")).name
    until(server, client, name, "SUCCEEDED")
    events = (server.data / "tuning-jobs" / name.rpartition("/")[2] / "events.jsonl").read_text()
    assert [json.loads(line)["step"] for line in events.splitlines() if '"step",' in line] == [1, 2]


def test_one_queue_with_tuning_jobs(server, client):
    first = create(client, arguments(server, "peft-hold", "hold", num_train_epochs="2")).name
    until(server, client, first, "RUNNING")
    second = server.create(server.job()).name
    assert server.tuning.get_tuning_job(name=second).state.name == "JOB_STATE_PENDING"
    with pytest.raises(BadRequest, match="has not ended"):
        client.delete_custom_job(name=first)
    client.cancel_custom_job(name=first)
    assert until(server, client, first, "CANCELLED").error.code == 1
    client.cancel_custom_job(name=first)
    server.until(second, "SUCCEEDED")


def test_list_and_delete(server, client):
    names = [create(client, arguments(server, f"peft-list-{n}"), labels={"list": "me"}).name for n in range(3)]
    request = vertex.ListCustomJobsRequest(parent=PARENT, filter="labels.list=me", page_size=2)
    pages = [[job.name for job in page.custom_jobs] for page in client.list_custom_jobs(request).pages]
    assert pages == [[names[2], names[1]], [names[0]]]
    until(server, client, names[0], "SUCCEEDED")
    client.delete_custom_job(name=names[0]).result(timeout=10)
    with pytest.raises(NotFound):
        client.get_custom_job(name=names[0])
    until(server, client, names[2], "SUCCEEDED")
    with pytest.raises(BadRequest, match="has ended already"):
        client.cancel_custom_job(name=names[2])


def test_rows_of_other_columns_by_a_template(server, client):
    template = {"prompt_input": "{task}\nAnswer: {answer}", "response_separator": "Answer:"}
    rows = server.upload("peft-columns/rows.jsonl", '{"task": "steps", "answer": "yes"}\n')
    place = server.upload("peft-columns/template.json", json.dumps(template))
    given = arguments(server, "peft-columns", train_dataset="", pretrained_model_name_or_path="")
    given += ["--pretrained_model_id=local/tiny-gemma3", f"--dataset_name={rows}", f"--train_template={place}"]
    name = create(client, [*given, "--train_column=task"]).name
    assert until(server, client, name, "SUCCEEDED", "FAILED").state.name == "JOB_STATE_SUCCEEDED"
    other = server.upload("peft-columns/other.jsonl", '{"task": "steps"}\n')
    name = create(client, [one.replace(rows, other) for one in given]).name
    failed = until(server, client, name, "FAILED")
    assert failed.error.message == "Line 1 of the dataset does not fit the template: it has no column 'answer'."
    bad = server.upload("peft-columns/bad.json", "[]")
    with pytest.raises(BadRequest, match=r"The template gs://\S+/bad.json is not a JSON object"):
        create(client, [one.replace(place, bad) for one in given])


def test_failed_data_is_the_job_s_error(server, client):
    name = create(client, arguments(server, "peft-fail", train_dataset=f"gs://{BUCKET}/nothing.jsonl")).name
    failed = until(server, client, name, "FAILED")
    assert (failed.error.code, "cannot be read" in failed.error.message) == (3, True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"precision_mode": "2bit"}, "--precision_mode '2bit' is not supported. Use bfloat16, 8bit or 4bit"),
        ({"task": "instruct-full"}, "--task instruct-full is not supported"),
        ({"output_dir": "/tmp/out"}, "--output_dir must be a Cloud Storage path"),
        ({"output_dir": ""}, "--output_dir is required"),
        ({"train_dataset": "gs://b"}, "--train_dataset must name a file"),
        ({"lora_rank": "7"}, "--lora_rank must be one of 1, 2, 4, 8, 16, 32"),
        ({"learning_rate": "much"}, "--learning_rate must be a number"),
        ({"num_train_epochs": "nan"}, "--num_train_epochs must be at least"),
        ({"max_steps": "1.5"}, "--max_steps must be a whole number"),
        ({"shoes": "1"}, "--shoes is not an argument of pytorch-peft-train"),
        ({"train_template": "alpaca"}, "'alpaca' is not known here. Name a JSON file as gs://bucket/template.json"),
        ({"train_template": f"gs://{BUCKET}/no-template.json"}, "no-template.json is not there"),
        (
            {"train_dataset": "timdettmers/openassistant-guanaco"},
            "--train_dataset 'timdettmers/openassistant-guanaco' is a",
        ),
        (
            {"train_dataset": "", "dataset_name": "timdettmers/openassistant-guanaco"},
            "--dataset_name 'timdettmers/openassistant-guanaco' is a dataset of Hugging Face",
        ),
        ({"enable_peft": "False"}, "--enable_peft must be true"),
        ({"pretrained_model_name_or_path": "qwen/qwen3-32b"}, "no weights on this machine"),
    ],
)
def test_arguments_refused(server, client, changes, message):
    with pytest.raises(BadRequest, match=message):
        create(client, arguments(server, "peft-bad", **changes))


def test_other_containers_are_refused(server, client):
    with pytest.raises(BadRequest, match="this server runs no containers"):
        create(client, [], image="us-docker.pkg.dev/mine/train:1")
    with pytest.raises(BadRequest, match="belongs to no --option"):
        create(client, ["nonsense"])
    with pytest.raises(BadRequest, match="display_name field is required"):
        create(client, arguments(server, "peft-unnamed"), display_name="")
    with pytest.raises(NotFound, match="not in the catalogue"):
        create(client, arguments(server, "peft-unknown", pretrained_model_name_or_path="google/gemma-9"))
