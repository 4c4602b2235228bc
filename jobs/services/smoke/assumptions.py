"""What the console takes for granted of Vertex AI though no documentation says it, and what shows whether it holds.

`judge` answers None where the run saw nothing of it. `not_tried` says why no run of this size can tell.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from jobs.models import TuningMode
from jobs.services.tuned_models.checkpoints import RESULTS
from jobs.services.tuning.reading.series import EVAL, TRAIN, name_series

from .evidence import Evidence

FINAL = f"{RESULTS}/final/"
CHECKPOINT = re.compile(r"checkpoints/(checkpoint-)?\d+/")


@dataclass(frozen=True)
class Assumption:
    key: str
    text: str
    judge: Callable[[Evidence], bool | None] | None = None
    saw: Callable[[Evidence], str] = lambda evidence: ""
    not_tried: str = ""


def _final_folder(evidence: Evidence) -> bool | None:
    return None if not evidence.files else any(name.startswith(FINAL) for name in evidence.files)


def _folders(evidence: Evidence) -> str:
    found = {name.rpartition("/")[0] for name in evidence.files or () if name.endswith((".safetensors", ".bin"))}
    return "weights in " + ", ".join(sorted(found)[:12]) if found else "no weights"


def _checkpoints(evidence: Evidence) -> bool | None:
    return None if not evidence.files else any(CHECKPOINT.search(name) for name in evidence.files)


def _is_merged(evidence: Evidence) -> bool | None:
    if not evidence.files or evidence.tuning_mode != TuningMode.PEFT_ADAPTER:
        return None
    return f"{FINAL}config.json" in evidence.files


def _labels_of_job(evidence: Evidence) -> bool | None:
    if evidence.job is None:
        return None
    return evidence.asked_labels.items() <= dict(evidence.job.labels).items()


def _small_rate(evidence: Evidence) -> bool | None:
    """Python writes numbers below 0.0001 as 1e-05."""
    if evidence.job is None or not evidence.learning_rate or "e" not in str(evidence.learning_rate):
        return None
    return evidence.job.state == "SUCCEEDED"


def _metrics(evidence: Evidence) -> bool | None:
    if not evidence.metrics:
        return None
    named = name_series(dict.fromkeys(evidence.metrics, ()))
    return TRAIN in named or EVAL in named


def _registry(evidence: Evidence) -> bool | None:
    return None if evidence.job is None else bool(evidence.job.tuned_model)


def _labels_of_endpoint(evidence: Evidence) -> bool | None:
    return None if evidence.endpoint is None else "app-key" in evidence.endpoint.labels


def _address(evidence: Evidence) -> bool | None:
    return None if evidence.endpoint is None else bool(evidence.endpoint.dedicated_dns)


def _machine(evidence: Evidence) -> bool | None:
    if evidence.endpoint is None or not evidence.endpoint.deployed_models:
        return None
    return evidence.endpoint.deployed_models[0].machine is not None


def _chat(evidence: Evidence) -> bool | None:
    return None if evidence.answer is None else bool(evidence.answer.strip())


def _terms(evidence: Evidence) -> bool | None:
    return None if evidence.terms_accepted is None else True


ASSUMPTIONS = (
    Assumption("final-folder", f"The tuned model lies in {FINAL} below the output folder.", _final_folder, _folders),
    Assumption("checkpoint-folders", "Checkpoints lie in folders that are numbered.", _checkpoints, _folders),
    Assumption("final-is-merged", "After LoRA tuning, that folder holds a merged model.", _is_merged, _folders),
    Assumption("labels-of-jobs", "A tuning job keeps the labels of its request.", _labels_of_job),
    Assumption("small-numbers", "A learning rate that JSON writes as 1e-05 is understood.", _small_rate),
    Assumption(
        "metric-names",
        "Among the series of the experiment is a loss by a name that the console knows.",
        _metrics,
        lambda evidence: ", ".join(evidence.metrics or ()) or "no series",
    ),
    Assumption(
        "registered-model",
        "The job names a model in the registry.",
        _registry,
        lambda evidence: evidence.job.tuned_model if evidence.job else "",
    ),
    Assumption("labels-of-endpoints", "The endpoint of :deploy has the labels of its request.", _labels_of_endpoint),
    Assumption(
        "address",
        "The endpoint names its own address when its deployment has ended.",
        _address,
        lambda evidence: evidence.endpoint.dedicated_dns if evidence.endpoint else "",
    ),
    Assumption("machine", "The endpoint tells the machine of its deployed model.", _machine),
    Assumption("chat", "Chat completions at that address answer.", _chat),
    Assumption(
        "machines-in-lists",
        "The list of publisher models names the machines of each.",
        lambda evidence: evidence.list_has_machines,
    ),
    Assumption("terms", "modelGardenEula:check answers for the base model.", _terms),
    Assumption(
        "tuning-quota",
        "The quota of tuning jobs can be read by its name.",
        lambda evidence: evidence.is_quota_readable,
        lambda evidence: "" if evidence.tuning_quota is None else f"limit {evidence.tuning_quota}",
    ),
    Assumption("clean-up", "Nothing is left after the undeployment.", lambda evidence: evidence.is_gone),
    Assumption(
        "vision", "Full tuning keeps a model's vision.",
        not_tried="The smallest model that can be tuned reads no images; a larger one costs more than this run may.",
    ),
    Assumption(
        "over-quota", "A second job at once is refused with 429, or fails with a sentence about the quota.",
        not_tried="It would take a second job that may be paid for.",
    ),
    Assumption(
        "terms-refused", "A deployment without accepted terms is refused in the words that the console knows.",
        not_tried="Terms that were accepted cannot be taken back.",
    ),
    Assumption(
        "plain-deployment", "The registered model can be deployed by endpoints:deployModel.",
        not_tried="It would take a second machine.",
    ),
    Assumption(
        "images-by-address", "The served model reads images from gs:// addresses.",
        not_tried="The smallest model that can be tuned reads no images.",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """`verdict`: held, did not hold, not seen, or not tried."""

    assumption: Assumption
    verdict: str
    detail: str


def judge(evidence: Evidence) -> list[Finding]:
    return [_judge(assumption, evidence) for assumption in ASSUMPTIONS]


def _judge(assumption: Assumption, evidence: Evidence) -> Finding:
    if assumption.judge is None:
        return Finding(assumption, "not tried", assumption.not_tried)
    found = assumption.judge(evidence)
    if found is None:
        return Finding(assumption, "not seen", "")
    return Finding(assumption, "held" if found else "did not hold", assumption.saw(evidence))
