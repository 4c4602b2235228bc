import re
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone
from selectolax.lexbor import LexborHTMLParser

from jobs.models import Dataset, TuningDraft, TuningJob
from jobs.services.endpoints import endpoints
from jobs.services.tuning import output_check
from tests.support import factories
from tests.support.factories import BASE_MODEL

pytestmark = pytest.mark.django_db
OTHER_MODEL = "google/gemma3@gemma-3-27b-it"
LLAMA = "meta/llama3_1@llama-3.1-8b"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def signed_in(client, owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    client.force_login(owner)
    return client


@pytest.fixture
def model():
    return factories.publisher_model(display_name="Gemma 3 270M", licence_acknowledged=False)


@pytest.fixture
def dataset(owner):
    return factories.dataset(owner=owner)


@pytest.fixture
def wizard(signed_in, model):
    return Wizard(signed_in, signed_in.get("/tuning/new/")["Location"])


class Wizard:
    """Types into the steps of one draft as a browser without scripts does."""

    def __init__(self, client, place):
        self.client, self.pk = client, uuid.UUID(place.split("/")[3])

    def url(self, step):
        return f"/tuning/drafts/{self.pk}/{step}/"

    def get(self, step, **query):
        return self.client.get(self.url(step), query)

    def post(self, step, _headers=None, **values):
        return self.client.post(self.url(step), values, headers=_headers or {})

    def fill(self, dataset):
        self.post("name", display_name="Ahoy bot")
        self.post("base-model", base_model=BASE_MODEL)
        self.post("output", output_uri="gs://garden-local/ahoy")
        return self.post("training", **training(dataset))

    def start(self, **values):
        return self.post("start", **{**DEPLOYMENT, **values})


DEPLOYMENT = {
    "auto_deploy": "on",
    "endpoint_display_name": "Ahoy",
    "machine_type": "local-cpu",
    "accepts_licence": "on",
}


def training(dataset=None, **values):
    return {
        "dataset": str(dataset.pk) if dataset else "",
        "epochs": "3",
        "learning_rate": "0.001",
        "tuning_mode": "PEFT_ADAPTER",
        "adapter_size": "16",
    } | values


def states(response):
    return [(step.slug, step.is_done) for step in response.context["steps"] if step.is_open]


def test_new_opens_a_draft_at_its_first_step(signed_in, model):
    response = signed_in.get("/tuning/new/")
    draft = TuningDraft.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/tuning/drafts/{draft.pk}/name/")


def test_looking_twice_makes_one_draft(signed_in, model):
    assert len({signed_in.get("/tuning/new/")["Location"] for _look in range(2)}) == 1


def test_a_draft_that_was_typed_in_is_left_alone(wizard, signed_in):
    wizard.post("name", display_name="")
    assert str(wizard.pk) not in signed_in.get("/tuning/new/")["Location"]


def test_the_base_model_of_the_garden_is_chosen_already(signed_in, model):
    factories.publisher_model(name=OTHER_MODEL)
    wizard = Wizard(signed_in, signed_in.get(f"/tuning/new/?base_model={OTHER_MODEL}")["Location"])
    wizard.post("name", display_name="Ahoy bot")
    assert f'value="{OTHER_MODEL}" checked' in wizard.get("base-model").content.decode()


def test_each_step_leads_to_the_next(wizard, dataset):
    following = [
        wizard.post("name", display_name="Ahoy bot"),
        wizard.post("base-model", base_model=BASE_MODEL),
        wizard.post("output", output_uri="gs://garden-local/ahoy"),
        wizard.post("training", **training(dataset)),
    ]
    assert [(response.status_code, response["Location"]) for response in following] == [
        (303, wizard.url(step)) for step in ("base-model", "output", "training", "deployment")
    ]


def test_htmx_is_told_to_go_to_the_next_step(wizard):
    response = wizard.post("name", HTMX, display_name="Ahoy bot")
    assert (response.status_code, response["HX-Redirect"]) == (204, wizard.url("base-model"))


def test_the_stepper_knows_what_is_done(wizard):
    assert states(wizard.get("name")) == [("name", False)]
    wizard.post("name", display_name="Ahoy bot")
    assert states(wizard.get("name")) == [("name", True), ("base-model", False)]


@pytest.mark.parametrize("step", ["base-model", "output", "training", "deployment"])
def test_a_step_out_of_turn_leads_back(wizard, step):
    assert wizard.get(step)["Location"] == wizard.url("name")


def test_a_wrong_value_is_kept_with_its_message(wizard):
    response = wizard.post("name", HTMX, display_name="x" * 129, description="A bot")
    content = response.content.decode()
    assert response.status_code == 422
    assert content.lstrip().startswith('<div class="wiz" id="wizard">')
    assert 'role="alert"' in content
    assert 'aria-invalid="true"' in content
    assert "x" * 129 in content
    assert "A bot" in wizard.get("name").content.decode()


def test_the_output_folder_is_named_after_the_model(wizard):
    wizard.post("name", display_name="Ahoy bot!")
    wizard.post("base-model", base_model=BASE_MODEL)
    found = re.search(r'name="output_uri" value="([^"]*)"', wizard.get("output").content.decode())
    assert found[1] == f"gs://garden-local/tuning/ahoy-bot-{wizard.pk.hex[:6]}"


def test_the_recommended_values_stand_in_the_training_step(wizard, dataset):
    wizard.fill(dataset)
    TuningDraft.objects.update(data={k: v for k, v in TuningDraft.objects.get().data.items() if k != "training"})
    form = wizard.get("training").context["form"]
    assert (form["epochs"].value(), form["learning_rate"].value()) == (3, "0.001")
    assert (form["tuning_mode"].value(), form["adapter_size"].value()) == ("PEFT_ADAPTER", 16)


def test_another_base_model_brings_its_own_recommendation_but_keeps_what_was_typed(wizard, dataset):
    factories.publisher_model(name=OTHER_MODEL, display_name="Gemma 3 27B IT")
    wizard.fill(dataset)
    wizard.post("training", **training(dataset, epochs="9"))
    wizard.post("base-model", base_model=OTHER_MODEL)
    values = TuningDraft.objects.get().data["training"]
    assert (values["epochs"], values["learning_rate"], values["adapter_size"]) == ("9", "0.0002", 32)


def test_the_estimate_follows_the_choice_without_saving_it(wizard, dataset):
    wizard.fill(dataset)
    response = wizard.get("training", dataset=str(dataset.pk), epochs="7")
    assert response.context["estimate"].tokens == dataset.token_estimate * 7
    assert "Free on this computer" in response.content.decode()
    assert TuningDraft.objects.get().data["training"]["epochs"] == "3"


CUT = "3 rows are longer than 2,048 tokens, the limit of Gemma 3 270M. Their ends are truncated."


def test_rows_over_the_models_limit_are_said_in_the_step_and_its_summary(wizard, dataset, owner):
    wizard.fill(dataset)
    long = factories.dataset(owner=owner, rows_over={"2048": 3, "8192": 1})
    content = wizard.get("training", dataset=str(long.pk)).content.decode()
    assert content.count(CUT) == 2
    assert "or choose a base model that accepts longer rows." in content
    assert "longer than" not in wizard.get("deployment").content.decode()


def test_the_last_step_says_which_rows_are_cut(wizard, owner):
    wizard.fill(factories.dataset(owner=owner, rows_over={"2048": 3}))
    assert CUT in wizard.get("deployment").content.decode()


def test_a_model_that_takes_longer_rows_cuts_fewer(wizard, owner):
    factories.publisher_model(name=OTHER_MODEL, display_name="Gemma 3 27B")
    wizard.fill(factories.dataset(owner=owner, rows_over={"2048": 3, "8192": 1}))
    wizard.post("base-model", base_model=OTHER_MODEL)
    sentence = "1 row is longer than 8,192 tokens, the limit of Gemma 3 27B. Its end is truncated."
    assert sentence in wizard.get("training").content.decode()


@pytest.mark.parametrize("epochs", ["", "many", "-1", "1e99"])
def test_a_number_that_cannot_be_read_gives_no_estimate(wizard, dataset, epochs):
    wizard.fill(dataset)
    assert "estimate" not in wizard.get("training", dataset=str(dataset.pk), epochs=epochs).context


def test_a_price_is_shown_where_one_is_paid(wizard, dataset, settings):
    settings.VERTEX_API_ENDPOINT = ""
    factories.publisher_model(name=OTHER_MODEL)
    wizard.fill(dataset)
    wizard.post("base-model", base_model=OTHER_MODEL)
    assert "&lt; $0.01" in wizard.get("training").content.decode()


@pytest.mark.parametrize(("mode", "ratio"), [("PEFT_ADAPTER", "0.317"), ("FULL", "0.247")])
def test_the_estimate_says_by_which_tokens_a_character_it_is_made(wizard, dataset, settings, mode, ratio):
    settings.VERTEX_API_ENDPOINT = ""
    factories.publisher_model(name=LLAMA)
    wizard.fill(dataset)
    wizard.post("base-model", base_model=LLAMA)
    page = wizard.get("training", dataset=str(dataset.pk), epochs="1", tuning_mode=mode)
    sentence = (
        f"This is an estimate: for this model and mode, Google's calculator assumes {ratio} tokens per character."
    )
    assert sentence in " ".join(page.content.decode().split())
    assert page.context["estimate"].tokens == round(dataset.token_estimate * float(ratio) / 0.231)


def test_the_last_step_says_where_the_price_of_the_machine_comes_from(wizard, dataset, settings):
    settings.VERTEX_API_ENDPOINT = ""
    spec = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "title": "x"}
    factories.publisher_model(name=OTHER_MODEL, data={"machine_specs": [spec]})
    wizard.fill(dataset)
    wizard.post("base-model", base_model=OTHER_MODEL)
    wizard.post("training", **training(dataset, epochs="1"))
    page = " ".join(wizard.get("deployment", machine_type="g2-standard-12").content.decode().split())
    assert "List price in us-central1. Google Cloud, the price table" in page
    settings.VERTEX_LOCATION = "europe-west4"
    page = " ".join(wizard.get("deployment", machine_type="g2-standard-12").content.decode().split())
    assert ("List price in" in page, "The price of this machine is unknown." in page) == (False, True)


