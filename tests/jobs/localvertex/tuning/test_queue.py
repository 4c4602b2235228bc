import os
import signal
import subprocess
import sys

import httpx
import pytest

from tests.jobs.localvertex.servers import BUCKET, ROOT, wait_for
from tests.support.share import one_of


def engine_pid(server, name, program="fake_engine") -> int:
    """The child of the server whose work is this job."""
    number = name.rpartition("/")[2]
    for folder in os.listdir("/proc"):
        try:
            with open(f"/proc/{folder}/cmdline") as file:
                words = file.read().split("\0")
        except OSError:
            continue
        if any(program in word for word in words) and any(word.endswith(number) for word in words):
            return int(folder)
    return 0


def start_holding(server) -> str:
    name = server.create(server.job("hold")).name
    server.until(name, "RUNNING")
    wait_for(lambda: engine_pid(server, name), server.log)
    wait_for(lambda: server.tuning.get_tuning_job(name=name).tuning_data_stats.supervised_tuning_data_stats, server.log)
    return name


def test_one_at_a_time_in_order(own_server):
    server = own_server.start()
    first = start_holding(server)
    second, third = (server.create(server.job()).name for _ in range(2))
    assert [server.tuning.get_tuning_job(name=name).state.name for name in (second, third)] == ["JOB_STATE_PENDING"] * 2
    server.tuning.cancel_tuning_job(name=first)
    ended = [server.until(name, "SUCCEEDED") for name in (second, third)]
    assert ended[0].end_time <= ended[1].start_time


@pytest.mark.slow
def test_as_many_at_once_as_it_was_started_for(own_server):
    own_server.extra = ["--tuning-at-once", "2"]
    server = own_server.start()
    first, second = start_holding(server), start_holding(server)
    third, fourth = (server.create(server.job()).name for _ in range(2))
    running = httpx.get(f"{server.url}/healthz", trust_env=False).json()["running"]
    assert (running, server.tuning.get_tuning_job(name=third).state.name) == ([first, second], "JOB_STATE_PENDING")
    server.tuning.cancel_tuning_job(name=fourth)
    server.until(fourth, "CANCELLED")
    server.tuning.cancel_tuning_job(name=first)
    server.until(third, "SUCCEEDED")
    assert server.tuning.get_tuning_job(name=second).state.name == "JOB_STATE_RUNNING"
    assert server.stop() < 2.5
    assert server.start().until(second, "RUNNING").name == second
    server.tuning.cancel_tuning_job(name=second)
    server.until(second, "CANCELLED")


def test_cancel_while_running(own_server):
    server = own_server.start()
    name = start_holding(server)
    server.tuning.cancel_tuning_job(name=name)
    job = server.until(name, "CANCELLED")
    assert job.error.code == 1
    assert engine_pid(server, name) == 0
    server.tuning.cancel_tuning_job(name=name)


def test_an_adapter_is_deployed_while_its_training_goes_on(own_server):
    server = own_server.start()
    job = server.job("hold")
    name = server.create(job).name
    wait_for(lambda: server.tuning.get_tuning_job(name=name).tuned_model.checkpoints, server.log)
    running = server.tuning.get_tuning_job(name=name)
    assert (running.state.name, [one.step for one in running.tuned_model.checkpoints]) == ("JOB_STATE_RUNNING", [4])
    folder = f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-4"
    assert len(server.deployed("during", custom_model={"gcs_uri": folder}).deployed_models) == 1
    server.tuning.cancel_tuning_job(name=name)
    server.until(name, "CANCELLED")


@pytest.mark.parametrize("cut_off", one_of(2, [True, False]))
def test_a_cancelled_job_leaves_its_checkpoints(own_server, cut_off):
    server = own_server.start()
    job = server.job("hold")
    name = server.create(job).name
    folder = server.data / "tuning-jobs" / name.rpartition("/")[2]
    wait_for((folder / "checkpoints/checkpoint-4/optimizer.pt").exists, server.log)
    if cut_off:
        os.kill(engine_pid(server, name), signal.SIGSTOP)
    server.tuning.cancel_tuning_job(name=name)
    if cut_off:
        engine = engine_pid(server, name)
        server.stop(signal.SIGKILL)
        os.kill(engine, signal.SIGKILL)
        server.start()
    server.until(name, "CANCELLED")
    output = job.output_uri.removeprefix("gs://garden-local/")
    assert server.stored(f"{output}/postprocess/node-0/checkpoints/") == [
        "checkpoint-4/adapter.gguf",
        "checkpoint-4/adapter_config.json",
        "checkpoint-4/adapter_model.safetensors",
        "checkpoint-4/base-model.json",
    ]
    assert "Checkpoints written: 1" in server.text(f"{output}/logs/train.log")
    assert not (folder / "checkpoints").exists()


