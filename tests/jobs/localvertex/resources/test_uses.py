"""What keeps an imported model from being removed: whatever reads its weights now or soon."""

from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.aiplatform_v1beta1.types import BatchPredictionJob, CustomJob, DeployedModel, Endpoint, TuningJob

from jobs.localvertex.api.wire import Operation
from jobs.localvertex.models.catalogue import Catalogue
from jobs.localvertex.resources.uses import list_uses, name_without_endpoint
from jobs.localvertex.serving.llama import Plan
from jobs.localvertex.serving.pool import Serving, name_of
from jobs.localvertex.store import Store
from jobs.localvertex.tuning.queue import PENDING, SUCCEEDED

PARENT = "projects/p/locations/l"
BASE, LONG = "hf-acme/tiny@001", "publishers/hf-acme/models/tiny@001"


@pytest.fixture
def parts(tmp_path):
    catalogue = Catalogue([])
    catalogue.add(BASE, {})
    store = Store(tmp_path / "vertex.sqlite3")
    yield SimpleNamespace(store=store, catalogue=catalogue, serving=Serving(tmp_path / "endpoints", [], budget=2**40))
    store.close()


def deploy(parts: Any, **note: str) -> None:
    name = f"{PARENT}/endpoints/1"
    endpoint = Endpoint(name=name, display_name="Mine", deployed_models=[DeployedModel(id="7")])
    parts.store.insert(endpoint)
    parts.store.write_note(name_of(name, "7"), **note)


def begin(parts: Any, **note: Any) -> None:
    parts.store.insert(Operation(name=f"{PARENT}/operations/1"))
    parts.store.write_note(f"{PARENT}/operations/1", **note)


@pytest.mark.parametrize("form", ["base", "tuned"])
def test_an_endpoint_that_serves_it_or_an_adapter_on_it(parts, form):
    deploy(parts, base=BASE, form=form)
    assert list_uses(parts, BASE) == ["the endpoint Mine"]


@pytest.mark.parametrize("note", [{"base": BASE, "form": "merged"}, {"base": "hf-acme/other@001", "form": "base"}])
def test_an_endpoint_with_weights_of_its_own_is_no_use(parts, note):
    deploy(parts, **note)
    assert list_uses(parts, BASE) == []


def test_a_deployment_under_way(parts):
    begin(parts, base=BASE, form="tuned", endpoint=f"{PARENT}/endpoints/1")
    assert list_uses(parts, BASE) == [f"a deployment to {PARENT}/endpoints/1"]


class EndsMeanwhile(Store):
    """Where a deployment ends as soon as somebody has looked for endpoints."""

    def all(self, kind: Any, parent: str = "") -> Any:
        found = super().all(kind, parent)
        if kind is Endpoint and not found:
            deploy(SimpleNamespace(store=self), base=BASE, form="base")
            with self.edit(Operation, f"{PARENT}/operations/1") as operation:
                operation.done = True
        return found


def test_a_deployment_that_ends_meanwhile(parts, tmp_path):
    parts.store = EndsMeanwhile(tmp_path / "another.sqlite3")
    begin(parts, base=BASE, form="base", endpoint=f"{PARENT}/endpoints/1")
    assert list_uses(parts, BASE) == [f"a deployment to {PARENT}/endpoints/1"]
    assert list_uses(parts, BASE) == ["the endpoint Mine"]
    parts.store.close()


def test_an_export_under_way(parts):
    begin(parts, export={"model": BASE, "destination": "gs://bucket/out"})
    assert list_uses(parts, BASE) == ["an export to gs://bucket/out"]


@pytest.mark.parametrize("name", [BASE, LONG])
def test_a_tuning_job_until_it_has_ended(parts, name):
    job = TuningJob(name=f"{PARENT}/tuningJobs/1", base_model=name, tuned_model_display_name="Ahoy", state=PENDING)
    parts.store.insert(job)
    assert list_uses(parts, BASE) == ["the tuning job Ahoy"]
    with parts.store.edit(TuningJob, job.name) as changed:
        changed.state = SUCCEEDED
    assert list_uses(parts, BASE) == []


def test_a_custom_job_that_trains_it(parts):
    for number, base in enumerate((BASE, "hf-acme/other@001")):
        name = f"{PARENT}/customJobs/{number}"
        parts.store.insert(CustomJob(name=name, display_name=f"custom {number}", state=PENDING))
        parts.store.write_note(name, plan={"baseModel": base})
    assert list_uses(parts, BASE) == ["the custom job custom 0"]


def test_a_batch_prediction_job(parts):
    name = f"{PARENT}/batchPredictionJobs/1"
    parts.store.insert(BatchPredictionJob(name=name, display_name="nightly", state=PENDING))
    parts.store.write_note(name, base=BASE, kind="publisher")
    assert list_uses(parts, BASE) == ["the batch prediction job nightly"]


def test_a_request_to_the_model_itself_while_it_is_answered(parts, tmp_path):
    name = name_without_endpoint(parts, BASE)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    parts.serving.offer(Plan(name, str(tmp_path / "model.gguf")))
    held = parts.serving.hold(name)
    assert list_uses(parts, BASE) == ["a request that is being answered"]
    parts.serving.release(held)
    assert list_uses(parts, BASE) == []