def test_the_last_step_has_prices_of_the_region_that_was_chosen(wizard, model, dataset, settings):
    settings.VERTEX_API_ENDPOINT = ""
    spec = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1, "title": "x"}
    model.data |= {"machine_specs": [spec]}
    model.save()
    wizard.fill(dataset)
    told = []
    for region in ("us-central1", "europe-west4"):
        wizard.post("base-model", base_model=BASE_MODEL, location=region)
        page = words(wizard.get("deployment", machine_type="g2-standard-12"))
        told.append((" · $1.15 per hour" in page, " · price unknown" in page, f"List price in {region}." in page))
    assert told == [(True, False, True), (False, True, False)]


@pytest.mark.parametrize(("variant", "is_warned"), [("qwen3-14b", True), ("qwen3-32b", False)])
def test_a_model_that_google_does_not_list_as_deployable_once_tuned(
    wizard, model, dataset, settings, variant, is_warned
):
    settings.VERTEX_API_ENDPOINT = ""
    factories.publisher_model(name=f"qwen/qwen3@{variant}", data=model.data)
    wizard.fill(dataset)
    wizard.post("base-model", base_model=f"qwen/qwen3@{variant}")
    wizard.post("training", **training(dataset, tuning_mode="FULL"))
    page = " ".join(wizard.get("deployment").content.decode().split())
    assert ("models that can be deployed with custom weights" in page) is is_warned
    assert "until you undeploy it" in page


