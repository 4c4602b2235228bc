"""What is served of a folder that a tuning left, also once its base model was removed from this server."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.models.catalogue import Catalogue
from jobs.localvertex.resources.artifacts import of_folder
from jobs.localvertex.serving.deployments import ADAPTER, MERGED, TUNED
from jobs.localvertex.storage.buckets import Location
from jobs.localvertex.tuning.results import ADAPTER_FILE, BASE_MODEL_FILE, ORIGIN_FILE

BASE, FOLDER = "hf-acme/tiny@001", Location("bucket", "final")
WHOLE = ["config.json", "model.safetensors", ADAPTER, BASE_MODEL_FILE]
CHECKPOINT = [ADAPTER_FILE, ORIGIN_FILE]


def parts_with(files: list[str], *, has_base: bool) -> Any:
    catalogue = Catalogue([])
    if has_base:
        catalogue.add(BASE, {})
    origin = json.dumps({"base_model": f"publishers/{BASE.replace('/', '/models/')}"}).encode()
    buckets = SimpleNamespace(children=lambda _folder: files, read=lambda _file: origin)
    return SimpleNamespace(catalogue=catalogue, buckets=buckets)


@pytest.mark.parametrize(
    ("files", "has_base", "form"), [(WHOLE, True, TUNED), (WHOLE, False, MERGED), (CHECKPOINT, True, TUNED)]
)
def test_a_whole_model_does_without_its_base(files, has_base, form):
    artifact = of_folder(parts_with(files, has_base=has_base), FOLDER, "custom_model.gcs_uri")
    assert (artifact.form, artifact.base_id) == (form, BASE if has_base else "")


@pytest.mark.parametrize("files", [CHECKPOINT, ["config.json", ADAPTER, BASE_MODEL_FILE]])
def test_an_adapter_alone_asks_for_the_import_of_its_base(files):
    with pytest.raises(ApiError) as found:
        of_folder(parts_with(files, has_base=False), FOLDER, "custom_model.gcs_uri")
    assert found.value.status == "FAILED_PRECONDITION"
    assert "which is not on this server any more. Import that model again, and deploy the adapter then." in str(
        found.value
    )
