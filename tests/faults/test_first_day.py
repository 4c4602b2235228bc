"""Bad luck on the first day on Google Cloud: each ends with a cause, a remedy that works on the same page, and nothing
that is paid for twice.

Through Google's own clients, to the hosts of Google by their names, which the local server answers as Google does.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.models import CatalogueSync, Endpoint, PublisherModel, TuningJob
from jobs.services.catalogue import publisher_models
from jobs.services.preflight import preflight, subjects
from jobs.services.preflight.lines import Check, Verdict
from jobs.services.tuning import jobs as tuning_jobs
from jobs.vertex import get_gateway
from tests.support import factories
from tests.support.googlecloud import BUCKET, GoogleCloud, google_cloud, visiting
from tests.support.row_driver import Driver

pytestmark = [pytest.mark.django_db, pytest.mark.fault("F28"), pytest.mark.slow, pytest.mark.timeout(300)]
MODEL = "google/gemma3@gemma-3-1b-it"
MACHINE = {"machine_type": "g2-standard-12", "accelerator_type": "NVIDIA_L4", "accelerator_count": 1}
TERMS, SEVERAL = "google/gemma3@gemma-3-12b-it", "google/gemma3@gemma-3-4b-it"
UNACCEPTED = "google/gemma3@gemma-3-27b-it"
TWICE = {"machine_type": "g2-standard-24", "accelerator_count": 2}
AGENT = "gcp-sa-vertex-moss-ft"
STOCK_OUT = 'Machine type temporarily unavailable. Machine type: "g2-standard-12". Accelerator type: "nvidia-l4".'
QUOTA = "The following quotas are exceeded: CustomModelServingL4GPUsPerProjectPerRegion 1"
PATIENCE = 40
TAGS = re.compile(r"<[^>]+>")


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoogleCloud]:
    with google_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield cloud


@pytest.fixture
def google(everything: GoogleCloud, settings: Any, monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[GoogleCloud]:
    """With its catalogue, which the console has read."""
    settings.VERTEX_GATEWAY, settings.VERTEX_API_ENDPOINT = "jobs.vertex.sdk.Gateway", ""
    settings.VERTEX_PROJECT, settings.VERTEX_BUCKET = "garden-local", f"gs://{BUCKET}"
    everything.be_friendly()
    with visiting(everything):
        publisher_models.sync(timezone.now())
        yield everything
    everything.be_friendly()


@pytest.fixture
def driver(db: None) -> Driver:
    return Driver()


def settle(driver: Driver, row: Any, *states: str) -> Any:
    """Steps until it is in one of `states`, at the pace of the server."""
    until = time.monotonic() + PATIENCE
    while driver.step(row).state not in states:
        assert time.monotonic() < until, f"{row.state} {row.phase} {row.notice} {row.error_message}"
        time.sleep(0.05)
    return row


def until_noticed(driver: Driver, row: Any) -> None:
    """Steps until it says that it waits, and for what."""
    until = time.monotonic() + PATIENCE
    while not (row.model if isinstance(row, Endpoint) else row).notice:
        assert time.monotonic() < until, f"{row.state} {row.phase}"
        driver.step(row)


def new_job(driver: Driver, **values: Any) -> TuningJob:
    folder = f"gs://{BUCKET}/out/{time.monotonic_ns()}"
    about = {"base_model": MODEL, "tuning_mode": "FULL", "adapter_size": None, "accepts_licence": True}
    return factories.job(**about | {"output_uri": folder, "next_check_at": driver.now} | values)


def new_endpoint(driver: Driver, model: str = MODEL, **values: Any) -> Endpoint:
    number = time.monotonic_ns()
    ids = {"endpoint_user_id": f"endpoint-{number}", "model_user_id": f"model-{number}"}
    about = {"base_model": model, "publisher_model": model, "accepts_licence": True, "next_check_at": driver.now}
    return factories.endpoint(**about | MACHINE | ids | values)


def read(client: Any, row: Any) -> str:
    """The words of its page, as its owner reads them."""
    client.force_login(row.owner)
    return words(client.get(page_of(row)).content.decode())


def page_of(row: Any) -> str:
    return reverse("tuning-job" if isinstance(row, TuningJob) else "endpoint-detail", args=[row.pk])


def words(html: str) -> str:
    return " ".join(unescape(TAGS.sub(" ", html)).split())


def press(client: Any, row: Any, fix: str) -> Any:
    """A button of the page, which has to be there; what it leads to."""
    client.force_login(row.owner)
    html = client.get(page_of(row)).content.decode()
    assert re.search(rf'name="fix" value="{re.escape(fix)}"', html), words(html)
    kind = "tuning-fix" if isinstance(row, TuningJob) else "endpoint-fix"
    reply = client.post(reverse(kind, args=[row.pk]), {"fix": fix})
    assert reply.status_code == 303, words(reply.content.decode())
    pk = reply.headers["Location"].rstrip("/").rpartition("/")[2]
    made = type(row).objects.get(pk=pk)
    type(row).objects.filter(pk=pk).update(next_check_at=row.created_at)
    return made


def made_since(google: GoogleCloud) -> Callable[[], int]:
    before = len(google.servers.list_created())
    return lambda: len(google.servers.list_created()) - before


def no_billing(google: GoogleCloud) -> None:
    google.servers.order({"mode": "project", "billing": False})


def no_api(google: GoogleCloud) -> None:
    google.servers.order({"mode": "project", "disabled": ["aiplatform.googleapis.com"]})


def no_right(google: GoogleCloud) -> None:
    google.servers.order({"mode": "project", "lacks": ["aiplatform.tuningJobs.create"]})


@pytest.mark.parametrize(
    ("break_it", "command"),
    [
        (no_billing, "gcloud billing projects link garden-local --billing-account=BILLING_ACCOUNT"),
        (no_api, "gcloud services enable aiplatform.googleapis.com --project=garden-local"),
        (no_right, "gcloud projects add-iam-policy-binding garden-local --member="),
    ],
)
def test_what_the_project_lacks(google, driver, client, break_it, command):
    created = made_since(google)
    break_it(google)
    job = new_job(driver)
    for _ in range(6):
        driver.step(job)
    shown = read(client, job)
    assert (command in shown, created()) == (True, 0), shown
    google.be_friendly()
    made = press(client, job, "go_on") if job.state == "FAILED" else job
    settle(driver, made, "SUCCEEDED")
    assert created() == 1


def test_agents_without_roles(google, driver, client):
    created = made_since(google)
    google.grant("gcp-sa-aiplatform")
    job = settle(driver, new_job(driver), "FAILED")
    shown = read(client, job)
    command = f"gcloud storage buckets add-iam-policy-binding gs://{BUCKET} --member=serviceAccount:service-"
    assert (command in shown, AGENT in shown, created()) == (True, True, 1), shown
    google.be_friendly()
    settle(driver, press(client, job, "go_on"), "SUCCEEDED")
    assert created() == 2


def test_a_bucket_in_another_region(google, driver, client):
    """The preflight says it before; whoever starts all the same is led to the region of the bucket."""
    created = made_since(google)
    google.place_bucket("EUROPE-WEST4")
    subject = subjects.of_training(MODEL, f"gs://{BUCKET}/out")
    preflight.ask(subject, driver.now)
    preflight.run(subject.key, driver.now)
    lines = {line.check: line for line in preflight.find(subject, driver.now).lines}
    wrong = lines.pop(Check.BUCKET_REGION)
    assert (wrong.verdict, len(wrong.commands)) == (Verdict.WARNING, 1)
    assert {check for check, line in lines.items() if line.verdict != Verdict.PASSED} <= {Check.TERMS}, lines
    job = settle(driver, new_job(driver), "FAILED")
    assert ("The bucket is in another region" in read(client, job), created()) == (True, 0)
    made = settle(driver, press(client, job, "region_of_bucket"), "SUCCEEDED")
    assert (made.location, created()) == ("europe-west4", 1)


def test_terms_that_nobody_accepted(google, driver, client):
    created = made_since(google)
    endpoint = new_endpoint(driver, TERMS, accepts_licence=False)
    settle(driver, endpoint, "FAILED")
    assert ("The terms of the model aren't accepted" in read(client, endpoint), created()) == (True, 0)
    settle(driver, press(client, endpoint, "accept_terms"), "READY")
    assert created() == 1


def test_no_free_machine_for_a_training(google, driver, client):
    created = made_since(google)
    google.place_bucket("US")
    google.servers.order({"method": "create_tuning_job", "mode": "refuse", "status": 503, "message": STOCK_OUT})
    job = settle(driver, new_job(driver), "FAILED")
    shown = read(client, job)
    assert ("The machine is out of stock" in shown, STOCK_OUT in shown, created()) == (True, True, 0)
    made = settle(driver, press(client, job, "other_region"), "SUCCEEDED")
    assert (made.location, created()) == ("us-west1", 1)


@pytest.mark.parametrize(
    ("method", "make", "end"), [("create_tuning_job", new_job, "SUCCEEDED"), ("deploy", new_endpoint, "READY")]
)
def test_a_quota_that_is_used_up(google, driver, client, method, make, end):
    """Nothing is lost: it goes on by itself once something is free."""
    created = made_since(google)
    google.servers.order({"method": method, "mode": "refuse", "status": 429, "message": QUOTA, "times": 2})
    row = make(driver)
    until_noticed(driver, row)
    shown = read(client, row)
    assert ("Waiting for quota" in shown, QUOTA in shown, created()) == (True, True, 0), shown
    settle(driver, row, end)
    assert created() == 1


def test_no_free_machine_at_the_end_of_a_deployment(google, driver, client):
    created, before = made_since(google), google.list_endpoints()
    google.servers.order({
        "method": "deploy", "mode": "fail", "code": "UNAVAILABLE", "message": STOCK_OUT, "seconds": 0.5,
    })  # fmt: skip
    endpoint = settle(driver, new_endpoint(driver, SEVERAL, **TWICE), "FAILED")
    shown = read(client, endpoint)
    assert ("The machine is out of stock" in shown, created()) == (True, 1), shown
    made = settle(driver, press(client, endpoint, "machine:a2-ultragpu-1g"), "READY")
    assert (made.model.machine_type, created()) == ("a2-ultragpu-1g", 2)
    assert [name for name in google.list_endpoints() if name not in before] == [made.resource_name]


def test_a_quota_that_fails_a_deployment(google, driver, client):
    created = made_since(google)
    google.servers.order({"method": "deploy", "mode": "fail", "code": "RESOURCE_EXHAUSTED", "message": QUOTA})
    endpoint = settle(driver, new_endpoint(driver), "FAILED")
    shown = read(client, endpoint)
    assert ("A quota of the project is used up" in shown, created()) == (True, 1), shown
    settle(driver, press(client, endpoint, "again"), "READY")
    assert created() == 2


def test_an_operation_that_disappears(google, driver, client):
    created = made_since(google)
    gone = {"method": "get_operation", "mode": "refuse", "status": 404, "message": "Operation not found.", "times": 999}
    google.servers.order(gone)
    endpoint = settle(driver, new_endpoint(driver), "READY", "FAILED")
    assert (endpoint.state, created()) == ("READY", 1), read(client, endpoint)


def test_a_job_of_another_program(google, driver, client):
    """It is counted against the quota, left alone, and not taken for one of ours."""
    job = new_job(driver)
    settle(driver, job, "SUCCEEDED")
    created = made_since(google)
    other = google.make_job(job.output_uri, MODEL, "[waits]")
    assert get_gateway().tuning.count_running() == 1
    subject = subjects.of_training(MODEL, f"gs://{BUCKET}/out")
    preflight.ask(subject, driver.now)
    preflight.run(subject.key, driver.now)
    (line,) = [one for one in preflight.find(subject, driver.now).lines if one.check == Check.TUNING_QUOTA]
    assert (line.verdict, "1 of 1" in line.text) == (Verdict.WARNING, True)
    mine = new_job(driver, display_name="Mine")
    driver.until(mine, phase="BOUND")
    assert (mine.resource_name != other, created()) == (True, 2)
    get_gateway().tuning.cancel(other)
    settle(driver, mine, "SUCCEEDED")


def test_a_model_that_somebody_registered_under_our_name(google, driver, client):
    endpoint = new_endpoint(driver)
    google.register_model(endpoint.model.model_user_id)
    created = made_since(google)
    settle(driver, endpoint, "FAILED")
    shown = read(client, endpoint)
    assert ("The name is taken in Vertex AI" in shown, "already exists" in shown, created()) == (True, True, 0), shown
    settle(driver, press(client, endpoint, "again"), "READY")
    assert created() == 1


def test_credentials_that_expire_in_the_middle(google, driver, client):
    created = made_since(google)
    job = settle(driver, new_job(driver, display_name="[waits]"), "RUNNING")
    google.host.expire()
    until_noticed(driver, job)
    shown = read(client, job)
    assert ("gcloud auth application-default login" in shown, job.state, created()) == (True, "RUNNING", 1), shown
    google.host.renew()
    tuning_jobs.request_cancel(job)
    settle(driver, job, "CANCELLED")
    assert (job.notice, created()) == ("", 1)


def test_terms_that_were_withdrawn_before_the_next_try(google, driver, client):
    """Whatever the cause was, the button accepts them, and none is there that would be refused."""
    created = made_since(google)
    google.servers.order({"method": "create_tuning_job", "mode": "refuse", "status": 503, "message": STOCK_OUT})
    job = settle(driver, new_job(driver, base_model=UNACCEPTED, accepts_licence=False), "FAILED")
    assert "Accept the terms of the model first" in read(client, job)
    made = settle(driver, press(client, job, "accept_terms"), "SUCCEEDED")
    assert (made.accepts_licence, created()) == (True, 1)


def test_a_catalogue_of_a_thousand_models(tmp_path, google, driver, client):
    entries = [
        {"id": f"some-publisher-{number % 40}/family-{number}@version-{number}", "display_name": f"Model {number}",
         "machines": [MACHINE]}
        for number in range(1000)
    ]  # fmt: skip
    (tmp_path / "models.json").write_text(json.dumps({"models": entries}))
    (tmp_path / "large").mkdir()
    options = ["--instant", "--catalogue", str(tmp_path / "models.json")]
    with google_cloud(tmp_path / "large", options) as large, visiting(large):
        publisher_models.sync(driver.now)
    assert CatalogueSync.objects.get().error_message == ""
    assert PublisherModel.objects.only_listed().count() >= 1000
    asked = [head for head in large.host.heads if "modelGardenEula:check" in head]
    assert len(asked) <= publisher_models.LICENCES_A_SYNC
    client.force_login(factories.owner())
    for address in ("/model-garden/", "/model-garden/?q=Model+999", "/tuning/new/"):
        assert client.get(address, follow=True).status_code == 200
    assert "Model 999" in words(client.get("/model-garden/?q=Model+999").content.decode())