def test_an_upload_in_the_step_keeps_all_that_was_typed(wizard, dataset):
    wizard.fill(dataset)
    file = SimpleUploadedFile("rows.jsonl", b'{"prompt": "a", "completion": "b"}\nnot json\n')
    values = training(epochs="8", **{"train-file": file, "action": "upload-train"})
    response = wizard.post("training", HTMX, **values)
    content = response.content.decode()
    added = Dataset.objects.get(name="rows")
    assert response.status_code == 200
    assert f'value="{added.pk}" checked' in content
    assert "Not usable yet" in content
    assert 'name="epochs" value="8"' in content
    assert TuningDraft.objects.get().data["training"]["dataset"] == str(added.pk)


def test_without_javascript_an_upload_comes_back_to_its_report(wizard, dataset):
    wizard.fill(dataset)
    response = wizard.post("training", **training(action="sample-train"))
    assert (response.status_code, response["Location"]) == (303, f"{wizard.url('training')}#dataset-report")


def test_an_upload_that_is_nothing_is_refused_beside_its_field(wizard, dataset):
    wizard.fill(dataset)
    values = training(
        dataset, epochs="8", **{"train-file": SimpleUploadedFile("a.jsonl", b"\n"), "action": "upload-train"}
    )
    response = wizard.post("training", HTMX, **values)
    assert response.status_code == 422
    assert "The file has no rows." in response.content.decode()
    assert 'name="epochs" value="8"' in response.content.decode()
    assert response.content.decode().count(" autofocus") == 1


def test_enter_in_a_field_of_the_training_step_goes_on(wizard, dataset):
    """The first button of a form is the one that Enter presses."""
    wizard.fill(dataset)
    form = wizard.get("training").content.decode().partition('id="step-form"')[2]
    assert "name=" not in re.search(r'<button type="submit"[^>]*>', form)[0]


def test_the_validation_sample_switches_validation_on(wizard, dataset):
    wizard.fill(dataset)
    wizard.post("training", **training(dataset, action="sample-validation"))
    values = TuningDraft.objects.get().data["training"]
    assert values["use_validation"] is True
    assert values["validation_dataset"] == str(Dataset.objects.get(is_sample=True).pk)


def test_a_validation_set_that_is_too_large_is_refused_at_once(wizard, dataset, owner):
    wizard.fill(dataset)
    large = factories.dataset(owner=owner, byte_size=dataset.byte_size)
    values = training(dataset, use_validation="on", validation_dataset=str(large.pk))
    response = wizard.post("training", **values)
    assert response.status_code == 422
    assert "25%" in response.context["form"].errors["validation_dataset"][0]


def test_a_data_set_of_somebody_else_cannot_be_chosen(wizard, dataset, stranger):
    wizard.fill(dataset)
    response = wizard.post("training", **training(factories.dataset(owner=stranger)))
    assert (response.status_code, list(response.context["form"].errors)) == (422, ["dataset"])


def test_the_last_step_shows_all_answers_and_the_terms(wizard, dataset):
    wizard.fill(dataset)
    content = wizard.get("deployment").content.decode()
    for shown in ("Ahoy bot", BASE_MODEL, "gs://garden-local/ahoy", "Questions", "LoRA adapter", "0.001", "16"):
        assert f"<span>{shown}</span>" in content
    assert "https://ai.google.dev/gemma/terms" in content


def test_start_makes_the_job_with_the_id_of_the_draft(wizard, dataset, owner):
    wizard.fill(dataset)
    response = wizard.start()
    job = TuningJob.objects.get()
    assert (response.status_code, response["Location"]) == (303, f"/tuning/jobs/{wizard.pk}/")
    assert (job.pk, job.owner, job.dataset, job.accepts_licence) == (wizard.pk, owner, dataset, True)
    assert (job.epochs, job.learning_rate, job.adapter_size, job.machine_type) == (3, 0.001, 16, "local-cpu")
    assert (job.auto_deploy, job.endpoint_display_name) == (True, "Ahoy")


