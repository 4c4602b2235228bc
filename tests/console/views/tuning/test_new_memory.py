"""A tuning that does not fit into the memory of this computer, and the batch size that does."""

from dataclasses import asdict, replace

import pytest
from django.utils import timezone

from jobs.models import PublisherModel, TuningDraft, TuningJob
from jobs.services.costs import memory
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


def describe(**changes):
    for model in PublisherModel.objects.all():
        model.data["memory"] |= changes
        model.save()


def test_the_card_that_trains_is_named_and_judged(wizard, dataset):
    """In the training step, in the last one, and at the start."""
    on_card = asdict(replace(MODE, card="NVIDIA L4", free=13 * 10**8))
    describe(free=64 * 10**9, modes={"PEFT_ADAPTER": on_card})
    wizard.fill(dataset)
    missing = "Doesn&#x27;t fit: needs about 1.4 GB of the memory of NVIDIA L4, and 1.3 GB are free."
    for step in ("training", "deployment"):
        page = " ".join(wizard.get(step).content.decode().split())
        assert f"{missing} It fits with a batch size of 2." in page
        assert '≈ 1.4 GB, 1.3 GB free <br><small class="muted">NVIDIA L4</small>' in page
    answer = wizard.client.post(f"/tuning/drafts/{wizard.pk}/start/", DEPLOYMENT)
    assert (answer.status_code, TuningJob.objects.exists()) == (422, False)
    wizard.post("training", **training(dataset) | {"action": "batch:2"})
    assert missing not in wizard.get("training").content.decode()


def test_the_images_of_the_longest_rows_count(wizard, owner):
    seen = asdict(replace(MODE, shown=10**8, image_tokens=18))
    describe(with_images={"PEFT_ADAPTER": seen})
    stats = {"longest": 2048, "answer_share": 50, "longest_rows": [[2012, 2], [2030, 1], *[[900, 0]] * 30]}
    rows = factories.dataset(owner=owner, valid_rows=100, stats=stats, image_count=3)
    found = memory.of_training(rows, PublisherModel.objects.get().name, "PEFT_ADAPTER", batch_size=4)
    assert found.needed == 10**9 + 3 * 10**8 + 2 * 10**8 + 2 * 10**8 * 900 // 2048
    assert (found.fits, found.smaller) == (False, 1)
