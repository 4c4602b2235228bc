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


ORIGIN = json.dumps({"base_model": f"publishers/{BASE.replace('/', '/models/')}"}).encode()


def parts_with(files: list[str], *, has_base: bool, origin: bytes = ORIGIN) -> Any:
    catalogue = Catalogue([])
    if has_base:
        catalogue.add(BASE, {})
    buckets = SimpleNamespace(children=lambda _folder: files, read=lambda _file, at_most=None: origin)
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
    assert "which is not on this server. Import that model, and then deploy the adapter." in str(found.value)


@pytest.mark.parametrize("origin", [b"[]", b"[" * 100_000, b'{"base_model": 5}', b'{"other": "x"}', b"{}", b"\xff"])
def test_what_a_folder_says_of_its_base_may_be_anything(origin):
    parts = parts_with(CHECKPOINT, has_base=True, origin=origin)
    with pytest.raises(ApiError) as found:
        of_folder(parts, FOLDER, "custom_model.gcs_uri")
    assert (found.value.status, "base-model.json cannot be read." in found.value.message) == ("INVALID_ARGUMENT", True)
