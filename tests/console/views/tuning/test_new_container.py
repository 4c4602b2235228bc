"""The wizard's training step where adapters are trained in a container of the project's own."""

import pytest

from jobs.models import TuningJob
from tests.console.views.tuning.test_new import Wizard, training
from tests.support import factories

pytestmark = pytest.mark.django_db
IMAGE = "us-central1-docker.pkg.dev/p/garden/garden-trainer:1"
BASE = "google/gemma3@gemma-3-1b-it"
L4 = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}


@pytest.fixture
def signed_in(client, owner):
    client.force_login(owner)
    return client


@pytest.fixture
def at_training(signed_in, settings, owner):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_TRAINER_IMAGE = "", IMAGE
    factories.publisher_model(name=BASE, data={"machine_specs": [L4]})
    wizard = Wizard(signed_in, signed_in.get("/tuning/new/")["Location"])
    wizard.post("name", display_name="Ahoy bot")
    wizard.post("base-model", base_model=BASE)
    wizard.post("output", output_uri="gs://garden-local/ahoy")
    return wizard


def container(owner, **values):
    data = factories.dataset(owner=owner)
    return training(data, **{"training_machine": "g2-standard-8", "quantization": ""} | values)


@pytest.mark.parametrize(("machine", "is_offered"), [("", True), ("g2-standard-8", False)])
def test_no_machine_looks_chosen_before_one_is(at_training, owner, machine, is_offered):
    page = at_training.get("training", tuning_mode="PEFT_ADAPTER", training_machine=machine)
    offered = page.context["form"].fields["training_machine"].choices
    assert (("", "No machine chosen") in offered) == is_offered


def test_machines_are_offered_with_memory_price_and_what_fits(at_training):
    page = at_training.get("training").content.decode()
    assert "g2-standard-8 · 1 × NVIDIA L4, 24 GB · about $0.98 per hour · fits in 16 bits" in page
    assert "a2-ultragpu-1g · 1 × NVIDIA A100, 80 GB · about $5.78 per hour · fits in 16 bits" in page
    assert "Managed tuning</option>" not in page


def test_without_an_image_the_page_says_how_to_get_one(at_training, settings):
    settings.VERTEX_TRAINER_IMAGE = ""
    page = at_training.get("training").content.decode()
    assert "docker build -f containers/trainer.containerfile" in page
    assert 'name="training_machine"' not in page


def test_the_summary_tells_the_price_of_an_hour_while_the_time_is_unknown(at_training, owner):
    data = factories.dataset(owner=owner)
    typed = {"dataset": str(data.pk), "epochs": "3", "tuning_mode": "PEFT_ADAPTER", "training_machine": "g2-standard-8"}
    page = at_training.get("training", **typed).content.decode()
    assert "Unknown; about $0.98 per hour" in page
    assert "the price for training can differ" in page


def test_a_job_in_a_container_is_started(at_training, owner):
    assert at_training.post("training", **container(owner, quantization="4bit", seed="7")).status_code == 303
    machine = {"endpoint_display_name": "Ahoy", "machine_type": "g2-standard-12", "accepts_licence": "on"}
    assert at_training.post("start", auto_deploy="on", **machine).status_code == 303
    job = TuningJob.objects.get()
    assert (job.training_machine, job.quantization, job.seed, job.trainer_image) == ("g2-standard-8", "4bit", 7, IMAGE)


def test_full_fine_tuning_stays_with_managed_tuning(at_training, owner):
    typed = container(owner, tuning_mode="FULL")
    assert at_training.post("training", **typed).status_code == 303
    review = at_training.get("deployment").content.decode()
    assert "g2-standard-8" not in review


def test_a_machine_that_is_too_small_is_refused_on_its_field(at_training, owner):
    response = at_training.post("training", **container(owner, training_machine="toaster"))
    assert response.status_code == 422
    assert response.context["form"].errors["training_machine"] == ["Choose one of the machines in the list."]


def test_the_page_of_the_job_tells_the_machine_and_the_image(signed_in, owner):
    job = factories.job(owner=owner, base_model=BASE, training_machine="g2-standard-8", trainer_image=IMAGE)
    page = signed_in.get(f"/tuning/jobs/{job.pk}/details/").content.decode()
    assert "g2-standard-8" in page
    assert IMAGE in page
    assert "customJobs" in page
