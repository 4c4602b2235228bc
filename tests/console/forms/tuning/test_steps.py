from dataclasses import replace

import pytest
from django.http import QueryDict

from console.forms.tuning.steps import BaseModelForm, DeploymentForm, NameForm
from console.forms.tuning.training import TrainingForm
from console.presenters.tuning.wizard.output_form import output_form
from jobs.models import Dataset
from jobs.services.catalogue.facts import tuning_facts
from jobs.services.tuning.spec_terms import Terms
from tests.support import factories

BOTH = tuning_facts(factories.BASE_MODEL)
LORA = replace(BOTH, modes=("PEFT_ADAPTER",), adapter_sizes=(4, 8))
FULL = replace(BOTH, modes=("FULL",), adapter_sizes=())
TYPED = {"epochs": "3", "learning_rate": "0.001", "tuning_mode": "PEFT_ADAPTER", "adapter_size": "8"}


def errors(form):
    return {name: list(messages) for name, messages in form.errors.items()}


def training(facts=LORA, **values):
    terms = Terms(owner_id=factories.owner().pk, model_title="Gemma", facts=facts)
    return TrainingForm({**TYPED, **values}, datasets=Dataset.objects.all(), terms=terms)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Enter a name."),
        ("x" * 129, "A name can have at most 128 characters. This one has 129. Shorten it."),
        ("two\nlines", "A name must be one line of text. Remove line breaks and other control characters."),
        ("…!", "Use at least one letter or digit in the name."),
    ],
)
def test_a_wrong_name_gets_its_message(name, message):
    assert errors(NameForm({"display_name": name})) == {"display_name": [message]}


def test_a_name_may_be_korean():
    assert NameForm({"display_name": "지원 봇"}).is_valid()


def test_a_region_is_asked_for_where_there_are_several():
    assert "location" not in BaseModelForm(terms_of=lambda base, custom: Terms()).fields
    form = BaseModelForm(terms_of=lambda base, custom: Terms(), regions=[("us-west1", "us-west1")])
    words = "Where the training runs. The tuned model is deployed in the same region."
    assert str(form.fields["location"].help_text) == words


def test_options_of_the_endpoint_are_one_answer():
    typed = {"auto_deploy": "on", "endpoint_display_name": "Bot", "machine_type": "g2-standard-12"}
    typed |= {"idle_minutes": "30", "autoscaling_gpu": "70", "endpoint_labels": "team=a"}
    offered = ("idle_minutes", "autoscaling_gpu", "endpoint_labels")
    form = DeploymentForm(typed, terms=Terms(machines=["g2-standard-12"]), machines={}, offered=offered)
    assert form.is_valid(), form.errors
    assert form.cleaned_data["endpoint_options"] == {
        "idle_minutes": 30, "autoscaling": {"gpu": 70}, "endpoint_labels": {"team": "a"},
    }  # fmt: skip
    wrong = DeploymentForm(typed | {"idle_minutes": "3"}, terms=Terms(), machines={}, offered=offered)
    assert errors(wrong)["idle_minutes"] == ["Enter a whole number of minutes from 5 to 480."]
    assert wrong.opens_advanced
    nowhere = DeploymentForm(typed | {"machine_type": ""}, terms=Terms(), machines={}, offered=offered)
    words = "Choose a machine. Without one, Vertex AI decides on all of the Advanced settings."
    assert errors(nowhere)["machine_type"] == [words]


def test_a_base_model_that_cannot_be_tuned_says_why():
    form = BaseModelForm(
        {"base_model": "a"}, terms_of=lambda base, custom: Terms(why_not_tune=f"No weights of {base}.")
    )
    assert errors(form) == {"base_model": ["No weights of a."]}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("", "Enter a Cloud Storage folder"),
        ("s3://bucket/x", "starts with gs://"),
        ("gs://A/x", "A bucket name must have"),
        ("gs://bucket/a//b", "two slashes"),
    ],
)
def test_a_wrong_output_path_gets_its_message(uri, words):
    form = output_form({"output_uri": uri}, draft=factories.draft(), user=factories.owner())
    assert words in errors(form)["output_uri"][0]


@pytest.mark.django_db
def test_an_output_path_belongs_to_one_job():
    factories.job(output_uri="gs://bucket/a")
    form = output_form({"output_uri": "gs://bucket/a/"}, draft=factories.draft(), user=factories.owner())
    message = "Another tuning job already writes to this folder. Choose a different folder."
    assert errors(form) == {"output_uri": [message]}


@pytest.mark.django_db
def test_a_good_training_step_hands_over_typed_values():
    dataset = factories.dataset()
    form = training(dataset=str(dataset.pk))
    assert errors(form) == {}
    assert form.cleaned_data | {"dataset": dataset} == {
        "dataset": dataset,
        "use_validation": False,
        "validation_dataset": None,
        "epochs": 3,
        "learning_rate": 0.001,
        "tuning_mode": "PEFT_ADAPTER",
        "adapter_size": 8,
        "batch_size": None,
        "export_last_checkpoint_only": False,
        "warmup_ratio": None,
        "lr_scheduler_type": "",
        "weight_decay": None,
        "seed": None,
        "max_seq_length": None,
        "training_machine": "",
        "quantization": "",
        "sweep": {},
    }


