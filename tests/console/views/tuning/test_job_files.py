import json
import random

import pytest
import yaml
from django.core.files.uploadedfile import SimpleUploadedFile

from console.presenters.tuning.wizard.drafts import Wizard
from jobs.models import TuningDraft, TuningJob
from jobs.services.tuning import code, job_files
from tests.support import factories
from tests.support.factories import BASE_MODEL

pytestmark = pytest.mark.django_db
BOTH_MODES = "google/gemma3@gemma-3-27b-it"
SHA = "b" * 64


@pytest.fixture
def signed_in(client, owner, settings):
    settings.VERTEX_API_ENDPOINT = ""
    client.force_login(owner)
    return client


@pytest.fixture
def models():
    return [factories.publisher_model(name=name) for name in (BASE_MODEL, BOTH_MODES)]


def loaded(signed_in, content):
    file = SimpleUploadedFile("job.json", json.dumps(content).encode())
    return signed_in.post("/tuning/import/", {"file": file})


def exported(signed_in, place):
    response = signed_in.get(f"{place}job.json")
    assert response["Content-Disposition"].startswith("attachment;")
    return json.loads(response.content)


def random_job(chance, number, train, validation, start):
    mode = chance.choice(["PEFT_ADAPTER", "FULL"])
    continued = mode == "PEFT_ADAPTER" and chance.random() < 0.5
    return factories.job(
        display_name="x" + "".join(chance.choices("aé선😀\"\\ <&'{}%$`x9", k=20)) + "x", base_model=BOTH_MODES,
        description=chance.choice(["", "Two\nlines & <more>"]), labels=chance.choice([{}, {"team": "a_b-1", "x": ""}]),
        custom_base_model=f"{start.output_uri}/postprocess/node-0/checkpoints/final" if continued else "",
        location=chance.choice(["global", "us-central1", "asia-southeast2"]), output_uri=f"gs://bucket/{number}",
        dataset=train, validation_dataset=chance.choice([None, validation]), epochs=chance.randint(1, 100),
        learning_rate=10 ** chance.uniform(-12, 0), tuning_mode=mode, batch_size=chance.choice([None, 1, 256]),
        adapter_size=None if mode == "FULL" else 8 if continued else chance.choice([1, 4, 32]),
        export_last_checkpoint_only=chance.random() < 0.5, auto_deploy=chance.random() < 0.5,
        endpoint_display_name=chance.choice(["Endpoint", "끝점"]), machine_type=chance.choice(["", "local-cpu"]),
        endpoint_lease_hours=chance.choice([None, 1, 720]),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
def test_a_job_saved_and_loaded_again_is_the_same_job(signed_in, owner, models, seed):
    chance = random.Random(seed)
    train = factories.dataset(sha256=SHA, byte_size=100_000)
    validation = factories.dataset(sha256="c" * 64)
    start = factories.job(state="SUCCEEDED", base_model=BOTH_MODES, output_uri="gs://bucket/start")
    job = random_job(chance, seed, train, validation, start)
    content = exported(signed_in, f"/tuning/jobs/{job.pk}/")
    TuningJob.objects.filter(pk=job.pk).delete()
    place = loaded(signed_in, content)["Location"]
    draft = TuningDraft.objects.get()
    assert place == f"/tuning/drafts/{draft.pk}/deployment/"
    assert job_files.dump(Wizard(draft, owner).spec()) == content
    assert exported(signed_in, f"/tuning/drafts/{draft.pk}/") == content


def test_a_free_folder_takes_the_place_of_one_that_is_taken(signed_in, models):
    job = factories.job(dataset=factories.dataset(sha256=SHA))
    place = loaded(signed_in, exported(signed_in, f"/tuning/jobs/{job.pk}/"))["Location"]
    content, draft = signed_in.get(place).content.decode(), TuningDraft.objects.get()
    assert place.endswith("/deployment/")
    assert draft.data["output"]["output_uri"] == f"gs://garden-local/tuning/my-model-{draft.pk.hex[:6]}"
    assert draft.output_check["uri"] == draft.data["output"]["output_uri"]
    assert f"A new job cannot write to the output directory of the file, {job.output_uri}." in content
    assert "Loaded from job.json" in content


def test_a_job_goes_through_yaml_as_through_json(signed_in, owner, models):
    start = factories.job(state="SUCCEEDED", base_model=BOTH_MODES, output_uri="gs://bucket/start")
    job = random_job(random.Random(3), 3, factories.dataset(sha256=SHA), None, start)
    content = exported(signed_in, f"/tuning/jobs/{job.pk}/")
    response = signed_in.get(f"/tuning/jobs/{job.pk}/job.yaml")
    assert (response["Content-Type"], yaml.safe_load(response.content)) == ("application/yaml", content)
    assert response["Content-Disposition"].endswith('.yaml"')
    TuningJob.objects.filter(pk=job.pk).delete()
    signed_in.post("/tuning/import/", {"file": SimpleUploadedFile("job.yaml", response.content)})
    draft = TuningDraft.objects.get()
    assert job_files.dump(Wizard(draft, owner).spec()) == content
    assert signed_in.get(f"/tuning/drafts/{draft.pk}/job.yaml").content == response.content


def test_both_files_are_offered(signed_in):
    job = factories.job()
    content = signed_in.get(f"/tuning/jobs/{job.pk}/details/").content.decode()
    assert [f'href="/tuning/jobs/{job.pk}/job.{ending}" download' in content for ending in ("json", "yaml")] == [
        True
    ] * 2


def test_a_data_set_that_is_missing_is_named_in_its_step(signed_in, models, stranger):
    job = factories.job(
        dataset=factories.dataset(sha256=SHA, owner=stranger, name="Theirs"),
        validation_dataset=factories.dataset(sha256="c" * 64, owner=stranger, name="Also theirs"),
    )
    content = exported(signed_in, f"/tuning/jobs/{job.pk}/") | {"output": {"output_uri": "gs://bucket/new"}}
    place = loaded(signed_in, content)["Location"]
    page = signed_in.get(place).content.decode()
    assert place.endswith("/training/")
    assert "You don&#x27;t have the dataset in the file, Theirs (bbbbbbbb)." in page
    assert "You don&#x27;t have the dataset in the file, Also theirs (cccccccc)." in page


def test_values_that_cannot_be_here_are_told_by_their_steps(signed_in, models):
    job = factories.job(dataset=factories.dataset(sha256=SHA), location="mars-north1")
    place = loaded(signed_in, exported(signed_in, f"/tuning/jobs/{job.pk}/"))["Location"]
    assert place.endswith("/base-model/")
    assert "Vertex AI doesn&#x27;t tune open models in mars-north1." in signed_in.get(place).content.decode()


def test_a_wrong_file_keeps_its_text_and_names_the_field(signed_in):
    response = signed_in.post("/tuning/import/", {"text": '{"format": "garden-console/tuning-job", "version": 1}'})
    content = response.content.decode()
    assert response.status_code == 422
    assert "<code>training</code>: This section is missing." in content
    assert "garden-console/tuning-job&quot;, &quot;version" in content
    assert TuningDraft.objects.count() == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Choose a file, or paste its text."),
        ({"file": SimpleUploadedFile("a.json", b"")}, "The file is empty."),
        ({"file": SimpleUploadedFile("a.json", b"\xff\xfe{")}, "The file is not text in UTF-8."),
        ({"file": SimpleUploadedFile("a.json", b"x" * 50_000)}, "The file is larger than any tuning job."),
        ({"text": "x" * 50_000}, "This is longer than any tuning job."),
    ],
)
def test_what_is_no_file_is_refused_beside_its_field(signed_in, values, words):
    response = signed_in.post("/tuning/import/", values)
    assert (response.status_code, words in response.content.decode()) == (422, True)