def test_two_clicks_and_a_reload_are_one_job(wizard, dataset):
    wizard.fill(dataset)
    places = {wizard.start()["Location"] for _click in range(2)} | {wizard.get("deployment")["Location"]}
    assert places == {f"/tuning/jobs/{wizard.pk}/"}
    assert TuningJob.objects.count() == 1


def test_a_click_that_comes_second_while_the_first_is_at_work_finds_its_job(wizard, dataset):
    wizard.fill(dataset)

    def first_click(execute, sql, params, many, context):
        if "jobs_publishermodel" in sql and not TuningJob.objects.exists():
            factories.job(id=wizard.pk, dataset=dataset)
            TuningDraft.objects.update(submitted_at=factories.NOW)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(first_click):
        response = wizard.start()
    assert (response.status_code, response["Location"]) == (303, f"/tuning/jobs/{wizard.pk}/")
    assert TuningJob.objects.count() == 1


def test_terms_that_were_not_accepted_start_nothing(wizard, dataset):
    wizard.fill(dataset)
    response = wizard.start(accepts_licence="", endpoint_display_name="Kept")
    assert (response.status_code, list(response.context["form"].errors)) == (422, ["accepts_licence"])
    assert 'value="Kept"' in response.content.decode()
    assert TuningJob.objects.count() == 0


def test_terms_accepted_before_are_not_asked_for(wizard, dataset, model):
    type(model).objects.update(licence_acknowledged=True)
    wizard.fill(dataset)
    assert "accepts_licence" not in wizard.get("deployment").context["form"].fields
    assert wizard.start().status_code == 303


def test_a_model_that_went_away_starts_nothing(wizard, dataset, model):
    wizard.fill(dataset)
    type(model).objects.update(is_listed=False)
    assert wizard.start(endpoint_display_name="Kept")["Location"] == wizard.url("base-model")
    assert TuningJob.objects.count() == 0
    assert TuningDraft.objects.get().data["deployment"]["endpoint_display_name"] == "Kept"


def test_a_folder_taken_in_the_meantime_starts_nothing(wizard, dataset):
    wizard.fill(dataset)
    factories.job(dataset=dataset, output_uri="gs://garden-local/ahoy")
    assert wizard.start()["Location"] == wizard.url("output")
    assert TuningJob.objects.count() == 1


def test_the_address_of_start_leads_to_the_last_step(wizard):
    """Where a person comes back to who had to sign in again."""
    assert wizard.get("start")["Location"] == wizard.url("deployment")


def test_an_unfinished_draft_starts_nothing(wizard):
    assert wizard.start()["Location"] == wizard.url("name")
    assert TuningJob.objects.count() == 0


def test_a_draft_can_be_discarded(wizard):
    response = wizard.post("discard")
    assert (response.status_code, response["Location"]) == (303, "/tuning/")
    assert TuningDraft.objects.count() == 0


@pytest.mark.parametrize("step", ["name", "training", "start", "discard"])
def test_others_do_not_find_the_draft(wizard, client, team_mate, stranger, step):
    for other in (team_mate, stranger):
        client.force_login(other)
        assert wizard.post(step).status_code == 404
    assert TuningDraft.objects.count() == 1


def test_there_is_no_sixth_step(wizard):
    assert wizard.get("party").status_code == 404


def test_the_number_of_queries_does_not_grow(wizard, dataset, owner, django_assert_num_queries):
    wizard.fill(dataset)
    wizard.get("training")
    with django_assert_num_queries(14):
        wizard.get("training")
    factories.dataset(owner=owner)
    factories.dataset(owner=owner)
    factories.publisher_model(name=OTHER_MODEL)
    with django_assert_num_queries(14):
        wizard.get("training")


def test_replicas_go_into_the_job_and_its_endpoint(wizard, model, dataset):
    model.data["machine_specs"] = [{"machine_type": "g2-standard-12", "accelerator_type": "", "accelerator_count": 0}]
    model.save()
    wizard.fill(dataset)
    cloud = {"machine_type": "g2-standard-12", "endpoint_max_replicas": "2"}
    refused = wizard.start(**cloud, endpoint_min_replicas="3")
    assert (refused.status_code, "The maximum can&#x27;t be smaller" in refused.content.decode()) == (422, True)
    wizard.start(**cloud, endpoint_min_replicas="2")
    job = TuningJob.objects.get()
    made = endpoints.deploy_for_job(job)
    assert (job.endpoint_min_replicas, job.endpoint_max_replicas, made.model.min_replicas, made.model.max_replicas) == (
        2,
    ) * 4


def test_labels_go_into_the_job(wizard, dataset):
    wizard.fill(dataset)
    wizard.post("name", display_name="Ahoy bot", labels="team=support")
    wizard.start(endpoint_lease_hours="4")
    job = TuningJob.objects.get()
    assert (job.labels, job.endpoint_lease_hours, job.location) == ({"team": "support"}, 4, "us-central1")


