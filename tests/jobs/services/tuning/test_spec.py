"""A value that a tuning job may not have is refused with the same code, field and sentence by whatever way it comes."""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from console.presenters.tuning.wizard.clone import raw_values
from console.presenters.tuning.wizard.drafts import SENT, Wizard
from jobs.errors import InvalidValues
from jobs.models import TuningDraft, TuningJob
from jobs.services.tuning import job_files, jobs, terms
from jobs.services.tuning.spec import find_problems
from tests.support import factories
from tests.support.share import one_of

pytestmark = pytest.mark.django_db
BOTH_MODES = "google/gemma3@gemma-3-27b-it"
FULL_ONLY = "google/gemma3@gemma-3-1b-it"
START = "gs://garden-local/start/postprocess/node-0/checkpoints/final"
EPOCHS = "Enter a whole number of epochs from 1 to 100."
RATE = "Enter a number above 0 and up to 1, such as 0.0002."
BATCH = "Enter a whole number from 1 to 256, or leave it empty."
HOURS = "Enter a whole number of hours from 1 to 720, or leave it empty."
NOT_ON_VERTEX = "Vertex AI's tuning takes no such setting. Leave it empty."
REPLICAS = "Enter a whole number from 1 to 100."
SIZES = "Choose one of these sizes: 1, 4, 8, 16, 32."
NO_PLACE = (
    "The rows of this dataset call tools, and the chat template of Gemma 3 27B It has no place for tools. Choose a "
    "base model whose template has one, or a dataset without tools."
)
# What is changed in a good spec, and the code, field and sentence of each problem.
BAD_VALUES: list[tuple[dict[str, Any], list[tuple[str, str, str]]]] = [
    ({"display_name": "x" * 129}, [("max_length", "display_name",
        "A name can have at most 128 characters. This one has 129. Shorten it.")]),
    ({"display_name": "two\nlines"}, [("control_characters", "display_name",
        "A name must be one line of text. Remove line breaks and other control characters.")]),
    ({"display_name": "…!"}, [("no_letter", "display_name", "Use at least one letter or digit in the name.")]),
    ({"display_name": ""}, [("required", "display_name", "Enter a name.")]),
    ({"description": "x" * 2001}, [("max_length", "description",
        "A description can have at most 2000 characters. This one has 2001.")]),
    ({"base_model": ""}, [("required", "base_model", "Choose a base model.")]),
    ({"base_model": "a/b@c"}, [("not_tunable", "base_model",
        "a/b@c is not in the Vertex AI catalogue. Choose a model from the list.")]),
    ({"base_model": "a/untuned@c"}, [("not_tunable", "base_model", "Managed tuning doesn't support this model.")]),
    ({"base_model": "a/deployed@c"}, [("not_tunable", "base_model",
        "Vertex AI doesn't offer tuning for this model.")]),
    ({"custom_base_model": "gs://garden-local/nowhere"}, [("invalid_choice", "custom_base_model",
        "Choose one of the models that you have tuned, or a checkpoint.")]),
    ({"location": "moon-1"}, [("invalid_choice", "location",
        "Vertex AI doesn't tune open models in moon-1. Choose a region from the list.")]),
    ({"output_uri": ""}, [("required", "output_uri",
        "Enter a Cloud Storage folder, such as gs://my-bucket/support-bot.")]),
    ({"output_uri": "s3://bucket/x"}, [("not_writable", "output_uri",
        "Enter a Cloud Storage path that starts with gs://, such as gs://my-bucket/output.")]),
    ({"output_uri": "gs://garden-local/start"}, [("not_writable", "output_uri",
        "Another tuning job already writes to this folder. Choose a different folder.")]),
    ({"output_uri": "gs://garden-local/start/below"}, [("not_writable", "output_uri",
        "Another tuning job writes to gs://garden-local/start. Choose a folder that is not above or below it.")]),
    ({"epochs": 0}, [("out_of_range", "epochs", EPOCHS)]),
    ({"epochs": 101}, [("out_of_range", "epochs", EPOCHS)]),
    ({"learning_rate": 0.0}, [("out_of_range", "learning_rate", RATE)]),
    ({"learning_rate": -1.0}, [("out_of_range", "learning_rate", RATE)]),
    ({"learning_rate": 1.5}, [("out_of_range", "learning_rate", RATE)]),
    ({"tuning_mode": "HALF"}, [("invalid_choice", "tuning_mode", "Choose LoRA adapter or full fine-tuning.")]),
    ({"base_model": FULL_ONLY}, [("not_offered", "tuning_mode",
        "Managed tuning offers only full fine-tuning of Gemma 3 1B It. For a LoRA adapter, build the trainer's image "
        "and set VERTEX_TRAINER_IMAGE.")]),
    ({"training_machine": "g2-standard-8"}, [("not_offered", "training_machine",
        "Managed tuning chooses the machine by itself. Leave this empty.")]),
    ({"quantization": "4bit"}, [("not_offered", "quantization",
        "Managed tuning takes no such setting. Choose 16 bits.")]),
    ({"adapter_size": None}, [("required", "adapter_size", "Choose an adapter size.")]),
    ({"adapter_size": 7}, [("invalid_choice", "adapter_size", SIZES)]),
    ({"custom_base_model": START, "adapter_size": 16}, [("differs", "adapter_size",
        "The adapter that you continue has size 8. Choose the same size.")]),
    ({"custom_base_model": START, "tuning_mode": "FULL"}, [("differs", "tuning_mode",
        "The model that you continue was tuned in the mode “LoRA adapter”. Choose the same mode.")]),
    ({"batch_size": 0}, [("out_of_range", "batch_size", BATCH)]),
    ({"batch_size": 257}, [("out_of_range", "batch_size", BATCH)]),
    ({"dataset": "broken"}, [("not_usable", "dataset",
        "“Broken” has rows with problems. Correct them or leave them out on its page, or choose another one.")]),
    ({"dataset": "long"}, [("too_long", "dataset",
        "Every row is longer than 8,192 tokens, the limit of Gemma 3 27B It. The model doesn't learn from "
        "truncated text. Split or shorten these rows, or choose a base model that accepts "
        "longer rows.")]),
    ({"dataset": "tools"}, [("no_tools", "dataset", NO_PLACE)]),
    ({"dataset": "called"}, [("no_tools", "dataset", NO_PLACE)]),
    ({"dataset": "images"}, [("no_images", "dataset",
        "The rows of this dataset have images, and Gemma 3 27B It learns from text only. Choose a base model that "
        "learns from text and images, or a dataset without images.")]),
    ({"validation_dataset": "broken"}, [("not_usable", "validation_dataset",
        "“Broken” has rows with problems. Correct them or leave them out on its page, or choose another one.")]),
    ({"validation_dataset": "many"}, [("does_not_fit", "validation_dataset",
        "A validation dataset can have at most 5000 rows. This one has 5001.")]),
    ({"endpoint_display_name": "", "auto_deploy": True}, [("required", "endpoint_display_name",
        "Enter a name for the endpoint, or turn deployment off.")]),
    ({"endpoint_display_name": "x" * 129}, [("max_length", "endpoint_display_name",
        "A name can have at most 128 characters. This one has 129. Shorten it.")]),
    ({"machine_type": "toaster"}, [("invalid_choice", "machine_type",
        "This machine is not offered for the base model. Choose one from the list.")]),
    ({"endpoint_lease_hours": 0}, [("out_of_range", "endpoint_lease_hours", HOURS)]),
    ({"endpoint_lease_hours": 721}, [("out_of_range", "endpoint_lease_hours", HOURS)]),
    ({"endpoint_min_replicas": 0}, [("out_of_range", "endpoint_min_replicas", REPLICAS)]),
    ({"endpoint_max_replicas": 101}, [("out_of_range", "endpoint_max_replicas", REPLICAS)]),
    ({"endpoint_min_replicas": 3, "endpoint_max_replicas": 2}, [("below_minimum", "endpoint_max_replicas",
        "The maximum can't be smaller than the minimum.")]),
]  # fmt: skip
NAMES = [str(values)[:60] for values, _ in BAD_VALUES]
TABLE = pytest.mark.parametrize(("values", "problems"), BAD_VALUES, ids=NAMES)


