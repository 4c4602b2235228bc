"""Warm-up, schedule, weight decay, seed and longest row: the trainer does what it is told."""

from typing import Any

import pytest
from transformers import set_seed

from jobs.localvertex.devices.choice import Training
from jobs.localvertex.devices.machine import CPU, CUDA
from jobs.localvertex.engine.dataset import Examples
from jobs.localvertex.engine.job import Job
from jobs.localvertex.engine.model import ON_CPU, trainable
from jobs.localvertex.engine.trainer import AnswerTrainer, arguments, build_trainer, device_settings
from jobs.localvertex.engine.training import load_data
from jobs.localvertex.models import catalogue
from jobs.localvertex.resources.tuning import peft_arguments
from tests.jobs.localvertex.engine.conftest import Workdir

pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
STEPS, RATE = 8, 0.001


def described(workdir: Workdir, **settings: Any) -> Job:
    workdir.describe(validation_path=None, epochs=1, max_steps=STEPS, learning_rate=RATE, batch_size=2, **settings)
    return Job.read(workdir.path / "job.json")


def trainer_of(workdir: Workdir, job: Job, rows: Examples) -> AnswerTrainer:
    set_seed(job.seed)
    args = arguments(job, workdir.path, STEPS, False, ON_CPU)
    args.save_strategy = "no"
    return build_trainer(trainable(job), args, rows, None, [], None)


def logged(workdir: Workdir, **settings: Any) -> list[dict[str, float]]:
    job = described(workdir, **settings)
    rows, _validation = load_data(job)
    trainer = trainer_of(workdir, job, rows)
    trainer.train()
    return [entry for entry in trainer.state.log_history if "learning_rate" in entry]


def rates(steps: list[dict[str, float]]) -> list[float]:
    return [round(step["learning_rate"] / RATE, 3) for step in steps]


def losses(steps: list[dict[str, float]]) -> list[float]:
    return [step["loss"] for step in steps]


def test_warm_up_schedule_and_seed(workdir: Workdir) -> None:
    settings = {"lr_scheduler_type": "linear", "warmup_ratio": 0.5, "seed": 7}
    first, again = (logged(workdir, **settings) for _turn in range(2))
    other = logged(workdir, seed=8, lr_scheduler_type="constant", warmup_ratio=0.25)
    assert rates(first) == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25]
    assert rates(other) == [0, 0.5, 1, 1, 1, 1, 1, 1]
    assert (losses(first) == losses(again), losses(first) == losses(other)) == (True, False)


@pytest.mark.parametrize("decay", [0.0, 0.125])
def test_the_weight_decay_reaches_the_optimizer(workdir: Workdir, decay: float) -> None:
    job = described(workdir, weight_decay=decay)
    rows, _validation = load_data(job)
    groups = trainer_of(workdir, job, rows).create_optimizer().param_groups
    assert max(group["weight_decay"] for group in groups if group["params"]) == decay


def test_rows_over_the_longest_are_cut_and_those_without_an_answer_left_out(workdir: Workdir) -> None:
    """As the form says."""
    long, hopeless = {"prompt": "Hi", "completion": "Hello! " * 40}, {"prompt": "Hi " * 60, "completion": "Hello!"}
    path = workdir.write_rows("rows.jsonl", {"prompt": "Hi", "completion": "Hello!"}, long, hopeless)
    rows, _validation = load_data(described(workdir, max_length=40, train_path=path))
    assert (len(rows), rows.truncated, rows.dropped, max(len(row.input_ids) for row in rows.rows)) == (
        2,
        [1, 2],
        [2],
        40,
    )


def test_the_arguments_of_a_custom_job_bend_the_learning_rate(workdir: Workdir) -> None:
    """As those of a tuning job, which come as labels."""
    given = ["--pretrained_model_name_or_path=google/gemma-3-270m", "--train_dataset=gs://b/t", "--output_dir=gs://b/o"]
    steps = [*given, "--lr_scheduler_type=linear", "--warmup_steps=2"]
    settings = [peft_arguments.read(catalogue.load(), one).engine for one in (steps, given)]
    linear, cosine = (rates(logged(workdir, **one)) for one in settings)
    assert linear == [0, 0.5, 1, 0.833, 0.667, 0.5, 0.333, 0.167]
    assert cosine == [1, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038]


def test_without_settings_it_trains_as_before(workdir: Workdir) -> None:
    args = arguments(Job.read(workdir.path / "job.json"), workdir.path, 100, False, ON_CPU)
    assert (args.lr_scheduler_type, args.warmup_steps, args.weight_decay) == ("cosine", 5, 0.0)


def test_a_card_with_bf16_trains_in_it_and_computes_layers_twice_where_memory_is_short(workdir: Workdir) -> None:
    job = described(workdir)
    on_card = Training(CUDA, "", dtype="bfloat16", checkpoints=True)
    names = ("use_cpu", "bf16", "activation_checkpointing", "activation_checkpointing_kwargs", "dataloader_pin_memory")
    on_cpu = arguments(job, workdir.path, STEPS, False, ON_CPU)
    assert [getattr(on_cpu, name) for name in names] == [True, False, False, None, False]
    wanted = device_settings(on_card)
    assert [wanted[name] for name in names] == [False, True, True, {"use_reentrant": False}, True]
    old = device_settings(Training(CUDA, "", dtype="float32"))
    assert (old["bf16"], old["activation_checkpointing"]) == (False, False)


@pytest.mark.slow
def test_layers_that_are_computed_twice_teach_the_same(workdir: Workdir) -> None:
    plain = logged(workdir)
    job = described(workdir)
    rows, _validation = load_data(job)
    set_seed(job.seed)
    args = arguments(job, workdir.path, STEPS, False, Training(CPU, "", checkpoints=True))
    args.save_strategy = "no"
    model = trainable(job)
    trainer = build_trainer(model, args, rows, None, [], None, packed=True)
    trainer.fast = None  # as on a card
    trainer.data_collator.flat = False  # type: ignore[union-attr]
    trainer.train()
    assert model.get_base_model().is_gradient_checkpointing
    losses = [entry["loss"] for entry in trainer.state.log_history if "grad_norm" in entry]
    assert losses == pytest.approx([entry["loss"] for entry in plain], rel=0.02)