def test_a_wrong_label_is_said_beside_its_field(wizard):
    response = wizard.post("name", HTMX, display_name="Ahoy bot", labels="app-key=x")
    assert (response.status_code, list(response.context["form"].errors)) == (422, ["labels"])
    assert "app-key=x</textarea>" in response.content.decode()


def test_a_name_that_is_taken_is_a_warning_and_no_refusal(wizard, dataset):
    factories.job(display_name="Ahoy bot", dataset=dataset)
    content = wizard.get("name", display_name="Ahoy bot").content.decode()
    assert "You already have a tuning job named Ahoy bot." in content
    assert f"ahoy-bot-{wizard.pk.hex[:6]}" in content
    assert wizard.post("name", display_name="Ahoy bot").status_code == 303


def test_base_models_are_searched_and_filtered(wizard, owner):
    full_only = "google/gemma3@gemma-3-1b-it"
    factories.publisher_model(name=OTHER_MODEL, display_name="Gemma 3 27B IT")
    factories.publisher_model(name=full_only, display_name="Gemma 3 1B IT")
    wizard.post("name", display_name="Ahoy bot")

    def offered(**query):
        return [one.name for one in wizard.get("base-model", **query).context["models"].offered]

    assert sorted(offered()) == sorted([BASE_MODEL, OTHER_MODEL, full_only])
    assert offered(q="27B gemma") == [OTHER_MODEL]
    assert sorted(offered(mode="PEFT_ADAPTER")) == sorted([BASE_MODEL, OTHER_MODEL])
    assert full_only in offered(mode="PEFT_ADAPTER", base_model=full_only)
    assert offered(q="llama") == []


def test_a_filter_by_modality_has_the_words_of_the_list(wizard):
    """In the reader's language, and not the names of the facts."""
    factories.publisher_model(name="meta/llama4@llama-4-scout-17b-16e-instruct")
    wizard.post("name", display_name="Ahoy bot")
    content = wizard.get("base-model", modality="text and image").content.decode()
    assert re.findall(r'<option value="(text[^"]*)"( selected)?>([^<]*)<', content) == [
        ("text", "", "text"), ("text and image", " selected", "text and images"),
    ]  # fmt: skip


def test_a_price_stands_beside_each_base_model(wizard, settings):
    settings.VERTEX_API_ENDPOINT = ""
    factories.publisher_model(name=OTHER_MODEL)
    factories.publisher_model(name="qwen/qwen3-5@qwen3.5-9b")
    wizard.post("name", display_name="Ahoy bot")
    content = wizard.get("base-model").content.decode()
    assert "$6.83 per million tokens" in content
    assert "price unknown" in content


@pytest.fixture
def tuned(dataset):
    checkpoints = [{"checkpoint_id": "1", "epoch": 1, "step": 25}]
    return factories.job(dataset=dataset, state="SUCCEEDED", checkpoints=checkpoints, output_uri="gs://garden-local/t")


CHECKPOINT = "gs://garden-local/t/postprocess/node-0/checkpoints/checkpoint-25"


def test_a_checkpoint_of_an_earlier_job_is_continued(wizard, dataset, tuned):
    """On this computer, the only region."""
    wizard.fill(dataset)
    wizard.post("base-model", source="tuned", custom_base_model=CHECKPOINT, location="europe-west4")
    assert "checkpoint 1 of epoch 1" in wizard.get("training").content.decode()
    assert wizard.post("training", **training(dataset, adapter_size="8")).status_code == 303
    wizard.start()
    job = TuningJob.objects.get(pk=wizard.pk)
    assert (job.base_model, job.custom_base_model, job.location) == (BASE_MODEL, CHECKPOINT, "us-central1")


def test_what_is_continued_keeps_its_adapter_size(wizard, dataset, tuned):
    wizard.fill(dataset)
    wizard.post("base-model", source="tuned", custom_base_model=CHECKPOINT)
    assert wizard.get("training").context["form"]["adapter_size"].value() == 8
    response = wizard.post("training", **training(dataset))
    message = "The adapter that you continue has size 8. Choose the same size."
    assert (response.status_code, response.context["form"].errors["adapter_size"]) == (422, [message])


def test_proposals_follow_what_is_continued(wizard, tuned):
    wizard.post("name", display_name="Ahoy bot")
    wizard.post("base-model", source="tuned", custom_base_model=CHECKPOINT)
    wizard.post("output", output_uri="gs://garden-local/ahoy")
    assert wizard.get("training").context["form"]["adapter_size"].value() == 8


def test_what_others_have_tuned_cannot_be_continued(wizard, tuned, stranger):
    type(tuned).objects.update(owner=stranger)
    wizard.post("name", display_name="Ahoy bot")
    response = wizard.post("base-model", source="tuned", custom_base_model=CHECKPOINT)
    message = "Choose one of the models that you have tuned, or a checkpoint."
    assert (response.status_code, response.context["form"].errors["custom_base_model"]) == (422, [message])
    assert message in response.content.decode()


