from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.signals import pre_save

from jobs import errors
from jobs.models import Endpoint, TuningDraft, TuningJob
from jobs.services.tuning import jobs, output_check
from jobs.vertex.errors import NotAuthorised
from jobs.vertex.values import Point
from tests.support import factories
from tests.support.row_driver import Driver
from tests.support.stored import path_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def driver(fake_gateway):
    return Driver()


def spec(owner, **values):
    return factories.tuning_spec(**{"owner": owner} | values)


def bound(driver, gateway, **values):
    gateway.catalogue.acknowledged.add(factories.BASE_MODEL)
    job = factories.job(next_check_at=driver.now, **values)
    return driver.until(job, phase="BOUND")


def messages(job):
    return [event.message for event in job.events.all()]


def test_create_keeps_the_intent_and_sends_nothing(owner, fake_gateway):
    draft = factories.draft(owner=owner)
    job = jobs.create(owner, key=draft.pk, spec=spec(owner, output_uri="gs://garden-local/out/"))
    assert (job.pk, job.state, job.phase, job.output_uri) == (draft.pk, "QUEUED", "INTENT", "gs://garden-local/out")
    assert TuningDraft.objects.get(pk=draft.pk).submitted_at is not None
    assert fake_gateway.calls == []


def test_the_same_key_is_the_same_job(owner):
    key, request = uuid4(), spec(owner)
    assert jobs.create(owner, key=key, spec=request) == jobs.create(owner, key=key, spec=request)
    assert TuningJob.objects.count() == 1


def test_the_same_key_with_other_settings_is_refused(owner):
    key, dataset = uuid4(), factories.dataset()
    jobs.create(owner, key=key, spec=spec(owner, dataset=dataset))
    with pytest.raises(errors.KeyReused):
        jobs.create(owner, key=key, spec=spec(owner, dataset=dataset, epochs=7))


def test_the_same_key_of_another_person_is_refused(owner, stranger):
    key, request = uuid4(), spec(owner)
    jobs.create(owner, key=key, spec=request)
    with pytest.raises(errors.KeyReused):
        jobs.create(stranger, key=key, spec=request)


def test_a_data_set_with_bad_rows_starts_nothing(owner):
    with pytest.raises(errors.NotAllowedNow):
        jobs.create(owner, key=uuid4(), spec=spec(owner, dataset=factories.dataset(invalid_rows=1)))
    assert TuningJob.objects.count() == 0


def test_full_tuning_has_no_adapter(owner):
    assert jobs.create(owner, key=uuid4(), spec=spec(owner, tuning_mode="FULL")).adapter_size is None


def test_a_job_goes_to_its_end_by_itself(owner, driver, fake_gateway):
    fake_gateway.automatic = True
    job = jobs.create(owner, key=uuid4(), spec=spec(owner, epochs=2))
    driver.rest(job)
    assert (job.state, job.phase, job.step, job.total_steps, job.epoch) == ("SUCCEEDED", "CLOSED", 6, 6, 2.0)
    assert (job.train_loss, job.log_text, len(job.checkpoints)) == (4 / 6, "training started\n", 2)
    assert job.metrics.count() == 6
    assert job.ended_at is not None
    assert len(fake_gateway.creates()) == 1


def test_which_adapters_can_be_served_is_looked_at_once(owner, driver, fake_gateway):
    fake_gateway.automatic = True
    job = jobs.create(owner, key=uuid4(), spec=spec(owner, epochs=2))
    saved = f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-3/adapter.gguf"
    fake_gateway.storage.objects[saved] = b"GGUF"
    driver.rest(job)
    assert [(one["step"], one["is_servable"]) for one in job.checkpoints] == [(3, True), (6, False)]
    assert [job.is_servable(one) for one in ("1", "2", "9")] == [True, False, False]


def test_what_is_sent_carries_our_key(owner, driver, fake_gateway):
    job = jobs.create(owner, key=uuid4(), spec=spec(owner))
    driver.until(job, phase="BOUND")
    sent = fake_gateway.tuning.specs[job.resource_name]
    assert (sent.labels["app-key"], sent.labels["app-hash"]) == (str(job.pk), job.request_hash[:8])
    assert sent.training_dataset_uri == f"gs://garden-local/datasets/{job.dataset_id}.jsonl"