def test_the_page_to_load_a_file(signed_in):
    assert "Load into a draft" in signed_in.get("/tuning/import/").content.decode()


def test_an_unfinished_draft_is_no_file_yet(signed_in, models):
    draft = factories.draft()
    response = signed_in.get(f"/tuning/drafts/{draft.pk}/job.json")
    assert (response.status_code, response["Location"]) == (303, f"/tuning/drafts/{draft.pk}/name/")


def test_the_page_of_a_job_has_its_code_and_its_figures(signed_in):
    job = factories.job(
        labels={"team": "support"},
        endpoint_lease_hours=4,
        estimate={"tokens": 2_300, "cost_usd": "0.00", "seconds": 61},
    )
    content = signed_in.get(f"/tuning/jobs/{job.pk}/details/").content.decode()
    for shown in ("team=support", "≈ 2.3", "≈ 1 min 1 s", "client.tunings.tune(", f"/tuning/jobs/{job.pk}/job.json"):
        assert shown in content


def test_a_job_links_to_the_one_that_it_continues(signed_in):
    start = factories.job(state="SUCCEEDED", display_name="First voyage")
    folder = f"{start.output_uri}/postprocess/node-0/checkpoints/final"
    job = factories.job(output_uri="gs://bucket/b", custom_base_model=folder)
    content = signed_in.get(f"/tuning/jobs/{job.pk}/details/").content.decode()
    assert f'<a href="/tuning/jobs/{start.pk}/">First voyage</a>' in content


def test_the_code_names_no_label_of_the_console(owner):
    job = factories.job(labels={"team": "support"})
    assert code.body(job)["labels"] == {"team": "support"}
