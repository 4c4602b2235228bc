"""A run on the fake gateway, which acts as Vertex AI does: what it pays for, what it takes down, what it says."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from jobs.models import Endpoint, TuningJob
from jobs.services.smoke import assumptions, evidence, run, taking_down
from jobs.services.smoke.plan import RUN_LABEL, Plan
from jobs.vertex.errors import Refused, StockOut
from jobs.vertex.values import Listing, MachineSpec, StoredObject
from tests.fakes import BUCKET, TINY
from tests.support import factories

pytestmark = pytest.mark.django_db(transaction=True)
GEMMA_1B = "google/gemma3@gemma-3-1b-it"
PLAN = Plan(base_model=GEMMA_1B, output_uri=f"gs://{BUCKET}/vertex-smoke/1", cap_usd=Decimal(5), accepts_terms=True)


@pytest.fixture
def google(fake_gateway, settings):
    settings.VERTEX_API_ENDPOINT, settings.VERTEX_BUCKET = "", f"gs://{BUCKET}"
    settings.VERTEX_POLL_SECONDS = 0.02
    machines = (MachineSpec("g2-standard-24", "NVIDIA_L4", 2), MachineSpec("g2-standard-12", "NVIDIA_L4", 1))
    tiny = fake_gateway.catalogue.models.pop(TINY)
    fake_gateway.catalogue.models = {GEMMA_1B: replace(tiny, name=GEMMA_1B, machine_specs=machines)}
    fake_gateway.automatic = True
    return fake_gateway


@pytest.fixture
def smoke(google, owner):
    def begin(**changes):
        said: list[str] = []
        return run.Run(owner, replace(PLAN, **changes), said.append, pause=lambda: None), said

    return begin


def interrupt():
    raise KeyboardInterrupt


def outcomes(found):
    return {step.name: step.outcome for step in found.steps}


def verdicts(found):
    return {one.assumption.key: one.verdict for one in assumptions.judge(found.evidence)}


def test_the_whole_run(smoke, google):
    found, said = smoke()
    assert found.go()
    assert outcomes(found) == dict.fromkeys(
        ["Check the project and the price", "Tune", "Deploy", "Ask", "Undeploy and delete"], "done"
    )
    assert "Training about $0.00; g2-standard-12 $1.1507 an hour." in said
    assert [creation.kind for creation in google.ledger] == ["tuning-job", "deployment"]
    assert TuningJob.objects.get().labels == {RUN_LABEL: "true"}
    assert Endpoint.objects.get().state == "DELETED"
    held = verdicts(found)
    assert (held["chat"], held["clean-up"], held["over-quota"]) == ("held", "held", "not tried")
    assert (found.spent, found.deployed_since is not None) == (Decimal(0), True)  # of seconds


def test_a_list_of_files_that_never_ends_keeps_nothing_running(smoke, google):
    found, _said = smoke()

    def answer_without_end():
        if Endpoint.objects.filter(phase="BOUND").exists():
            google.storage.every_page = Listing(objects=(StoredObject("a", 1),), next_token="more")

    found.pause = answer_without_end
    found.go()
    assert Endpoint.objects.get().state == "DELETED"
    assert found.evidence.files == ("a",) * evidence.MOST_NAMES


def test_a_job_whose_model_cannot_be_deployed_ends_the_run(smoke, google):
    google.storage.every_page = Listing(objects=(StoredObject("train.log", 1),))
    found, _said = smoke()
    assert not found.go()
    assert outcomes(found)["Deploy"] == "The job is over and its model was not deployed. Its page says why."
    assert [creation.kind for creation in google.ledger] == ["tuning-job"]


def test_a_job_that_was_written_before_the_run_was_told_is_cancelled(smoke, google, owner):
    found, _said = smoke()
    job = factories.job(pk=found.key, owner=owner, output_uri=f"gs://{BUCKET}/other")
    assert not found.go()
    job.refresh_from_db()
    assert (job.state, google.ledger) == ("CANCELLED", [])


def test_what_is_too_dear_is_not_begun(smoke, google):
    found, _said = smoke(cap_usd=Decimal("0.5"))
    assert not found.go()
    assert outcomes(found)["Check the project and the price"] == (
        "The training and 45 minutes of serving cost about $0.86, more than the cap of $0.5. Raise it with --cap-usd,"
        " or choose a smaller machine."
    )
    assert (google.ledger, TuningJob.objects.count()) == ([], 0)


def test_what_fails_before_the_first_payment_costs_nothing(smoke, google):
    google.project.billing = False
    found, _said = smoke()
    assert not found.go()
    assert outcomes(found)["Check the project and the price"].startswith("The project has no billing account")
    assert google.ledger == []


def test_a_job_that_is_refused_ends_the_run(smoke, google):
    google.refuse("tuning.create", "Not here.")
    found, _said = smoke()
    assert not found.go()
    assert outcomes(found)["Tune"].startswith("FAILED: ")
    assert "Not here." in outcomes(found)["Tune"]
    assert (google.creates(), outcomes(found)["Undeploy and delete"]) == ([], "done")


def test_a_machine_out_of_stock_leaves_nothing(smoke, google):
    google.fail("deployment.deploy", StockOut("No machine is free.", "UNAVAILABLE"))
    found, _said = smoke()
    assert not found.go()
    assert "No machine is free." in outcomes(found)["Deploy"]
    assert google.creates("deployment") == []
    assert Endpoint.objects.get().state == "DELETED"


def test_a_chat_that_fails_still_takes_all_down(smoke, google):
    google.chat.script = [[Refused("Broken.", "INTERNAL")]]
    found, _said = smoke()
    assert not found.go()
    assert outcomes(found)["Ask"].startswith("FAILED: ")
    assert (Endpoint.objects.get().state, verdicts(found)["chat"], verdicts(found)["clean-up"]) == (
        "DELETED",
        "not seen",
        "held",
    )


def test_the_cap_ends_a_deployment_that_takes_too_long(smoke, google, monkeypatch):
    """From its beginning on each pause takes half an hour; $2 pay for less than two hours."""
    clock = timezone.now
    pauses: list[int] = []
    monkeypatch.setattr(timezone, "now", lambda: clock() + timedelta(minutes=30 * len(pauses)))
    google.during("deployment.deploy", lambda: setattr(google, "automatic", False))
    found, _said = smoke(cap_usd=Decimal(2))
    found.pause = lambda: None if google.automatic else pauses.append(1)
    found.tell = lambda text: setattr(google, "automatic", google.automatic or text.startswith("Undeploy"))
    assert not found.go()
    assert outcomes(found)["Deploy"] == "The cap of $2 is almost reached. The run ends here."
    assert (outcomes(found)["Undeploy and delete"], Endpoint.objects.get().state) == ("done", "DELETED")


def test_what_cannot_be_taken_down_is_said(smoke, google):
    google.unavailable("deployment.undeploy", times=10**6)
    found, _said = smoke(training_usd=Decimal("0.50"))
    found.patience = timedelta(0)
    assert not found.go()
    assert outcomes(found)["Undeploy and delete"].startswith("Something is left: projects/")
    assert found.spent >= Decimal("0.50")


def test_an_interrupted_run_takes_down_what_it_made(smoke, google):
    google.chat.on_chunk = interrupt
    found, _said = smoke()
    with pytest.raises(KeyboardInterrupt):
        found.go()
    assert Endpoint.objects.get().state == "DELETED"


def test_what_a_killed_run_left_is_found(smoke, google, owner):
    google.chat.on_chunk = interrupt
    found, _said = smoke()
    google.unavailable("deployment.undeploy", times=1)
    found.patience = timedelta(0)
    with pytest.raises(KeyboardInterrupt):
        found.go()
    assert Endpoint.objects.get().state == "DELETING"
    assert [job.pk for job in taking_down.take_down_all(owner)] == [found.job.pk]
    assert (Endpoint.objects.get().state, taking_down.take_down_all(owner)) == ("DELETED", [])
