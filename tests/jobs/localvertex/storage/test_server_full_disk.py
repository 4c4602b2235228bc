"""Cloud Storage in a folder that holds 400 kB, seen by Google's client."""

import sys
from pathlib import Path

import pytest
from google.api_core.exceptions import GoogleAPICallError
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from tests.support.localservers import ROOT, child, free_port, wait_for

pytestmark = pytest.mark.fault("F20")
SMALL = 'mount -t tmpfs -o size=400k none "$1" && shift && exec "$@"'
FULL = 507


@pytest.fixture
def server(tmp_path):
    """Its process sees a file system of its own at the folder; the test sees it by way of the process."""
    port = free_port()
    (tmp_path / "disk").mkdir()
    program = [sys.executable, "-m", "jobs.localvertex.storage", "--data-dir", str(tmp_path / "disk")]
    command = ["unshare", "--map-root-user", "--mount", "sh", "-ec", SMALL, "sh", str(tmp_path / "disk"), *program]
    with child([*command, "--port", str(port)], tmp_path / "log", {"PYTHONPATH": str(ROOT)}) as process:
        address = {"api_endpoint": f"http://127.0.0.1:{port}"}
        client = storage.Client(project="p", credentials=AnonymousCredentials(), client_options=address)
        bucket = wait_for(lambda: client.create_bucket("garden", retry=None), process, tmp_path / "log")
        yield bucket, Path(f"/proc/{process.pid}/root{tmp_path}/disk")


def contents(bucket):
    return {blob.name: blob.download_as_bytes() for blob in bucket.list_blobs()}


def test_a_full_disk_changes_nothing_and_can_be_emptied(server):
    bucket, folder = server
    bucket.blob("kept").upload_from_string(b"k" * 100_000)
    for name in ("kept", "new"):
        with pytest.raises(GoogleAPICallError) as refused:
            bucket.blob(name).upload_from_string(b"n" * 400_000)
        assert refused.value.code == FULL
        assert "is full. Nothing was changed." in refused.value.message
    assert contents(bucket) == {"kept": b"k" * 100_000}
    assert list(folder.glob(".cloudstorage/_changing/*")) == []
    fill(folder)
    with pytest.raises(GoogleAPICallError):
        bucket.blob("small").upload_from_string(b"n" * 8192)
    bucket.blob("kept").delete()
    bucket.blob("small").upload_from_string(b"n" * 8192)
    assert contents(bucket) == {"small": b"n" * 8192}


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"f" * 4096)
        except OSError:
            return
