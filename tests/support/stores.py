"""Stores of files for tests: the folder, Google's client against the project's storage emulator, boto3 against moto."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
from django.conf import settings as at_first

from jobs.files.address import storage_of
from jobs.files.limits import Patience
from tests.support.localservers import child, free_port, storage_emulator, wait_for

BUCKET = "console-files"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_EC2_METADATA_DISABLED": "true"}


# On a machine that is busy with other tests, a server of this machine may take long.
LONG = Patience(connect=100.0, silence=100.0, ask=120.0, fetch=120.0, read=120.0)


def use(settings: Any, url: str, patience: Patience | None = None) -> None:
    """With pytest-django's `settings`, which puts it back."""
    storage = storage_of(url)
    if patience and url:
        storage = {**storage, "OPTIONS": {**storage["OPTIONS"], "patience": patience}}
    settings.STORAGES = {**at_first.STORAGES, "files": storage}


@contextmanager
def google_store(folder: Path) -> Iterator[str]:
    """Its FILES_URL."""
    with storage_emulator(folder) as address:
        made = httpx.post(f"{address}/storage/v1/b", json={"name": BUCKET}, params={"project": "p"}, trust_env=False)
        made.raise_for_status()
        yield f"gs://{BUCKET}/some/folder?endpoint_url={address}"


@contextmanager
def s3_store(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    address, log = f"http://127.0.0.1:{port}", folder / "s3.log"
    with child(command, log, KEYS) as process:
        wait_for(lambda: httpx.get(f"{address}/moto-api/data.json", trust_env=False), process, log)
        make_bucket(address)
        yield f"s3://{BUCKET}/some/folder?endpoint_url={address}&region=us-east-1"


def make_bucket(address: str) -> None:
    names = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=address, **names)
    client.create_bucket(Bucket=BUCKET)
    client.close()


def address_of(url: str) -> str:
    return urlsplit(url).query.partition("endpoint_url=")[2].partition("&")[0]