def test_a_data_set_is_uploaded_once(owner, driver, fake_gateway):
    dataset = factories.dataset()
    for _ in range(2):
        driver.until(jobs.create(owner, key=uuid4(), spec=spec(owner, dataset=dataset)), phase="BOUND")
    assert fake_gateway.calls.count("storage.upload") == 1


def test_a_data_set_whose_file_is_gone_fails_the_job(driver):
    job = factories.job(next_check_at=driver.now)
    path_of(job.dataset).unlink()
    driver.rest(job)
    assert (job.state, job.error_message, job.error_field) == (
        "FAILED", "The file of the dataset Questions is missing from this server. Upload the file again.", "dataset",
    )  # fmt: skip


def test_an_output_that_cannot_be_written_fails_before_anything_is_sent(driver, fake_gateway):
    job = factories.job(next_check_at=driver.now, output_uri="gs://nowhere/out")
    driver.rest(job)
    assert (job.state, job.phase, fake_gateway.ledger) == ("FAILED", "CLOSED", [])
    assert (job.error_message, job.error_field) == (
        "The bucket nowhere does not exist. Choose another output directory and start a new job.", "output_uri",
    )  # fmt: skip


def test_without_a_bucket_the_job_says_what_to_set(driver, settings):
    settings.VERTEX_BUCKET = ""
    job = driver.rest(factories.job(next_check_at=driver.now))
    assert job.error_message == "There is no bucket for datasets. Set VERTEX_BUCKET, then start the job again."


def test_the_licence_is_accepted_when_the_person_accepted_it(driver, fake_gateway):
    job = factories.job(next_check_at=driver.now, accepts_licence=True)
    driver.until(job, phase="BOUND")
    assert fake_gateway.catalogue.acknowledged == {factories.BASE_MODEL}
    assert len(fake_gateway.creates()) == 1


def test_without_the_licence_the_job_fails_with_the_remedy(driver, fake_gateway):
    job = driver.rest(factories.job(next_check_at=driver.now))
    assert job.state == "FAILED"
    assert job.error_message.endswith(
        "Accept the terms on the page of google/gemma3@gemma-3-270m in Model Garden, then start again."
    )
    assert fake_gateway.catalogue.acknowledged == set()


