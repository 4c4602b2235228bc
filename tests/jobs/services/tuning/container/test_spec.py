from uuid import uuid4

import pytest
from django.test import override_settings

from jobs.errors import InvalidValues
from jobs.services.tuning import jobs, terms
from tests.support import factories

pytestmark = pytest.mark.django_db
IMAGE = "us-central1-docker.pkg.dev/p/garden/garden-trainer:1"
BASE, LARGE = "google/gemma3@gemma-3-1b-it", "google/gemma3@gemma-3-12b-it"
BUILD = (
    "Managed tuning offers only full fine-tuning of Gemma 3 1B It. For a LoRA adapter, build the trainer's image "
    "and set VERTEX_TRAINER_IMAGE."
)
MANAGED = "Managed tuning chooses the machine by itself. Leave this empty."
GOOD = {"base_model": BASE, "adapter_size": 8, "training_machine": "g2-standard-8", "location": "us-central1"}


def problems(owner, image=IMAGE, **values):
    spec = factories.tuning_spec(owner=owner, **GOOD | values)
    with override_settings(VERTEX_TRAINER_IMAGE=image):
        try:
            spec.validate(terms.of_spec(owner, uuid4(), spec))
        except InvalidValues as error:
            return [(one.code, one.field, str(one.sentence)) for one in error.problems]
    return []


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"quantization": "4bit"},
        {"warmup_ratio": 0.1, "lr_scheduler_type": "constant", "weight_decay": 0.01, "seed": 7, "max_seq_length": 1024},
        {"base_model": LARGE, "training_machine": "a2-highgpu-1g"},
        {"base_model": LARGE, "training_machine": "g2-standard-16", "quantization": "4bit"},
        {"tuning_mode": "FULL", "adapter_size": None, "training_machine": ""},
    ],
)
def test_what_a_container_trains(owner, values):
    assert problems(owner, **values) == []


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({"image": ""}, [("not_offered", "tuning_mode", BUILD)]),
        (
            {"training_machine": ""},
            [
                (
                    "required",
                    "training_machine",
                    "Managed tuning offers no LoRA adapter of Gemma 3 1B It. Choose a machine for the training.",
                )
            ],
        ),
        (
            {"training_machine": "n1-standard-4"},
            [("invalid_choice", "training_machine", "Choose one of the machines in the list.")],
        ),
        (
            {"base_model": LARGE},
            [
                (
                    "does_not_fit",
                    "training_machine",
                    "The model needs about 32 GB on the GPU, and g2-standard-8 has 24 GB. Choose a larger machine, or "
                    "fewer bits.",
                )
            ],
        ),
        (
            {"base_model": LARGE, "quantization": "4bit"},
            [
                (
                    "does_not_fit",
                    "training_machine",
                    "Merging the adapter needs about 49 GB of memory, and g2-standard-8 has 32 GB. Choose a "
                    "larger machine.",
                )
            ],
        ),
        ({"quantization": "2bit"}, [("invalid_choice", "quantization", "Choose 16, 8 or 4 bits.")]),
        (
            {"location": "global"},
            [
                (
                    "not_offered",
                    "location",
                    "A training on a machine of your choice can't run in global. Choose a region.",
                )
            ],
        ),
        (
            {"export_last_checkpoint_only": True},
            [
                (
                    "not_offered",
                    "export_last_checkpoint_only",
                    "A training on a machine of your choice keeps every checkpoint. Turn this off.",
                )
            ],
        ),
        ({"tuning_mode": "FULL"}, [("not_offered", "training_machine", MANAGED)]),
        ({"base_model": "google/gemma3@gemma-3-27b-it"}, [("not_offered", "training_machine", MANAGED)]),
    ],
)
def test_what_it_does_not_train_says_why(owner, values, found):
    assert problems(owner, **values) == found


def test_a_model_that_vertex_ai_does_not_tune_is_tuned_in_a_container(owner):
    factories.publisher_model(name=BASE, can_tune=False)
    assert problems(owner) == []
    assert [code for code, _field, _sentence in problems(owner, image="")] == ["not_tunable"]


def test_a_job_keeps_the_image_of_its_beginning(owner, settings):
    settings.VERTEX_TRAINER_IMAGE = IMAGE
    job = jobs.create(owner, key=uuid4(), spec=factories.tuning_spec(owner=owner, **GOOD))
    whole = factories.tuning_spec(owner=owner, base_model=BASE, tuning_mode="FULL", adapter_size=None)
    managed = jobs.create(owner, key=uuid4(), spec=whole)
    assert (job.trainer_image, job.is_in_container, managed.trainer_image) == (IMAGE, True, "")