EPOCHS = "Enter a whole number of epochs from 1 to 100."
RATE = "Enter a number above 0 and up to 1, such as 0.0002."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("epochs", "", EPOCHS),
        ("epochs", "0", EPOCHS),
        ("epochs", "101", EPOCHS),
        ("epochs", "2.5", EPOCHS),
        ("epochs", "many", EPOCHS),
        ("learning_rate", "0", RATE),
        ("learning_rate", "-1", RATE),
        ("learning_rate", "1.5", RATE),
        ("learning_rate", "nan", RATE),
        ("learning_rate", "0,0002", "Enter the learning rate with a decimal point, such as 0.0002, not with a comma."),
        ("adapter_size", "7", "Choose one of these sizes: 4, 8."),
        ("adapter_size", "seven", "Choose one of these sizes: 4, 8."),
        ("adapter_size", "", "Choose an adapter size."),
        ("batch_size", "0", "Enter a whole number from 1 to 256, or leave it empty."),
        ("tuning_mode", "FULL", "Gemma supports only LoRA tuning here. Choose LoRA adapter."),
        ("dataset", "", "Choose a dataset, upload one, or use the sample."),
        ("dataset", "0" * 32, "You no longer have this dataset. Choose another one."),
    ],
)
def test_a_wrong_training_value_gets_its_message(field, text, message):
    values = {"dataset": str(factories.dataset().pk)} | {field: text}
    assert errors(training(**values)) == {field: [message]}


NO_ROW_FITS = (
    "Every row is longer than 2,048 tokens, the limit of Gemma. The model doesn't learn from "
    "truncated text. Split or shorten these rows, or choose a base model that accepts "
    "longer rows."
)


@pytest.mark.django_db
def test_data_sets_of_which_no_row_fits_are_refused():
    train, validation = (str(factories.dataset(rows_over={"2048": 12}).pk) for _set in range(2))
    form = training(dataset=train, use_validation="on", validation_dataset=validation)
    assert errors(form) == {"dataset": [NO_ROW_FITS], "validation_dataset": [NO_ROW_FITS]}


@pytest.mark.django_db
def test_a_data_set_of_which_some_rows_fit_may_be_used():
    assert errors(training(dataset=str(factories.dataset(rows_over={"2048": 11}).pk))) == {}


@pytest.mark.django_db
def test_full_tuning_has_no_adapter():
    form = training(FULL, dataset=str(factories.dataset().pk), tuning_mode="FULL", adapter_size="7")
    assert errors(form) == {}
    assert form.cleaned_data["adapter_size"] is None


@pytest.mark.django_db
def test_a_model_for_full_tuning_refuses_an_adapter():
    form = training(FULL, dataset=str(factories.dataset().pk), adapter_size="")
    message = (
        "Managed tuning offers only full fine-tuning of Gemma. For a LoRA adapter, build the trainer's image and set "
        "VERTEX_TRAINER_IMAGE."
    )
    assert errors(form)["tuning_mode"] == [message]


@pytest.mark.django_db
def test_a_data_set_with_problems_cannot_be_used():
    form = training(dataset=str(factories.dataset(name="rows.jsonl", invalid_rows=2).pk))
    message = "“rows.jsonl” has rows with problems. Correct them or leave them out on its page, or choose another one."
    assert errors(form) == {"dataset": [message]}


@pytest.mark.django_db
def test_validation_is_asked_for_when_it_is_on():
    form = training(dataset=str(factories.dataset().pk), use_validation="on")
    assert errors(form) == {"validation_dataset": ["Choose a validation dataset, or turn validation off."]}


@pytest.mark.django_db
def test_a_pair_that_does_not_fit_says_why_beside_the_validation_set():
    pair = {"dataset": factories.dataset(), "validation_dataset": factories.dataset(name="Other", valid_rows=5001)}
    form = training(use_validation="on", **{name: str(row.pk) for name, row in pair.items()})
    assert errors(form) == {
        "validation_dataset": ["A validation dataset can have at most 5000 rows. This one has 5001."]
    }


def test_deployment_asks_for_a_name_only_when_it_is_on():
    off = DeploymentForm({}, machines={}, terms=Terms())
    on = DeploymentForm({"auto_deploy": "on"}, machines={}, terms=Terms())
    assert errors(off) == {}
    assert errors(on) == {"endpoint_display_name": ["Enter a name for the endpoint, or turn deployment off."]}


def test_a_machine_must_be_offered():
    terms = Terms(machines=["local-cpu"])
    form = DeploymentForm({"machine_type": "toaster"}, machines={"local-cpu": "CPU"}, terms=terms)
    assert errors(form) == {
        "machine_type": ["This machine is not offered for the base model. Choose one from the list."]
    }


def test_a_licence_must_be_accepted_before_tuning():
    form = DeploymentForm({}, machines={}, terms=Terms(licence="Gemma Terms of Use"))
    assert form.fields["accepts_licence"].label == "I accept the Gemma Terms of Use"
    assert errors(form) == {"accepts_licence": ["Read and accept the terms. You can't tune the model without them."]}


def test_what_was_typed_is_kept_as_typed():
    form = NameForm(QueryDict("display_name=&description=A+bot&labels=Bad"))
    assert form.raw_data() == {"display_name": "", "description": "A bot", "labels": "Bad"}