def test_a_learning_rate_may_be_a_multiple_of_the_recommended(wizard, dataset):
    wizard.fill(dataset)
    kind = {"learning_rate_kind": "multiplier", "learning_rate_multiplier": "1.5", "learning_rate": "bad"}
    assert wizard.post("training", **training(dataset, **kind)).status_code == 303
    wizard.start()
    assert TuningJob.objects.get().learning_rate == 0.0015


def test_a_draft_is_saved_as_it_stands(wizard, dataset):
    response = wizard.post("name", display_name="", description="Half", action="save")
    assert (response.status_code, response["Location"]) == (303, "/tuning/drafts/")
    form = wizard.get("name").context["form"]
    assert (form["description"].value(), form.errors) == ("Half", {})


def test_a_saved_draft_is_left_alone(wizard, signed_in):
    wizard.post("name", display_name="Half", action="save")
    assert str(wizard.pk) not in signed_in.get("/tuning/new/")["Location"]


def test_the_last_step_is_saved_without_starting(wizard, dataset):
    wizard.fill(dataset)
    assert wizard.start(action="save", endpoint_lease_hours="7")["Location"] == "/tuning/drafts/"
    assert TuningJob.objects.count() == 0
    assert 'value="7"' in wizard.get("deployment").content.decode()


def test_a_folder_above_or_below_another_jobs_is_refused(wizard, dataset):
    factories.job(dataset=dataset, output_uri="gs://garden-local/a/b")
    wizard.fill(dataset)
    for uri in ("gs://garden-local/a", "gs://garden-local/a/b/c"):
        errors = wizard.post("output", output_uri=uri).context["form"].errors
        assert errors["output_uri"] == [
            "Another tuning job writes to gs://garden-local/a/b. Choose a folder that is not above or below it."
        ]
    assert wizard.post("output", output_uri="gs://garden-local/a/bb").status_code == 303


def test_the_folder_is_asked_about_when_it_is_sent(wizard, dataset):
    wizard.fill(dataset)
    assert TuningDraft.objects.get().output_check["uri"] == "gs://garden-local/ahoy"
    assert "Checking the folder…" in wizard.get("deployment").content.decode()


def test_without_javascript_the_check_is_a_page(wizard, dataset):
    wizard.fill(dataset)
    response = wizard.post("output", output_uri="gs://garden-local/other", action="check")
    assert response["Location"] == wizard.url("output")
    content = wizard.get("output").content.decode()
    assert 'value="gs://garden-local/other"' in content
    assert "Checking the folder…" in content


def test_a_machine_has_its_price_and_a_warning(wizard, dataset, settings, model):
    settings.VERTEX_API_ENDPOINT = ""
    machines = [{"machine_type": kind, "accelerator_type": ""} for kind in ("g2-standard-12", "x9-odd")]
    type(model).objects.update(data=model.data | {"machine_specs": machines})
    wizard.fill(dataset)
    content = wizard.get("deployment").content.decode()
    for shown in ("g2-standard-12 · $1.15 per hour", "x9-odd · price unknown", "costs about $1.15 per hour"):
        assert shown in content


def test_the_last_step_shows_the_same_job_as_code(wizard, dataset):
    wizard.fill(dataset)
    content = wizard.get("deployment").content.decode()
    assert "client.tunings.tune(" in content
    assert "curl -X POST" in content
    assert f"/tuning/drafts/{wizard.pk}/job.json" in content


def test_data_sets_of_one_name_are_told_apart(wizard, dataset, owner):
    wizard.fill(dataset)
    factories.dataset(owner=owner, name=dataset.name, valid_rows=77)
    content = wizard.get("training").content.decode()
    assert ("77 examples" in content, content.count("added ")) == (True, 2)


def test_how_the_time_is_reckoned_is_said(wizard, dataset):
    wizard.fill(dataset)
    assert "a short trial of this computer is running" in wizard.get("training").content.decode()


def blocked(wizard, dataset):
    wizard.fill(dataset)
    wizard.post("output", output_uri="gs://no-such-bucket-zz/x")
    output_check.run(wizard.pk, timezone.now())
    return wizard.start()


def test_a_folder_that_is_known_to_be_impossible_blocks_the_start(wizard, dataset, fake_gateway):
    response = blocked(wizard, dataset)
    sentence = "The bucket no-such-bucket-zz does not exist."
    assert (response.status_code, TuningJob.objects.count()) == (422, 0)
    assert f"Output directory: {sentence}" in response.context["form"].non_field_errors()
    review = wizard.get("deployment").content.decode()
    assert f'href="{wizard.url("output")}">Choose another output directory' in review


def test_a_blocked_start_looks_again_and_the_next_one_goes(wizard, dataset, fake_gateway):
    blocked(wizard, dataset)
    fake_gateway.storage.buckets.add("no-such-bucket-zz")
    assert wizard.start().status_code == 422
    output_check.run(wizard.pk, timezone.now())
    assert wizard.start().status_code == 303
    assert TuningJob.objects.get().output_uri == "gs://no-such-bucket-zz/x"


def test_a_free_folder_is_taken_by_a_button(wizard, dataset, fake_gateway):
    blocked(wizard, dataset)
    page = wizard.get("output")
    assert "Use this folder" in page.content.decode()
    wizard.post("output", output_uri="gs://no-such-bucket-zz/x", action="free")
    assert wizard.get("output").context["form"]["output_uri"].value() == page.context["free_folder"]
    assert wizard.start().status_code == 303


