"""What Google and the local server write when something fails, as they write it."""

import time

import pytest
from django.utils import translation

from jobs.services.diagnosis import reasons
from jobs.services.diagnosis.causes import Cause
from jobs.text.deferred import gettext as _

MESSAGES = [
    (
        "FAILED_PRECONDITION",
        "Project 1 is not allowed to use Publisher Model publishers/x/models/gemma3.",
        "terms",
    ),
    ("FAILED_PRECONDITION", "The licence of this model is not accepted in the project yet. Accept it first.", "terms"),
    ("RESOURCE_EXHAUSTED", "The following quotas are exceeded: CustomModelServingL4GPUsPerProjectPerRegion 8", "quota"),
    (
        "RESOURCE_EXHAUSTED",
        "The model needs about 900 MB of memory, and all of the 700 MB is taken",
        "memory",
    ),
    ("RESOURCE_EXHAUSTED", "Too many requests.", "quota"),
    ("UNAVAILABLE", 'Machine type temporarily unavailable. Machine type: "g2-standard-24".', "stock_out"),
    ("INTERNAL", "The zone does not have enough resources available to fulfill the request.", "stock_out"),
    ("INTERNAL", "CUDA out of memory. Tried to allocate 2.00 GiB", "memory"),
    ("RESOURCE_EXHAUSTED", "The training needs about 6.8 GB of memory, and 2.5 GB are free on this machine.", "memory"),
    ("FAILED_PRECONDITION", "The training needs at least 90 GB of memory, and this machine has 24 GB.", "memory"),
    ("RESOURCE_EXHAUSTED", "This machine has too little memory for the training. Use a smaller batch size.", "memory"),
    ("INTERNAL", "This machine has too little memory for the training. Use a smaller batch size.", "memory"),
    ("INTERNAL", "The training process was killed; this machine probably ran out of memory, 3 times.", "memory"),
    ("INTERNAL", "The disk was full 3 times at the same checkpoint.", "disk"),
    ("INTERNAL", "The training process hung and was ended, 3 times.", "worker_gone"),
    ("INTERNAL", "The replica workerpool0-0 exited with a non-zero status of 1.", "worker_gone"),
    ("INVALID_ARGUMENT", "The training diverged: its loss is not a number at step 5.", "diverged"),
    ("INVALID_ARGUMENT", "Line 3 of the training data: the role 'out of memory' is not one of system, user.", "data"),
    ("INVALID_ARGUMENT", "The validation dataset has 6,000 rows; at most 5,000 are allowed.", "validation_data"),
    ("INVALID_ARGUMENT", "The model to continue from cannot be read: gs://b/x", "start_gone"),
    ("INVALID_ARGUMENT", "gs://b/final is empty or not there. It must be the folder of a tuned model.", "weights_gone"),
    ("PERMISSION_DENIED", "The credentials do not allow this.", "permission"),
    ("FAILED_PRECONDITION", "Nothing may be written to the bucket. Choose another output directory", "output"),
    ("FAILED_PRECONDITION", "Model server never became ready. Please validate your container.", "never_ready"),
    ("DEADLINE_EXCEEDED", "The model wasn't deployed within two hours.", "never_ready"),
    ("NOT_FOUND", "The job was deleted from Vertex AI.", "vanished"),
    ("FAILED_PRECONDITION", "The bucket of gs://gone/model doesn't exist.", "weights_gone"),
    (
        "FAILED_PRECONDITION",
        "The Cloud Storage bucket of `gs://b/out` is in location `us`. It must be in the same regional location as the"
        " service location `us-central1`.",
        "region",
    ),
    ("ALREADY_EXISTS", "The Model projects/p/locations/l/models/m already exists.", "taken"),
    ("INTERNAL", "Internal error encountered.", "unknown"),
    ("INTERNAL", "The training stopped with an unexpected error (ValueError: x).", "unknown"),
    ("", "", "unknown"),
]


@pytest.mark.parametrize(("code", "message", "cause"), MESSAGES)
def test_the_cause_of_a_message(code: str, message: str, cause: str) -> None:
    assert reasons.find_cause(code, message) == cause


def test_what_the_console_found_at_fault_itself_counts_first() -> None:
    assert reasons.find_cause("FAILED_PRECONDITION", "Out of memory", "output_uri") == "output"


def test_a_sentence_of_the_console_is_read_in_english_whoever_looks() -> None:
    with translation.override("ko"):
        sentence = _("%s Choose another output directory and start a new job.") % "The bucket does not exist."
        assert sentence != str(sentence.source % "The bucket does not exist.")  # type: ignore[attr-defined]
        english = reasons.in_english(sentence)
    assert english == "The bucket does not exist. Choose another output directory and start a new job."


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("Line 3 of the training data: bad. Lines 3, 7, 12 cannot be used.", (3, 7, 12)),
        ("row 4: missing; Rows 9, 10", (4, 9, 10)),
        ("at most 5,000 rows are allowed", ()),
        ("Line 0 and line 99999999999", ()),
        ("", ()),
    ],
)
def test_the_rows_that_a_reason_names(text: str, rows: tuple[int, ...]) -> None:
    assert reasons.find_rows(text) == rows


def test_the_figures_in_a_reason() -> None:
    assert reasons.find_memory("Tried to allocate 2.50 GiB of 79.1 GiB") == "2.50 GiB, 79.1 GiB"
    assert reasons.find_quota("exceed: aiplatform.googleapis.com/custom_model_training_nvidia_l4_gpus") == (
        "aiplatform.googleapis.com/custom_model_training_nvidia_l4_gpus"
    )
    assert reasons.find_command("Missing. Run: gcloud auth application-default login (Expired.)") == (
        "gcloud auth application-default login"
    )
    assert reasons.find_command("Run: rm -rf / (x)") == ""
    assert reasons.find_step("not a number at step 12.") == 12


@pytest.mark.threat("T12")
@pytest.mark.parametrize("part", ["Run: gcloud ", "lines 1, 2", "12 GB ", "AaaaaaPer", "a" * 50, "exited ", "\n"])
def test_a_reason_of_any_length_is_read_in_no_time(part: str) -> None:
    text = part * (2_000_000 // len(part))
    began = time.process_time()
    reasons.find_cause("INTERNAL", text)
    reasons.find_line(text, Cause.MEMORY)
    for find in (reasons.find_rows, reasons.find_command, reasons.find_quota, reasons.find_memory, reasons.find_step):
        find(text)
    assert time.process_time() - began < 1
    assert len(reasons.shorten(text)) == 2000


def test_the_line_of_the_log_that_tells_of_the_cause() -> None:
    log = "loading\nRuntimeError: CUDA out of memory.\nbye\n"
    assert reasons.find_line(log, Cause.MEMORY) == "RuntimeError: CUDA out of memory."
    assert reasons.find_line(log, Cause.DISK) == ""