def sample_of_table(start):
    """The service, which has the rule, is asked for all of them always; the others for every fourth."""
    return pytest.mark.parametrize(("values", "problems"), one_of(4, BAD_VALUES, start=start), ids=NAMES)


@pytest.fixture
def datasets(owner):
    sets = {
        "good": factories.dataset(sha256="a" * 64, byte_size=100_000),
        "broken": factories.dataset(sha256="b" * 64, name="Broken", invalid_rows=1),
        "long": factories.dataset(sha256="c" * 64, rows_over={"8192": 12}),
        "tools": factories.dataset(
            sha256="e" * 64, token_counts={BOTH_MODES: {"no_tools": True, "asked_at": factories.NOW.isoformat()}}
        ),
        "called": factories.dataset(sha256="9" * 64, stats={"tool_rows": 3}),
        "images": factories.dataset(sha256="f" * 64, image_count=2),
        "many": factories.dataset(sha256="d" * 64, valid_rows=5001),
    }
    return sets | {None: None}


@pytest.fixture
def spec(owner, datasets):
    """A good one, in a console with several base models and an earlier job."""
    machine = {"machine_specs": [{"machine_type": "g2", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}]}
    factories.publisher_model(name=BOTH_MODES, data={**machine, "knows_tools": False})
    factories.publisher_model(name=FULL_ONLY, data=machine)
    factories.publisher_model(name="a/untuned@c", data=machine)
    factories.publisher_model(name="a/deployed@c", data=machine, can_tune=False)
    factories.job(state="SUCCEEDED", base_model=BOTH_MODES, output_uri="gs://garden-local/start", adapter_size=8)
    return factories.tuning_spec(
        owner=owner, base_model=BOTH_MODES, dataset=datasets["good"], machine_type="g2", endpoint_display_name="Captain"
    )