@pytest.fixture
def pair(owner):
    train = factories.dataset(owner=owner, name="Rows (train)", part="train", byte_size=100_000)
    validation = factories.dataset(owner=owner, name="Rows (validation)", part="validation", sibling=train)
    type(train).objects.filter(pk=train.pk).update(sibling=validation)
    return train, validation


def begun_at(signed_in, dataset):
    """The training step of a draft that began on the page of a dataset."""
    wizard = Wizard(signed_in, signed_in.get(f"/tuning/new/?dataset={dataset.pk}")["Location"])
    wizard.post("name", display_name="Ahoy bot")
    wizard.post("base-model", base_model=BASE_MODEL)
    wizard.post("output", output_uri="gs://garden-local/ahoy")
    return wizard.get("training").context["form"]


def chosen(form):
    return tuple(form[name].value() for name in ("dataset", "use_validation", "validation_dataset"))


def test_a_dataset_comes_along_from_its_page(signed_in, model, dataset):
    assert f'href="/tuning/new/?dataset={dataset.pk}"' in signed_in.get(f"/datasets/{dataset.pk}/").content.decode()
    assert chosen(begun_at(signed_in, dataset)) == (str(dataset.pk), None, None)


def test_a_dataset_that_was_used_before_can_be_used_again(signed_in, model, dataset):
    factories.job(dataset=dataset)
    assert f'href="/tuning/new/?dataset={dataset.pk}"' in signed_in.get(f"/datasets/{dataset.pk}/").content.decode()


@pytest.mark.parametrize("part", [0, 1])
def test_the_other_part_of_a_split_is_proposed_for_validation(signed_in, model, pair, part):
    train, validation = pair
    assert chosen(begun_at(signed_in, pair[part])) == (str(train.pk), True, str(validation.pk))


def test_a_part_that_would_be_refused_is_not_proposed(signed_in, model, pair):
    Dataset.objects.filter(pk=pair[0].pk).update(byte_size=10)
    assert chosen(begun_at(signed_in, pair[0])) == (str(pair[0].pk), None, None)


def test_what_is_somebody_elses_does_not_come_along(signed_in, model, stranger):
    assert chosen(begun_at(signed_in, factories.dataset(owner=stranger)))[0] is None


def test_looking_from_a_dataset_makes_one_draft(signed_in, model, dataset, pair):
    for query in (f"?dataset={dataset.pk}", f"?dataset={pair[0].pk}", "?dataset=x", ""):
        signed_in.get(f"/tuning/new/{query}")
    assert TuningDraft.objects.get().data["training"] == {}


def offered(form):
    return [key for key, _label in form.fields["validation_dataset"].choices]


def test_neither_unusable_sets_nor_the_training_set_are_offered_for_validation(wizard, dataset, owner):
    factories.dataset(owner=owner, invalid_rows=1)
    other = factories.dataset(owner=owner)
    wizard.fill(dataset)
    assert offered(wizard.get("training").context["form"]) == ["", str(other.pk)]
    response = wizard.post("training", **training(dataset, use_validation="on", validation_dataset=str(dataset.pk)))
    assert (response.status_code, str(dataset.pk) in offered(response.context["form"])) == (422, True)


def test_what_is_offered_follows_the_dataset_that_is_chosen(wizard, dataset, pair):
    wizard.fill(dataset)
    query = {"chose": "dataset", "dataset": str(pair[0].pk)}
    form = wizard.get("training", **query).context["form"]
    assert (chosen(form)[1:], str(pair[0].pk) in offered(form)) == ((True, str(pair[1].pk)), False)
    typed = query | {"use_validation": "on", "validation_dataset": str(dataset.pk)}
    assert chosen(wizard.get("training", **typed).context["form"])[1:] == (True, str(dataset.pk))
    assert TuningDraft.objects.get(pk=wizard.pk).data["training"]["dataset"] == str(dataset.pk)


ADVANCED = {
    "warmup_ratio": "0.10",
    "lr_scheduler_type": "linear",
    "weight_decay": "0.015",
    "seed": "7",
    "max_seq_length": "512",
}


def count_changed(page):
    found = LexborHTMLParser(page.text).css_first("#advanced-count")
    return found.text(strip=True)


def test_advanced_settings_go_into_the_job_its_code_its_file_and_its_clone(wizard, dataset, signed_in):
    wizard.fill(dataset)
    wizard.post("training", **training(dataset, **ADVANCED))
    review = wizard.get("deployment").text
    assert "5 differ from the default" in review
    wizard.start()
    job = TuningJob.objects.get()
    asked = (0.1, "linear", 0.015, 7, 512)
    assert (job.warmup_ratio, job.lr_scheduler_type, job.weight_decay, job.seed, job.max_seq_length) == asked
    labels = ["warmup-ratio&quot;: &quot;1e-1", "weight-decay&quot;: &quot;15e-3", "max-seq-length&quot;: &quot;512"]
    details = signed_in.get(f"/tuning/jobs/{job.pk}/details/").text
    assert [f"local-tuning-{label}" in text for label in labels for text in (review, details)] == [True] * 6
    assert "0.015" in details
    assert ",0.1,linear,0.015,7,512," in b"".join(signed_in.get("/tuning/jobs.csv")).decode()
    file = signed_in.get(f"/tuning/jobs/{job.pk}/job.json").json()["training"]
    assert [file[name] for name in ADVANCED] == [*asked]
    place = signed_in.post(f"/tuning/jobs/{job.pk}/clone/")["Location"]
    values = Wizard(signed_in, place).get("training").context["form"]
    assert [values[name].value() for name in ADVANCED] == ["0.1", "linear", "0.015", "7", "512"]


