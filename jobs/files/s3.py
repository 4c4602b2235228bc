"""Files in a store that speaks S3: Amazon's, MinIO, Ceph and others. Needs boto3, the extra `s3`."""

import threading
from collections.abc import Iterator
from typing import IO, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from storages.backends.s3 import S3Storage

from .limits import Line, Patience
from .names import Stored
from .remote import CONTENT_TYPE, Found, RemoteFiles, Trouble

# Checksums only where they are required: other stores than Amazon's do not know how they are sent since 2025.
PLAIN = "when_required"
CONNECTIONS = 32


class S3Files(RemoteFiles, S3Storage):
    def __init__(self, *, place: str, patience: Patience | None = None, **options: Any) -> None:
        self.place, self.line, self.patience = place, Line(), patience or Patience()
        config = Config(
            connect_timeout=self.patience.connect, read_timeout=self.patience.silence, signature_version="s3v4",
            retries={"mode": "standard", "total_max_attempts": 2}, max_pool_connections=CONNECTIONS,
            s3={"addressing_style": "path" if options.get("endpoint_url") else "auto"},
            request_checksum_calculation=PLAIN, response_checksum_validation=PLAIN,
        )  # fmt: skip
        super().__init__(client_config=config, **options)
        self._making = threading.Lock()
        self._client = None

    @property
    def client(self) -> Any:
        """One for all threads; made within the limits of a call: to look for credentials may ask the network."""
        with self._making:
            if self._client is None:
                self._client = self._create_session().client(
                    "s3", region_name=self.region_name, endpoint_url=self.endpoint_url, config=self.client_config
                )
            return self._client

    def trouble_of(self, error: Exception) -> Trouble:
        if isinstance(error, ClientError):
            return self._trouble_told(error)
        if isinstance(error, NoCredentialsError | PartialCredentialsError):
            return Trouble.REFUSED
        return Trouble.AWAY if isinstance(error, BotoCoreError | TimeoutError | OSError) else Trouble.UNKNOWN

    def _trouble_told(self, error: ClientError) -> Trouble:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        by_status = {404: Trouble.MISSING, 401: Trouble.REFUSED, 403: Trouble.REFUSED, 412: Trouble.CHANGED}
        # 400 is what Amazon says to a wrong region or a malformed key.
        return by_status.get(status, Trouble.REFUSED if status == 400 else Trouble.AWAY)

    def key_of(self, name: str) -> str:
        return str(self._normalize_name(name))

    def look(self, key: str) -> Found:
        found = self.client.head_object(Bucket=self.bucket_name, Key=key)
        return Found(int(found["ContentLength"]), found["ETag"], found["LastModified"])

    def fetch(self, key: str, found: Found, start: int, size: int) -> bytes:
        wanted = f"bytes={start}-{start + size - 1}"
        answer = self.client.get_object(Bucket=self.bucket_name, Key=key, Range=wanted, IfMatch=found.version)
        with answer["Body"] as body:
            content: bytes = body.read(size)
        return content

    def send(self, key: str, content: IO[bytes], size: int) -> None:
        self.client.put_object(
            Bucket=self.bucket_name, Key=key, Body=content, ContentLength=size, ContentType=CONTENT_TYPE
        )

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.bucket_name, Key=key)

    def pages(self, prefix: str) -> Iterator[list[Stored]]:
        lister = self.client.get_paginator("list_objects_v2")
        for page in lister.paginate(Bucket=self.bucket_name, Prefix=prefix):
            yield [Stored(each["Key"], int(each["Size"]), each["LastModified"]) for each in page.get("Contents", ())]

    def require_bucket(self) -> None:
        self.client.list_objects_v2(Bucket=self.bucket_name, Prefix=self.location, MaxKeys=1)
