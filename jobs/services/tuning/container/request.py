"""What Vertex AI is asked for: a custom job, whose container takes the arguments of Google's container for LoRA."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings

from jobs.models import Dataset, TuningJob
from jobs.models.runs.settings import Schedule
from jobs.services.catalogue import training_machines
from jobs.services.catalogue.facts import tuning_facts
from jobs.services.tuned_models.checkpoints import RESULTS
from jobs.services.tuning.spec import TuningSpec
from jobs.text.numbers import plain
from jobs.vertex import get_gateway, grants
from jobs.vertex.port import TrainingJobs
from jobs.vertex.values import CustomJobSpec, MachineSpec

LOGS, STATISTICS, RESUME = "logs", "tuning_data_stats.json", "resume"
TOKEN_SECRET = "HF_TOKEN_SECRET"  # noqa: S105 - the name of a variable
# The weights, what is downloaded and unpacked, checkpoints, and the merged model.
DISK_GIGABYTES = 100
ROWS_A_STEP = 4


def choose_service(job: TuningJob) -> TrainingJobs[Any]:
    """Where Vertex AI keeps the job: among the custom jobs, or among the tuning jobs."""
    gateway = get_gateway()
    return gateway.custom_jobs if job.is_in_container else gateway.tuning


def make_spec(job: TuningJob, labels: Mapping[str, str]) -> CustomJobSpec:
    machine = training_machines.find_machine(job.training_machine)
    return CustomJobSpec(
        display_name=job.display_name,
        image=job.trainer_image,
        machine=MachineSpec(machine.machine_type, machine.accelerator_type, 1 if machine.accelerator_type else 0),
        arguments=list_arguments(job),
        output_uri=job.output_uri,
        labels=labels,
        environment=environment(),
        service_account=settings.VERTEX_TRAINER_ACCOUNT,
        disk_gigabytes=disk_gigabytes(job),
        location=job.location,
    )


def list_arguments(job: TuningJob | TuningSpec) -> list[str]:
    output = job.output_uri.rstrip("/")
    validation = job.validation_dataset
    given: dict[str, Any] = {
        "task": "instruct-lora",
        "pretrained_model_name_or_path": _weights(job.base_model),
        "custom_base_model": job.custom_base_model,
        "train_dataset": dataset_uri(job.dataset),
        "eval_dataset": dataset_uri(validation) if validation else "",
        "output_dir": f"{output}/{RESULTS}",
        "merge_base_and_lora_output_dir": f"{output}/{RESULTS}/final",
        "resume_dir": f"{output}/{RESUME}",
        "report_to": "tensorboard",
        "logging_output_dir": f"{output}/{LOGS}",
        "tuning_data_stats_file": f"{output}/{LOGS}/{STATISTICS}",
        "precision_mode": job.quantization or "bfloat16",
        "lora_rank": job.adapter_size,
        "num_train_epochs": job.epochs,
        "learning_rate": plain(job.learning_rate),
        "per_device_train_batch_size": job.batch_size or ROWS_A_STEP,
        "gradient_accumulation_steps": 1,
        "warmup_ratio": _plain(job.warmup_ratio),
        "weight_decay": _plain(job.weight_decay),
        "lr_scheduler_type": _schedule(job.lr_scheduler_type),
        "seed": job.seed,
        "max_seq_length": job.max_seq_length,
    }
    return [f"--{name}={value}" for name, value in given.items() if value not in (None, "")]


def environment() -> dict[str, str]:
    """The name of a secret, never the secret."""
    secret = "" if settings.VERTEX_TRAINER_WEIGHTS else settings.VERTEX_TRAINER_SECRET
    return {TOKEN_SECRET: secret} if secret else {}


def disk_gigabytes(job: TuningJob | TuningSpec) -> int:
    facts = tuning_facts(job.base_model)
    return DISK_GIGABYTES + (round(4 * facts.container.gigabytes) if facts and facts.container else 0)


def dataset_uri(dataset: Dataset) -> str:
    """Where a job reads it: the object that it came from, or the console's copy."""
    return dataset.source_uri if dataset.is_read_at_source else copy_uri(dataset)


def copy_uri(dataset: Dataset) -> str:
    return f"{settings.VERTEX_BUCKET}/datasets/{dataset.pk}.jsonl"


def build_commands() -> str:
    """To make the image and to name it."""
    return "\n".join(grants.build_trainer(settings.VERTEX_LOCATION))


def _weights(base_model: str) -> str:
    """A folder of the bucket, named as on Hugging Face, or the name there."""
    facts = tuning_facts(base_model)
    name = facts.container.weights if facts and facts.container else base_model
    folder = settings.VERTEX_TRAINER_WEIGHTS
    return f"{folder}/{name.rpartition('/')[2]}" if folder else name


def _schedule(schedule: str) -> str:
    """Of Hugging Face's names, `constant` has no warm-up."""
    return "constant_with_warmup" if schedule == Schedule.CONSTANT else schedule


def _plain(number: float | None) -> str:
    return "" if number is None else plain(number)