def test_the_fold_counts_what_differs_from_the_default(wizard, dataset):
    wizard.fill(dataset)
    assert count_changed(wizard.get("training")) == ""
    typed = {"chose": "advanced", "tuning_mode": "PEFT_ADAPTER", "adapter_size": "8", "seed": "42", "batch_size": "4"}
    assert count_changed(wizard.get("training", **typed)) == "(2 changed)"
    assert count_changed(wizard.get("training", **typed, export_last_checkpoint_only="on")) == "(3 changed)"
    wizard.post("training", **training(dataset, action="save", warmup_ratio="0.050", weight_decay="0.1"))
    assert count_changed(wizard.get("training")) == "(1 changed)"


def test_on_google_the_advanced_settings_are_said_to_be_fixed(wizard, dataset, settings):
    settings.VERTEX_API_ENDPOINT = ""
    wizard.fill(dataset)
    page = wizard.get("training").text
    assert ("They can't be set here." in page, 'name="seed"' in page) == (True, False)
    refused = wizard.post("training", **training(dataset, seed="7"))
    assert (refused.status_code, "takes no such setting" in refused.text, 'name="seed"' in refused.text) == (
        422,
        True,
        True,
    )


def test_the_last_step_offers_the_endpoints_that_the_model_may_join(wizard, dataset):
    fits = factories.ready_endpoint(display_name="Support", model_user_id="m1", endpoint_user_id="e1")
    over = factories.endpoint(display_name="Old", state="UNDEPLOYED", model_user_id="m2", endpoint_user_id="e2")
    wizard.fill(dataset)
    page = LexborHTMLParser(wizard.get("deployment").text)
    boxes = {box.attributes["value"]: box.attributes for box in page.css("[name=deploy_endpoint]")}
    assert [name or "" for name, box in boxes.items() if "checked" in box] == [""]
    assert ("disabled" in boxes[str(fits.pk)], "disabled" in boxes[str(over.pk)]) == (False, True)
    assert "Nothing is deployed on this endpoint." in page.text()
    refused = wizard.start(deploy_endpoint=str(over.pk))
    assert (refused.status_code, TuningJob.objects.count()) == (422, 0)
    nonsense = wizard.start(deploy_endpoint="\x00nonsense", endpoint_share="101")
    assert (nonsense.status_code, "Enter a whole number from 0 to 100." in nonsense.text) == (422, True)
    wizard.start(deploy_endpoint=str(fits.pk), endpoint_share="15", endpoint_lease_hours="9")
    job = TuningJob.objects.get()
    found = (job.deploy_endpoint, job.endpoint_share, job.endpoint_lease_hours, job.endpoint_display_name)
    assert found == (fits, 15, None, "")
    details = words(wizard.client.get(f"/tuning/jobs/{job.pk}/details/"))
    assert "with 15% of its traffic" in details


def words(response):
    return " ".join(response.text.split())


def test_the_job_and_its_endpoint_are_in_the_region_that_was_chosen(wizard, dataset, owner, settings):
    settings.VERTEX_API_ENDPOINT = ""
    wizard.fill(dataset)
    wizard.post("base-model", base_model=BASE_MODEL, location="europe-west4")
    elsewhere = factories.ready_endpoint(owner=owner)
    words = "The endpoint is in us-central1, and the model is tuned in europe-west4."
    assert words in wizard.get("deployment").content.decode()
    refused = wizard.start(deploy_endpoint=str(elsewhere.pk))
    assert (refused.status_code, words in refused.content.decode()) == (422, True)
    assert wizard.start(deploy_endpoint="", idle_minutes="30", endpoint_labels="team=a").status_code == 303
    job = TuningJob.objects.get(pk=wizard.pk)
    assert (job.location, job.endpoint_options) == (
        "europe-west4", {"idle_minutes": 30, "endpoint_labels": {"team": "a"}},
    )  # fmt: skip
    endpoint = endpoints.deploy_for_job(job)
    assert (endpoint.location, endpoint.model.min_replicas) == ("europe-west4", 0)
    again = wizard.client.post(f"/tuning/jobs/{job.pk}/clone/")
    copy = Wizard(wizard.client, again["Location"])
    assert copy.get("base-model").context["form"]["location"].value() == "europe-west4"
    kept = TuningDraft.objects.get(pk=copy.pk).data["deployment"]
    assert (kept["idle_minutes"], kept["endpoint_labels"]) == ("30", "team=a")


def test_a_local_run_asks_for_no_region(wizard, dataset):
    wizard.fill(dataset)
    assert 'name="location"' not in wizard.get("base-model").content.decode()
