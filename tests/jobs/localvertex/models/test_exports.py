import json

import pytest
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud.aiplatform_v1beta1.types import ExportPublisherModelResponse

from jobs.localvertex.api.wire import Operation
from jobs.localvertex.models.exports import NOTE, size_in_half
from jobs.localvertex.store import Store
from tests.jobs.localvertex.servers import BUCKET, PARENT, TINY, TINY_NAME, wait_for


def export(server, name=TINY_NAME, folder="exported"):
    destination = {"output_uri_prefix": f"gs://{BUCKET}/{folder}"}
    return server.garden.export_publisher_model({"parent": PARENT, "name": name, "destination": destination})


def test_the_files_of_a_base_model_go_to_the_bucket(server):
    operation = export(server).operation.name
    done = wait_for(lambda: server.finished(operation), server.log)
    response = ExportPublisherModelResponse.pb()()
    assert (done.error.message, done.response.Unpack(response)) == ("", True)
    assert (response.publisher_model, response.destination_uri) == (TINY_NAME, f"gs://{BUCKET}/exported")
    assert "config.json" in server.stored("exported/")
    assert [name for name in server.stored("exported/") if name.endswith(".gguf")] == []


def test_a_bucket_that_is_not_there_is_named(server):
    destination = {"output_uri_prefix": "gs://no-such-bucket-zz/x"}
    request = {"parent": PARENT, "name": TINY_NAME, "destination": destination}
    operation = server.garden.export_publisher_model(request).operation.name
    error = wait_for(lambda: server.finished(operation), server.log).error.message
    assert "no-such-bucket-zz" in error


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("publishers/google/models/none@none", NotFound, "does not exist"),
        ("publishers/google/models/gemma3@gemma-3-27b-it", BadRequest, "no weights on this machine"),
    ],
)
def test_what_cannot_be_exported_is_refused_at_once(server, name, kind, reason):
    with pytest.raises(kind, match=reason):
        export(server, name)
    with pytest.raises(BadRequest, match="The destination field is required"):
        server.garden.export_publisher_model({"parent": PARENT, "name": TINY_NAME})


def header(**shapes):
    text = json.dumps({name: {"dtype": "F32", "shape": shape} for name, shape in shapes.items()}).encode()
    return len(text).to_bytes(8, "little") + text


def test_the_size_of_a_whole_model_is_that_of_half_its_f32(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(header(a=[10, 20], b=[3]) + bytes(203 * 4))
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.gguf").write_text("GGUF")
    assert size_in_half(tmp_path) == len(header(a=[10, 20], b=[3])) + 203 * 2 + 2


@pytest.mark.parametrize("content", [b"", b"\xff" * 20, b"\x02\0\0\0\0\0\0\0[]", header(a=[1])[:-3]])
def test_of_weights_that_cannot_be_read_there_is_no_size(tmp_path, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    assert size_in_half(tmp_path) == 0


@pytest.mark.slow
def test_an_export_that_a_restart_cut_off_goes_on(own_server):
    own_server.start()
    own_server.stop()
    name = f"{PARENT}/operations/7"
    asked = {"model": TINY, "name": TINY_NAME, "destination": f"gs://{BUCKET}/exported-later"}
    store = Store(own_server.data / "vertex.sqlite3")
    store.insert(Operation(name=name))
    store.write_note(name, **{NOTE: asked})
    store.close()
    own_server.start()
    assert wait_for(lambda: own_server.finished(name), own_server.log).error.message == ""
    assert "config.json" in own_server.stored("exported-later/")