@pytest.fixture
def changed(spec, datasets):
    def change(values):
        named = {name: datasets[values[name]] for name in ("dataset", "validation_dataset") if name in values}
        return replace(spec, **values | named)

    return change


@pytest.fixture
def signed_in(client, owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    client.force_login(owner)
    return client


def said_by_forms(draft, owner):
    """Of the first step that is not done."""
    wizard = Wizard(draft, owner)
    form = wizard.form(wizard.next_open)
    found = form.errors.as_data().items()
    return [(error.code, field, str(error.message)) for field, errors in found for error in errors]


def said_by_service(owner, spec):
    with pytest.raises(InvalidValues) as refused:
        jobs.create(owner, key=uuid4(), spec=spec)
    return [(problem.code, problem.field, problem.sentence) for problem in refused.value.problems]


@TABLE
def test_the_service_says_what_is_wrong(owner, changed, values, problems):
    assert said_by_service(owner, changed(values)) == problems
    assert TuningJob.objects.count() == 1


@sample_of_table(0)
def test_the_steps_say_the_same(owner, changed, values, problems):
    steps = raw_values(changed(values).values())
    draft = factories.draft(owner=owner, data={step: {**typed, SENT: True} for step, typed in steps.items()})
    assert said_by_forms(draft, owner) == problems


@sample_of_table(1)
def test_a_job_file_says_the_same(signed_in, owner, changed, values, problems):
    content = json.dumps(job_files.dump(changed(values))).encode()
    place = signed_in.post("/tuning/import/", {"file": SimpleUploadedFile("job.json", content)})["Location"]
    # A free folder takes the place of one that cannot be used, and this computer that of a region.
    problems = [problem for problem in problems if problem[1] not in ("output_uri", "location")]
    here = "The server on this computer doesn't offer"
    problems = [(code, field, said.replace("Vertex AI doesn't offer", here)) for code, field, said in problems]
    assert said_by_forms(TuningDraft.objects.get(), owner) == problems
    page = signed_in.get(place)
    assert [sentence for errors in page.context["form"].errors.values() for sentence in errors] == [
        sentence for _code, _field, sentence in problems
    ]


def test_a_good_spec_starts(owner, spec):
    assert jobs.create(owner, key=uuid4(), spec=spec).base_model == BOTH_MODES


def test_all_problems_are_told_at_once(owner, spec):
    problems = said_by_service(owner, replace(spec, epochs=0, labels={"Team": "x"}, batch_size=999))
    assert problems == [
        (
            "invalid",
            "labels",
            "The key “Team” must start with a lowercase letter and contain only lowercase letters, digits, _ and -, "
            "at most 63 characters.",
        ),
        ("out_of_range", "epochs", EPOCHS),
        ("out_of_range", "batch_size", BATCH),
    ]


def test_labels_of_a_file_and_of_the_form_are_judged_alike(owner, spec):
    labels = {"goog-team": "x"}
    [problem] = said_by_service(owner, replace(spec, labels=labels))
    with pytest.raises(job_files.FileRejected) as refused:
        job_files.load(owner, json.dumps(job_files.dump(replace(spec, labels=labels))))
    draft = factories.draft(owner=owner, data={"name": {"display_name": "Ahoy", "labels": "goog-team=x", SENT: True}})
    assert said_by_forms(draft, owner) == [problem]
    assert refused.value.problems == [("name.labels", problem[2])]


def test_data_of_somebody_else_is_refused_like_data_that_is_not_there(owner, stranger, spec):
    theirs = factories.dataset(owner=stranger)
    [problem] = said_by_service(owner, replace(spec, dataset=theirs))
    assert problem == (
        "invalid_choice", "dataset", "You no longer have this dataset. Choose another one.",
    )  # fmt: skip
    for dataset in (theirs.pk, uuid4()):
        steps = raw_values(spec.values())
        steps["training"]["dataset"] = str(dataset)
        draft = factories.draft(owner=owner, data={step: {**typed, SENT: True} for step, typed in steps.items()})
        assert said_by_forms(draft, owner) == [problem]


def test_terms_have_to_be_accepted(owner, datasets):
    factories.publisher_model(licence_acknowledged=False)
    spec = factories.tuning_spec(owner=owner, dataset=datasets["good"], accepts_licence=False)
    sentence = "Read and accept the terms. You can't tune the model without them."
    assert said_by_service(owner, spec) == [("required", "accepts_licence", sentence)]


def test_a_continued_model_keeps_its_base_model(owner, spec):
    factories.publisher_model()
    other = replace(spec, base_model=factories.BASE_MODEL, custom_base_model=START, machine_type="")
    sentence = f"The model that you continue was tuned from {BOTH_MODES}. Choose the same base model."
    assert said_by_service(owner, other) == [("differs", "base_model", sentence)]


@pytest.mark.parametrize("epochs", [2.5, True, "3", None])
def test_what_is_no_whole_number_is_out_of_range(owner, spec, epochs):
    assert said_by_service(owner, replace(spec, epochs=epochs)) == [("out_of_range", "epochs", EPOCHS)]


def test_a_rule_waits_until_it_knows_all_that_it_needs(owner, spec):
    known = terms.of_spec(owner, uuid4(), spec)
    assert find_problems({"adapter_size": 7}, known) == []
    assert [problem.field for problem in find_problems({"adapter_size": 7, "tuning_mode": "PEFT_ADAPTER"}, known)] == [
        "adapter_size"
    ]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"warmup_ratio": 0.6}, "Enter a number from 0 to 0.5, such as 0.1, or leave it empty."),
        ({"warmup_ratio": -0.1}, "Enter a number from 0 to 0.5, such as 0.1, or leave it empty."),
        ({"warmup_ratio": float("nan")}, "Enter a number from 0 to 0.5, such as 0.1, or leave it empty."),
        ({"weight_decay": 1.5}, "Enter a number from 0 to 1, such as 0.01, or leave it empty."),
        ({"lr_scheduler_type": "zigzag"}, "Choose a constant, linear or cosine learning rate."),
        ({"seed": -1}, "Enter a whole number from 0 to 2147483647, or leave it empty."),
        ({"seed": 2**31}, "Enter a whole number from 0 to 2147483647, or leave it empty."),
        ({"max_seq_length": 15}, "Enter a whole number of tokens from 16 to 8192, or leave it empty."),
        ({"max_seq_length": 8193}, "Enter a whole number of tokens from 16 to 8192, or leave it empty."),
    ],
)
def test_advanced_settings_of_the_local_server_have_their_ranges(owner, spec, settings, values, sentence):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    bad = replace(spec, **values)
    [(_code, field, said)] = said_by_service(owner, bad)
    assert ([field], said) == (list(values), sentence)
    if values.get("warmup_ratio") == values.get("warmup_ratio"):
        steps = raw_values(bad.values())
        draft = factories.draft(owner=owner, data={step: {**typed, SENT: True} for step, typed in steps.items()})
        assert said_by_forms(draft, owner) == [(_code, field, sentence)]


def test_what_google_takes_no_field_for_is_refused_and_not_left_out(owner, spec):
    asked = {"warmup_ratio": 0.1, "lr_scheduler_type": "linear", "weight_decay": 0.0, "seed": 0, "max_seq_length": 99}
    problems = [("not_offered", name, NOT_ON_VERTEX) for name in asked]
    bad = replace(spec, **asked)
    steps = raw_values(bad.values())
    draft = factories.draft(owner=owner, data={step: {**typed, SENT: True} for step, typed in steps.items()})
    assert (said_by_service(owner, bad), said_by_forms(draft, owner)) == (problems, problems)
