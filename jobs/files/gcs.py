"""Files in Google Cloud Storage."""

import threading
from collections.abc import Iterator
from typing import IO, Any

import google.auth
import requests
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import (
    Forbidden,
    GoogleAPICallError,
    NotFound,
    PreconditionFailed,
    RetryError,
    Unauthorized,
)
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage import Client
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2.service_account import Credentials
from storages.backends.gcloud import GoogleCloudStorage

from .limits import Line, Patience
from .names import Stored
from .remote import CONTENT_TYPE, Found, RemoteFiles, Trouble

GOOGLE = "https://storage.googleapis.com"
SCOPES = ["https://www.googleapis.com/auth/devstorage.read_write"]
# A multiple of 256 KiB; so much of a large upload is in memory at once.
CHUNK = 4 * 1024 * 1024
PAGE = 1000


def _limits(patience: Patience) -> dict[str, Any]:
    """As each method of Google's client takes them."""
    retry = DEFAULT_RETRY.with_delay(initial=0.2, maximum=1.0, multiplier=2.0).with_timeout(patience.retry)
    return {"timeout": (patience.connect, patience.silence), "retry": retry}


def _service_account(file: str) -> Any:
    try:
        return Credentials.from_service_account_file(file, scopes=SCOPES)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise GoogleAuthError(f"{file} is no key of a service account") from error  # type: ignore[no-untyped-call]


class GoogleFiles(RemoteFiles, GoogleCloudStorage):
    def __init__(
        self,
        *,
        place: str,
        endpoint_url: str | None,
        credentials_file: str,
        patience: Patience | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.place, self.line, self.patience = place, Line(), patience or Patience()
        self._limits = _limits(self.patience)
        self._endpoint, self._file = endpoint_url, credentials_file
        self._making = threading.Lock()
        self._client: Any = None

    @property
    def client(self) -> Any:
        """Made when it is needed, within the limits of a call: to look for credentials may ask the network."""
        with self._making:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def _make_client(self) -> Any:
        """STORAGE_EMULATOR_HOST is where jobs have their `gs://`; these files are where FILES_URL says."""
        if not self._endpoint:
            google = ClientOptions(api_endpoint=GOOGLE)
            return Client(project="none", credentials=self._credentials(), client_options=google)
        anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
        made = Client(project="none", credentials=anonymous, client_options=ClientOptions(api_endpoint=self._endpoint))
        made._http.trust_env = False
        return made

    def _credentials(self) -> Any:
        if self._file:
            return _service_account(self._file)
        return google.auth.default(scopes=SCOPES)[0]

    def trouble_of(self, error: Exception) -> Trouble:
        if isinstance(error, RetryError) and isinstance(error.cause, Exception):
            return self.trouble_of(error.cause)
        if isinstance(error, NotFound):
            return Trouble.MISSING
        if isinstance(error, Forbidden | Unauthorized | GoogleAuthError):
            return Trouble.AWAY if getattr(error, "retryable", False) else Trouble.REFUSED
        if isinstance(error, PreconditionFailed):
            return Trouble.CHANGED
        away = isinstance(error, GoogleAPICallError | requests.RequestException | TimeoutError | ConnectionError)
        return Trouble.AWAY if away else Trouble.REFUSED if isinstance(error, OSError) else Trouble.UNKNOWN

    def key_of(self, name: str) -> str:
        return str(self._normalize_name(name))

    def look(self, key: str) -> Found:
        blob = self.bucket.get_blob(key, **self._limits)
        if blob is None:
            raise NotFound(key)  # type: ignore[no-untyped-call]
        return Found(int(blob.size), blob.generation, blob.updated)

    def fetch(self, key: str, found: Found, start: int, size: int) -> bytes:
        content: bytes = self.bucket.blob(key).download_as_bytes(
            start=start, end=start + size - 1, if_generation_match=found.version, raw_download=True, checksum=None,
            **self._limits,
        )  # fmt: skip
        return content

    def send(self, key: str, content: IO[bytes], size: int) -> None:
        blob = self.bucket.blob(key, chunk_size=CHUNK)
        blob.upload_from_file(content, size=size, rewind=True, content_type=CONTENT_TYPE, **self._limits)

    def remove(self, key: str) -> None:
        self.bucket.delete_blob(key, **self._limits)

    def pages(self, prefix: str) -> Iterator[list[Stored]]:
        found = self.client.list_blobs(self.bucket_name, prefix=prefix, page_size=PAGE, **self._limits)
        for page in found.pages:
            yield [Stored(blob.name, int(blob.size), blob.updated) for blob in page]

    def require_bucket(self) -> None:
        list(self.client.list_blobs(self.bucket_name, prefix=self.location, max_results=1, **self._limits))