def test_progress_while_it_runs(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.start(job.resource_name, total_steps=8)
    fake_gateway.tuning.step(job.resource_name, 1, 3.0)
    driver.step(job)
    fake_gateway.tuning.step(job.resource_name, 2, 2.0)
    fake_gateway.metrics.series[job.experiment]["/eval_total_loss"] = [Point(2, 2.5, driver.now)]
    driver.step(job)
    assert (job.state, job.step, job.epoch, job.train_loss, job.eval_loss) == ("RUNNING", 2, 0.5, 2.0, 2.5)
    assert job.loss_curve[-1] == 2.0
    assert messages(job)[-1] == "Epoch 0.5 ended at step 2 with a validation loss of 2.5000."
    assert job.metrics.count() == 3


NO_ANSWER = "The example has no answer within the length limit."


@pytest.mark.parametrize(
    ("stats", "sentences"),
    [
        ({}, []),
        ({"totalTruncatedExampleCount": "0"}, []),
        (
            {"totalTruncatedExampleCount": "3", "truncatedExampleIndices": ["1", "5", "9"]},
            ["3 rows were longer than the limit and were truncated."],
        ),
        (
            {
                "totalTruncatedExampleCount": "2",
                "truncatedExampleIndices": ["1", "5"],
                "droppedExampleReasons": [NO_ANSWER],
            },
            [
                "1 row was longer than the limit and was truncated.",
                f"1 row was excluded from training: {NO_ANSWER}",
            ],
        ),
        (
            {
                "totalTruncatedExampleCount": "40",
                "truncatedExampleIndices": ["1", "5"],
                "droppedExampleReasons": ["Too long.", "Too long."],
            },
            ["40 rows were excluded from training: Too long."],
        ),
        ({"droppedExampleReasons": [NO_ANSWER]}, [f"1 row was excluded from training: {NO_ANSWER}"]),
    ],
)
def test_rows_that_are_not_learnt_whole_are_said_once(driver, fake_gateway, stats, sentences):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.start(job.resource_name, **stats)
    for _look in range(3):
        driver.step(job)
    assert [event.message for event in job.events.filter(level="WARNING")] == sentences


def test_a_loss_that_is_no_number_is_said_once_and_not_kept(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.start(job.resource_name)
    fake_gateway.tuning.step(job.resource_name, 1, float("nan"))
    driver.step(job)
    driver.step(job)
    sentence = "The training loss is not a number at step 1. A lower learning rate may help."
    assert messages(job).count(sentence) == 1
    assert (job.train_loss, job.metrics.count()) == (None, 0)


def test_a_validation_loss_that_is_no_number_ends_no_epoch(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.start(job.resource_name)
    fake_gateway.tuning.step(job.resource_name, 1, float("nan"), kind="eval")
    driver.step(job)
    driver.step(job)
    assert [text for text in messages(job) if text.startswith("Epoch")] == []


def test_the_state_is_kept_when_the_metrics_cannot_be_read(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.start(job.resource_name)
    fake_gateway.unavailable("metrics.read")
    driver.step(job)
    assert job.state == "RUNNING"


def test_an_unreachable_vertex_changes_nothing_but_the_notice(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.unavailable("tuning.get")
    driver.step(job)
    assert (job.state, job.phase, job.notice) == ("QUEUED", "BOUND", "Vertex AI does not answer.")
    driver.step(job)
    assert (job.state, job.notice) == ("PENDING", "")


@pytest.mark.fault("F28")
def test_missing_rights_change_nothing_but_the_notice(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.fail("tuning.get", NotAuthorised("Sign in again.", "UNAUTHENTICATED"))
    driver.step(job)
    assert (job.state, job.notice) == ("QUEUED", "Sign in again.")
    assert job.next_check_at - driver.now >= timedelta(seconds=60)


@pytest.mark.fault("F25")
def test_an_unknown_remote_state_is_shown_as_it_is(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.set_state(job.resource_name, "UPDATING")
    driver.step(job)
    assert (job.state, job.notice) == (
        "QUEUED", "Vertex AI reports the state UPDATING, which this console does not know.",
    )  # fmt: skip


@pytest.mark.fault("F25")
def test_a_regression_is_recorded_and_not_obeyed(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.start(job.resource_name)
    driver.step(job)
    fake_gateway.tuning.set_state(job.resource_name, "QUEUED")
    driver.step(job)
    driver.step(job)
    sentence = "Vertex AI reports Queued after Running. The status of the job stays the same."
    assert (job.state, job.notice, messages(job).count(sentence)) == ("RUNNING", sentence, 1)


def test_a_failure_says_what_to_do(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.fail(job.resource_name, "INVALID_ARGUMENT", "Row 3 is too long.")
    driver.rest(job)
    assert (job.state, job.error_code) == ("FAILED", "INVALID_ARGUMENT")
    assert job.error_message == "Row 3 is too long. Correct the settings or the dataset, then start a new job."


@pytest.mark.fault("F24")
@pytest.mark.parametrize("state", ["CANCELLED", "FAILED"])
def test_the_checkpoints_of_a_job_that_ended_early_are_found(driver, fake_gateway, state):
    job = bound(driver, fake_gateway, epochs=3)
    fake_gateway.tuning.start(job.resource_name, total_steps=6)
    driver.until(job, state="RUNNING")
    folder = f"{job.output_uri}/postprocess/node-0/checkpoints/checkpoint-4"
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        fake_gateway.storage.objects[f"{folder}/{name}"] = b"x"
    if state == "FAILED":
        fake_gateway.tuning.fail(job.resource_name)
    else:
        jobs.request_cancel(job)
    driver.rest(job)
    assert (job.state, job.phase) == (state, "CLOSED")
    place = {"folder": "postprocess/node-0/checkpoints/checkpoint-4", "form": "adapter"}
    assert job.checkpoints == [{"checkpoint_id": "1", "epoch": 2, "step": 4, **place}]
    assert "Checkpoint of epoch 2 saved at step 4." in messages(job)


def test_a_look_for_checkpoints_that_fails_is_made_again(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.start(job.resource_name)
    driver.until(job, state="RUNNING")
    fake_gateway.tuning.fail(job.resource_name)
    driver.until(job, state="FAILED")
    fake_gateway.unavailable("storage.list_folder")
    driver.step(job)
    assert job.phase == "BOUND"
    driver.rest(job)
    assert job.phase == "CLOSED"


def test_a_folder_that_was_found_impossible_starts_nothing(owner, fake_gateway):
    draft = factories.draft(owner=owner)
    output_check.ask(draft, "gs://nowhere/out", factories.NOW)
    output_check.run(draft.pk, factories.NOW)
    with pytest.raises(errors.InvalidValues, match="The bucket nowhere does not exist."):
        jobs.create(owner, key=draft.pk, spec=spec(owner, output_uri="gs://nowhere/out/"))
    assert TuningJob.objects.count() == 0
    assert jobs.create(owner, key=draft.pk, spec=spec(owner, output_uri="gs://garden-local/out"))


def test_a_job_deleted_behind_our_back_fails_at_the_third_look(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.forget(job.resource_name)
    driver.step(driver.step(job))
    assert job.state == "QUEUED"
    driver.step(job)
    assert (job.state, job.error_code, job.next_check_at) == ("FAILED", "NOT_FOUND", None)


def test_the_last_lines_of_the_log_are_read_after_the_end(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.start(job.resource_name)
    fake_gateway.tuning.succeed(job.resource_name)
    driver.step(job)
    fake_gateway.storage.objects[f"{job.output_uri}/logs/train.log"] = b"the end\n"
    driver.rest(job)
    assert (job.log_text, job.phase) == ("the end\n", "CLOSED")


def test_success_makes_the_endpoint_that_was_asked_for(driver, fake_gateway):
    job = bound(driver, fake_gateway, auto_deploy=True, endpoint_display_name="Bot", machine_type="n2-standard-8")
    fake_gateway.tuning.succeed(job.resource_name)
    driver.rest(job)
    endpoint = Endpoint.objects.get()
    assert (endpoint.model.job, endpoint.model.automatic, endpoint.display_name) == (job, True, "Bot")
    assert endpoint.model.artifact_uri == f"{job.output_uri}/postprocess/node-0/checkpoints/final"
    assert (endpoint.state, endpoint.model.machine_type) == ("DEPLOYING", "n2-standard-8")


def test_success_without_auto_deploy_makes_no_endpoint(driver, fake_gateway):
    job = bound(driver, fake_gateway)
    fake_gateway.tuning.succeed(job.resource_name)
    driver.rest(job)
    assert (job.state, Endpoint.objects.count()) == ("SUCCEEDED", 0)


def test_a_job_remembers_what_was_reckoned(owner):
    job = jobs.create(owner, key=uuid4(), spec=spec(owner, dataset=factories.dataset(token_estimate=2310)))
    assert (job.estimate["tokens"], job.estimate["cost_usd"], job.estimate["seconds"]) == (6930, "0.00", None)


def test_labels_region_and_what_is_continued_are_sent(owner, driver, fake_gateway):
    start = "gs://garden-local/a/postprocess/node-0/checkpoints/final"
    factories.job(state="SUCCEEDED", output_uri="gs://garden-local/a", next_check_at=None)
    wish = spec(owner, labels={"team": "support"}, location="europe-west4", custom_base_model=start)
    job = driver.until(jobs.create(owner, key=uuid4(), spec=wish), phase="BOUND")
    sent = fake_gateway.tuning.specs[job.resource_name]
    assert (sent.location, sent.custom_base_model) == ("europe-west4", start)
    assert (sent.labels["team"], sent.labels["app-key"]) == ("support", str(job.pk))


def test_a_label_cannot_take_the_place_of_the_consoles_own(owner, driver, fake_gateway):
    job = factories.job(labels={"app-key": "other"}, next_check_at=driver.now, accepts_licence=True)
    driver.until(job, phase="BOUND")
    assert fake_gateway.tuning.specs[job.resource_name].labels["app-key"] == str(job.pk)


def test_a_job_of_another_region_is_found_again(owner, driver, fake_gateway):
    fake_gateway.drop_after("tuning.create")
    job = driver.until(jobs.create(owner, key=uuid4(), spec=spec(owner, location="us-east5")), phase="BOUND")
    assert job.resource_name.split("/")[3] == "us-east5"
    assert len(fake_gateway.creates()) == 1


def test_a_folder_that_is_taken_at_the_last_moment_is_refused_by_the_database(owner):
    """As by a process of the version before, which looks at nothing of this and waits for no lock."""
    wish, other = spec(owner), factories.job(output_uri="gs://garden-local/elsewhere")

    def take(instance, **_):
        if instance.pk != other.pk:
            TuningJob.objects.filter(pk=other.pk).update(output_uri=wish.output_uri)

    pre_save.connect(take, sender=TuningJob)
    try:
        with pytest.raises(errors.InvalidValues) as refused:
            jobs.create(owner, key=uuid4(), spec=wish)
    finally:
        pre_save.disconnect(take, sender=TuningJob)
    assert [(problem.field, problem.sentence) for problem in refused.value.problems] == [
        ("output_uri", "Another tuning job already writes to this folder. Choose a different folder.")
    ]
    assert TuningJob.objects.count() == 1


def test_the_model_is_found_in_a_folder_of_any_name_and_deployed_from_there(driver, fake_gateway):
    fake_gateway.tuning.lay = lambda storage, output: (
        storage.put_model(f"{output}/checkpoints/10"), storage.put_model(f"{output}/checkpoints/5")
    )  # fmt: skip
    job = bound(driver, fake_gateway, auto_deploy=True)
    fake_gateway.tuning.succeed(job.resource_name)
    driver.rest(job)
    assert (job.result_folder, job.result_form) == ("checkpoints/10", "whole")
    assert [(one["step"], one["folder"]) for one in job.checkpoints] == [(3, "checkpoints/5"), (6, "checkpoints/10")]
    assert Endpoint.objects.get().model.artifact_uri == f"{job.output_uri}/checkpoints/10"


@pytest.mark.parametrize("is_adapter", [True, False])
def test_what_google_cannot_deploy_is_refused_before_anything_is_paid_for(driver, fake_gateway, settings, is_adapter):
    settings.VERTEX_API_ENDPOINT = ""
    fake_gateway.tuning.lay = lambda storage, output: is_adapter and storage.put_adapter(f"{output}/final")
    job = bound(driver, fake_gateway, auto_deploy=True)
    fake_gateway.tuning.succeed(job.resource_name)
    driver.rest(job)
    assert (job.state, job.phase, job.result_form) == ("SUCCEEDED", "CLOSED", "adapter" if is_adapter else "none")
    assert (Endpoint.objects.count(), fake_gateway.creates("deployment")) == (0, [])
    why = "The tuning left an adapter" if is_adapter else f"{job.output_uri} holds no complete model"
    assert any(message.startswith(f"The model was not deployed: {why}") for message in messages(job))


def test_a_folder_that_cannot_be_listed_is_taken_as_documented(driver, fake_gateway):
    job = bound(driver, fake_gateway, auto_deploy=True)
    fake_gateway.unavailable("storage.list_folder", times=9)
    fake_gateway.tuning.succeed(job.resource_name)
    driver.rest(job)
    assert (job.state, job.result_form) == ("SUCCEEDED", "")
    assert Endpoint.objects.get().model.artifact_uri.endswith("/postprocess/node-0/checkpoints/final")


def test_after_a_job_of_global_the_endpoint_is_where_the_model_is(driver, fake_gateway, settings):
    """Which is told with the success, and not before."""
    job = bound(driver, fake_gateway, auto_deploy=True, location="global")
    settings.VERTEX_LOCATION = "us-west1"
    fake_gateway.tuning.start(job.resource_name)
    driver.step(job)
    assert job.tuned_model == ""
    fake_gateway.tuning.succeed(job.resource_name)
    driver.step(job)
    assert "/locations/us-central1/" in job.tuned_model
    endpoint = Endpoint.objects.get(main_model__job=job)
    assert (endpoint.location, endpoint.model.location) == ("us-central1", "us-central1")
