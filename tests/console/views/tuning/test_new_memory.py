"""A tuning that does not fit into the memory of this computer, and the batch size that does."""

from dataclasses import asdict

import pytest
from django.utils import timezone

from jobs.models import PublisherModel, TuningDraft, TuningJob
from jobs.vertex.machine import Memory, TrainingMemory
from tests.console.views.tuning.test_new import DEPLOYMENT, Wizard, training
from tests.support import factories

pytestmark = pytest.mark.django_db
MODE = TrainingMemory(fixed=10**9, rank=0, saving=0, step=0, answer=0, rows={2048: 10**8})


@pytest.fixture
def wizard(client, owner, settings):
    settings.VERTEX_API_ENDPOINT = "http://127.0.0.1:1"
    client.force_login(owner)
    told = asdict(Memory(13 * 10**8, 0, {}, 4, {"PEFT_ADAPTER": MODE})) | {"told_at": timezone.now().isoformat()}
    model = factories.publisher_model(display_name="Gemma 3 270M", licence_acknowledged=False)
    PublisherModel.objects.filter(pk=model.pk).update(data=model.data | {"memory": told})
    return Wizard(client, client.get("/tuning/new/")["Location"])


@pytest.fixture
def dataset(owner):
    return factories.dataset(owner=owner, valid_rows=100, stats={"longest": 2048, "answer_share": 50})


def batch_size(wizard):
    return TuningDraft.objects.get(pk=wizard.pk).data["training"]["batch_size"]


def test_the_default_does_not_fit_and_a_smaller_batch_does(wizard, dataset):
    wizard.fill(dataset)
    page = wizard.get("training").content.decode()
    assert (
        "Doesn&#x27;t fit: needs about 1.4 GB of memory, and 1.3 GB are free. It fits with a batch size of 2." in page
    )
    assert "≈ 1.4 GB, 1.3 GB free" in page
    response = wizard.post("training", **training(dataset) | {"action": "batch:2", "epochs": "7"})
    assert (response.status_code, response["Location"]) == (303, wizard.url("training"))
    assert (batch_size(wizard), TuningDraft.objects.get(pk=wizard.pk).data["training"]["epochs"]) == ("2", "7")
    page = wizard.get("training").content.decode()
    assert "≈ 1.2 GB, 1.3 GB free" in page
    assert "fit: needs" not in page


def test_of_a_sweep_the_job_that_takes_the_most_counts(wizard, dataset):
    """No button: what the sweep tries is in its own fields."""
    wizard.fill(dataset)
    sweep = {"sweep_1": "batch_size", "sweep_1_values": "1, 4"}
    page = wizard.get("training", **training(dataset) | sweep).content.decode()
    assert "It fits with a batch size of 2." in page
    assert 'value="batch:' not in page
    page = wizard.get("training", **training(dataset) | sweep | {"sweep_1_values": "1, 2"}).content.decode()
    assert "≈ 1.2 GB, 1.3 GB free" in page
    page = wizard.get("training", **training(dataset) | sweep | {"sweep_1": "epochs"}).content.decode()
    assert 'value="batch:2"' in page


def test_nonsense_for_a_batch_size_is_judged_as_typed(wizard, dataset):
    wizard.fill(dataset)
    wizard.post("training", **training(dataset) | {"action": "batch:many"})
    assert batch_size(wizard) == "many"
    assert wizard.get("deployment").status_code == 303


def test_it_is_not_started(wizard, dataset):
    wizard.fill(dataset)
    page = wizard.get("deployment").content.decode()
    assert "Change the batch size" in page
    answer = wizard.client.post(f"/tuning/drafts/{wizard.pk}/start/", DEPLOYMENT)
    assert answer.status_code == 422
    assert "It fits with a batch size of 2." in answer.content.decode()
    assert not TuningJob.objects.exists()


def test_it_is_asked_when_the_page_is_opened(wizard, dataset):
    wizard.fill(dataset)
    PublisherModel.objects.update(data={"memory": {}})
    wizard.get("training")
    assert "asked_at" in PublisherModel.objects.get().data["memory"]
