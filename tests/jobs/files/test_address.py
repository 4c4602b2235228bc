import re
from pathlib import Path

import pytest

from jobs.files.address import FOLDER, place_of, storage_of, why_not_beside

EXAMPLES = "gs://my-bucket/console or s3://my-bucket/console?endpoint_url=https://s3.example.com"
NO_ADDRESS = f"FILES_URL must be a bucket and a folder of plain letters; write for example {EXAMPLES}."


def test_without_an_address_there_is_the_folder() -> None:
    assert (storage_of(""), place_of(storage_of(""))) == (FOLDER, "")


def test_google(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text("{}")
    storage = storage_of(f"gs://my-bucket/some/folder/?credentials={key}")
    assert storage["OPTIONS"] == {
        "place": "gs://my-bucket/some/folder", "bucket_name": "my-bucket", "location": "some/folder",
        "endpoint_url": None, "credentials_file": str(key),
    }  # fmt: skip
    assert place_of(storage_of("gs://my-bucket")) == "gs://my-bucket"


def test_s3() -> None:
    storage = storage_of("s3://my-bucket/console?endpoint_url=http://minio:9000/&region=eu-central-1")
    assert storage["OPTIONS"] == {
        "place": "s3://my-bucket/console", "bucket_name": "my-bucket", "location": "console",
        "endpoint_url": "http://minio:9000", "region_name": "eu-central-1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "/srv/files",
            f"FILES_URL must begin with gs:// or s3://, such as {EXAMPLES}. Leave it empty to keep files in the data "
            "directory.",
        ),
        ("s3://key:secret@bucket/x", "FILES_URL must not hold a key or a password; docs/containers.md says where credentials go."),  # noqa: E501
        ("gs://[", f"FILES_URL is not an address; write for example {EXAMPLES}."),
        ("gs://", NO_ADDRESS), ("gs://Bucket", NO_ADDRESS), ("gs://bucket/../x", NO_ADDRESS),
        ("gs://bucket/a//b", NO_ADDRESS),
        ("gs://bucket/a%2e", NO_ADDRESS), ("gs://bucket:80/a", NO_ADDRESS), ("gs://bucket/a#b", NO_ADDRESS),
        ("gs://bucket?acl=public", "FILES_URL has 'acl'; after ? it may have credentials and endpoint_url for gs://."),
        ("gs://bucket?credentials=/nowhere/key.json", "FILES_URL: the credentials file /nowhere/key.json is not there or cannot be read by this user."),  # noqa: E501
        ("s3://bucket?endpoint_url=minio", "FILES_URL: endpoint_url must look like https://s3.example.com or http://minio:9000."),  # noqa: E501
        ("s3://bucket?endpoint_url=http://a:b@c", "FILES_URL: endpoint_url must look like https://s3.example.com or http://minio:9000."),  # noqa: E501
        ("s3://bucket?endpoint_url=http://c:x", "FILES_URL: endpoint_url must look like https://s3.example.com or http://minio:9000."),  # noqa: E501
        ("s3://bucket?region=Europe!", "FILES_URL: region must look like eu-central-1."),
    ],
)  # fmt: skip
def test_a_bad_one_is_told_and_no_secret_with_it(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        storage_of(url)


@pytest.mark.threat("T13")
@pytest.mark.parametrize(
    ("place", "is_good"),
    [
        ("gs://jobs/console", True), ("gs://other", True), ("s3://jobs/datasets", True), ("", True),
        ("gs://jobs", False), ("gs://jobs/datasets", False), ("gs://jobs/datasets/x", False),
        ("gs://jobs/tuning", False),
    ],
)  # fmt: skip
def test_it_lies_apart_from_what_people_may_read(place: str, is_good: bool) -> None:
    assert (why_not_beside(place, "gs://jobs") == "") == is_good
    assert why_not_beside(place, "") == ""
