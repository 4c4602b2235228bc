import pytest

from jobs.vertex.errors import NotFound, Refused, Unavailable
from jobs.vertex.sdk import Gateway
from tests.support.misbehaving_server import answer, bad_server, drop, error

NO_RIGHT = "ann@example.com does not have storage.objects.create access to the Google Cloud Storage object."


def storage(monkeypatch, server):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.address)
    return Gateway().storage


def test_missing_rights_are_named(monkeypatch):
    with bad_server(answer(200, {"permissions": ["storage.objects.list"]})) as server:
        problem = storage(monkeypatch, server).problem_with_output("gs://my-bucket/out")
    assert "storage.objects.create is missing" in problem


def test_a_forbidden_upload_says_what_to_run(monkeypatch, tmp_path):
    (tmp_path / "a").write_text("a")
    with bad_server(error(403, "PERMISSION_DENIED", NO_RIGHT)) as server, pytest.raises(Refused) as caught:
        storage(monkeypatch, server).upload(tmp_path / "a", "gs://my-bucket/a")
    assert "add-iam-policy-binding gs://my-bucket --member=user:ann@example.com" in str(caught.value)


def test_a_broken_upload_is_sent_once(monkeypatch, tmp_path):
    (tmp_path / "a").write_text("a")
    with bad_server(drop) as server, pytest.raises(Unavailable):
        storage(monkeypatch, server).upload(tmp_path / "a", "gs://my-bucket/a")
    assert server.posts() == ["/upload/storage/v1/b/my-bucket/o"]


def test_storage_that_is_down_is_no_problem_with_the_output(monkeypatch):
    with bad_server(error(503, "UNAVAILABLE")) as server, pytest.raises(Unavailable):
        storage(monkeypatch, server).problem_with_output("gs://my-bucket/out")


def test_an_address_of_another_kind():
    with pytest.raises(Refused):
        Gateway().storage.is_empty("/etc/passwd")


def test_bytes_that_were_written_anew_are_not_read(monkeypatch):
    with bad_server(error(412, "FAILED_PRECONDITION")) as server, pytest.raises(NotFound, match="was written anew"):
        storage(monkeypatch, server).read_range("gs://my-bucket/a", 0, 4, "7")


# As the JSON API of Cloud Storage documents them.
BUCKET = {"kind": "storage#bucket", "id": "my-bucket", "name": "my-bucket", "location": "EUROPE-WEST4"}
AGENT = "serviceAccount:service-42@gcp-sa-aiplatform.iam.gserviceaccount.com"
POLICY = {
    "kind": "storage#policy",
    "version": 3,
    "etag": "CAE=",
    "bindings": [
        {"role": "roles/storage.objectUser", "members": [AGENT]},
        {"role": "roles/storage.objectAdmin", "members": ["user:ann@example.com"],
         "condition": {"title": "expires", "expression": "request.time < timestamp('2026-12-01T00:00:00Z')"}},
    ],
}  # fmt: skip


def test_where_a_bucket_lies(monkeypatch):
    with bad_server(answer(200, BUCKET)) as server:
        assert storage(monkeypatch, server).bucket_location("gs://my-bucket/out") == "europe-west4"
    with bad_server(error(404, "NOT_FOUND")) as server, pytest.raises(NotFound):
        storage(monkeypatch, server).bucket_location("gs://my-bucket/out")


def test_who_has_which_role_without_what_holds_under_a_condition_only(monkeypatch):
    with bad_server(answer(200, POLICY)) as server:
        found = storage(monkeypatch, server).members_by_role("gs://my-bucket/out")
    assert found == {"roles/storage.objectUser": [AGENT]}
    # Google's client may look at the bucket beside it.
    assert any(request.path.startswith("/storage/v1/b/my-bucket/iam?") for request in server.requests)
