import pytest
from google.api_core.exceptions import BadRequest, Conflict, NotFound
from google.cloud import aiplatform_v1beta1 as vertex
from google.protobuf import field_mask_pb2

from tests.jobs.localvertex.servers import PARENT


def upload(server, model_id="", parent_model="", **fields):
    request = vertex.UploadModelRequest(parent=PARENT, model_id=model_id, parent_model=parent_model)
    request.model = vertex.Model(**{"display_name": "Mine", "artifact_uri": "gs://garden-local/x", **fields})
    return server.models.upload_model(request).result(timeout=10)


def versions(server, name):
    listed = server.models.list_model_versions(name=f"{PARENT}/models/{name}")
    return [(one.version_id, list(one.version_aliases)) for one in listed]


def test_upload_get_and_patch(server):
    made = upload(server, "uploaded", artifact_uri="gs://garden-local/x", labels={"a": "b"})
    assert (made.model, made.model_version_id) == (f"{PARENT}/models/uploaded", "1")
    model = server.models.get_model(name=made.model)
    assert (model.artifact_uri, list(model.version_aliases)) == ("gs://garden-local/x", ["default"])
    mask = field_mask_pb2.FieldMask(paths=["description"])
    changed = server.models.update_model(model={"name": made.model, "description": "Why"}, update_mask=mask)
    assert (changed.description, changed.display_name) == ("Why", "Mine")
    with pytest.raises(Conflict, match="was changed meanwhile"):
        server.models.update_model(model={"name": made.model, "etag": model.etag}, update_mask=mask)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"display_name": ""}, "display_name field is required"),
        ({"artifact_uri": "/tmp/x"}, "must be a Cloud Storage path"),
        ({"labels": {"A": "b"}}, "Label 'A'"),
        ({"encryption_spec": {"kms_key_name": "k"}}, "Encryption keys are not supported"),
        ({"version_aliases": ["1st"]}, "alias '1st' is invalid"),
        ({"artifact_uri": ""}, "One of container_spec and artifact_uri is required"),
    ],
)
def test_bad_uploads(server, fields, message):
    with pytest.raises(BadRequest, match=message):
        upload(server, **fields)


def test_ids(server):
    upload(server, "once")
    with pytest.raises(Conflict, match="models/once already exists"):
        upload(server, "once")
    with pytest.raises(BadRequest, match="model_id must have"):
        upload(server, "1x")


def test_versions_and_their_aliases(server):
    parent = upload(server, "versioned").model
    upload(server, parent_model=parent, version_aliases=["beta"], display_name="Second")
    assert versions(server, "versioned") == [("2", ["beta"]), ("1", ["default"])]
    assert server.models.get_model(name=f"{parent}@beta").display_name == "Second"
    assert server.models.get_model(name=f"{parent}@2").name == parent
    moved = server.models.merge_version_aliases(name=f"{parent}@2", version_aliases=["default", "live", "-beta"])
    assert (moved.version_id, list(moved.version_aliases)) == ("2", ["default", "live"])
    assert server.models.get_model(name=parent).version_id == "2"
    assert versions(server, "versioned") == [("2", ["default", "live"]), ("1", [])]
    server.models.delete_model_version(name=f"{parent}@1").result(timeout=10)
    assert upload(server, parent_model=parent).model_version_id == "3"
    assert [model.name for model in server.models.list_models(parent=PARENT)].count(parent) == 1


def test_new_version_may_become_the_default(server):
    parent = upload(server, "default-moves").model
    upload(server, parent_model=parent, version_aliases=["default"])
    assert versions(server, "default-moves") == [("2", ["default"]), ("1", [])]


def test_refused_changes_of_versions(server):
    parent = upload(server, "kept").model
    upload(server, parent_model=parent, version_aliases=["beta"])
    with pytest.raises(BadRequest, match="is the default version"):
        server.models.delete_model_version(name=f"{parent}@1")
    with pytest.raises(BadRequest, match="must have a version"):
        server.models.delete_model_version(name=parent)
    with pytest.raises(BadRequest, match="not taken away"):
        server.models.merge_version_aliases(name=parent, version_aliases=["-default"])
    with pytest.raises(NotFound):
        server.models.get_model(name=f"{parent}@9")
    with pytest.raises(Conflict, match="alias beta"):
        upload(server, parent_model=parent, version_aliases=["beta"])


def test_deleted_with_all_versions(server):
    parent = upload(server, "gone").model
    upload(server, parent_model=parent)
    server.models.delete_model(name=parent).result(timeout=10)
    with pytest.raises(NotFound):
        server.models.get_model(name=f"{parent}@2")
    assert upload(server, "gone").model_version_id == "1"


def test_versions_in_pages_and_order(server):
    parent = upload(server, "paged").model
    for _ in range(2):
        upload(server, parent_model=parent)
    request = vertex.ListModelVersionsRequest(name=parent, page_size=2, order_by="version_id")
    pages = [[one.version_id for one in page.models] for page in server.models.list_model_versions(request).pages]
    assert pages == [["1", "2"], ["3"]]


def test_checkpoints_of_a_tuned_model(server):
    tuned = server.until(server.create(server.job()).name, "SUCCEEDED").tuned_model.model
    found = server.models.list_model_version_checkpoints(name=tuned)
    assert [(one.checkpoint_id, one.epoch, one.step) for one in found] == [("1", 1, 4), ("2", 2, 8)]


def test_model_without_files_cannot_be_deployed(server):
    name = upload(server, "containers", artifact_uri="", container_spec={"image_uri": "x/y"}).model
    server.deployed("for-containers")
    deployed = vertex.DeployedModel(model=name, dedicated_resources={"min_replica_count": 1})
    with pytest.raises(BadRequest, match="Model server never became ready.* runs no containers"):
        server.endpoints.deploy_model(endpoint=f"{PARENT}/endpoints/for-containers", deployed_model=deployed)


def test_recommended_machines(server):
    done = server.until(server.create(server.job()).name, "SUCCEEDED")
    folder = server.models.get_model(name=done.tuned_model.model).artifact_uri
    request = vertex.RecommendSpecRequest(parent=PARENT, gcs_uri=folder, check_user_quota=True)
    reply = server.models.recommend_spec(request)
    assert reply.base_model == "publishers/local/models/tiny@tiny-gemma3"
    (one,) = reply.recommendations
    assert (one.region, one.spec.machine_spec.machine_type) == ("us-central1", "local-cpu")
    assert one.user_quota_state.name == "QUOTA_STATE_USER_HAS_QUOTA"
    with pytest.raises(BadRequest, match="empty or not there"):
        server.models.recommend_spec(vertex.RecommendSpecRequest(parent=PARENT, gcs_uri="gs://garden-local/none"))