def test_a_new_job_goes_on_from_what_a_cancelled_one_left(own_server):
    server = own_server.start()
    job = server.job("hold")
    name = server.create(job).name
    folder = server.data / "tuning-jobs" / name.rpartition("/")[2]
    wait_for((folder / "checkpoints/checkpoint-4/optimizer.pt").exists, server.log)
    server.tuning.cancel_tuning_job(name=name)
    server.until(name, "CANCELLED")
    start = f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-4"
    done = server.until(server.create(server.job(custom_base_model=start)).name, "SUCCEEDED", "FAILED")
    assert (done.state.name, done.error.message) == ("JOB_STATE_SUCCEEDED", "")


def test_a_failed_job_leaves_its_checkpoints(own_server):
    server = own_server.start()
    job = server.job("crash always")
    job.supervised_tuning_spec.hyper_parameters.epoch_count = 9
    server.until(server.create(job).name, "FAILED")
    output = job.output_uri.removeprefix("gs://garden-local/")
    assert "checkpoint-4/adapter_model.safetensors" in server.stored(f"{output}/postprocess/node-0/checkpoints/")
    assert "Checkpoints written: " in server.text(f"{output}/logs/train.log")


def test_cancel_while_waiting(own_server):
    server = own_server.start()
    first = start_holding(server)
    waiting = server.create(server.job()).name
    server.tuning.cancel_tuning_job(name=waiting)
    assert server.until(waiting, "CANCELLED").error.code == 1
    assert server.tuning.get_tuning_job(name=first).state.name == "JOB_STATE_RUNNING"


def test_killed_engine_goes_on_from_its_checkpoint(own_server):
    server = own_server.start()
    job = server.until(server.create(server.job("crash once")).name, "SUCCEEDED")
    assert [checkpoint.step for checkpoint in job.tuned_model.checkpoints] == [4, 8]


def test_engine_that_is_always_killed_is_an_error(own_server):
    server = own_server.start()
    job = server.job("crash always")
    job.supervised_tuning_spec.hyper_parameters.epoch_count = 9
    failed = server.until(server.create(job).name, "FAILED")
    assert failed.error.code == 13
    assert "was killed; this machine probably ran out of memory, 3 times." in failed.error.message


@pytest.mark.fault("F20")
def test_engine_that_runs_out_of_disk_goes_on_from_its_checkpoint(own_server):
    server = own_server.start()
    ended = server.until(server.create(server.job("short once")).name, "SUCCEEDED")
    log = server.text(f"{ended.output_uri.removeprefix(f'gs://{BUCKET}/')}/logs/train.log")
    assert "The disk is full. The training goes on from its last checkpoint when there is room." in log
    assert [checkpoint.step for checkpoint in ended.tuned_model.checkpoints] == [4, 8]


@pytest.mark.fault("F20")
@pytest.mark.slow
def test_engine_that_never_gets_enough_disk_is_an_error_that_says_so(own_server):
    server = own_server.start()
    failed = server.until(server.create(server.job("short always")).name, "FAILED")
    assert failed.error.message.startswith("The disk was full 3 times at the same checkpoint. Make more room")


@pytest.mark.parametrize("number", one_of(2, [signal.SIGKILL, signal.SIGTERM]))
def test_training_goes_on_after_the_server_was_gone(own_server, number):
    server = own_server.start()
    name = start_holding(server)
    before = server.tuning.get_tuning_job(name=name)
    engine = engine_pid(server, name)
    assert server.stop(number) < 2.5
    wait_for(lambda: not os.path.exists(f"/proc/{engine}"), server.log, 3)
    waiting = server.start().create(server.job()).name
    wait_for(lambda: engine_pid(server, name), server.log)
    again = server.tuning.get_tuning_job(name=name)
    assert (again.state.name, again.experiment) == ("JOB_STATE_RUNNING", before.experiment)
    assert server.tuning.get_tuning_job(name=waiting).state.name == "JOB_STATE_PENDING"
    server.tuning.cancel_tuning_job(name=name)
    assert server.until(name, "CANCELLED").name == name
    server.until(waiting, "SUCCEEDED")


@pytest.mark.slow
def test_cancelling_ends_after_a_restart(own_server):
    server = own_server.start()
    name = start_holding(server)
    engine = engine_pid(server, name)
    os.kill(engine, signal.SIGSTOP)
    server.tuning.cancel_tuning_job(name=name)
    assert server.tuning.get_tuning_job(name=name).state.name == "JOB_STATE_CANCELLING"
    server.stop(signal.SIGKILL)
    os.kill(engine, signal.SIGKILL)
    server.start()
    assert server.until(name, "CANCELLED").error.code == 1


def test_second_server_in_one_folder_says_so(own_server):
    own_server.start()
    command = [sys.executable, "-m", "jobs.localvertex", "--data-dir", str(own_server.data)]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 1
    assert f"A local Vertex AI runs in {own_server.data} already." in second.stderr
