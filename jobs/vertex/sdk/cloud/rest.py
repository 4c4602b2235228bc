"""Plain JSON over REST, for services of Google Cloud of which the console needs a call or two.

On a local run all of them answer at the address of the local server. No answer is read for longer, or in more bytes,
than it may take.
"""

import json
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from django.conf import settings
from google.api_core.exceptions import from_http_response
from google.auth.transport.requests import AuthorizedSession

from jobs.text.deferred import gettext as _
from jobs.vertex.errors import Unavailable
from jobs.vertex.sdk import clients
from jobs.vertex.sdk.translate import translate_errors

MOST_BYTES = 8 * 2**20
PIECE = 2**16

Query = Sequence[tuple[str, str]]


def ask(
    method: str, service: str, path: str, body: Mapping[str, Any] | None = None, query: Query = (),
    *, most: int = MOST_BYTES, seconds: float | None = None, headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """`service` as in `logging`. Raises VertexError, also for an answer of more than `most` bytes or one that takes
    longer than `seconds`, which are those of every read unless told."""
    seconds = seconds or settings.VERTEX_READ_SECONDS
    base = settings.VERTEX_API_ENDPOINT or f"https://{service}.googleapis.com"
    until = time.monotonic() + seconds
    with (
        translate_errors(),
        _session().request(  # type: ignore[no-untyped-call]
            method, f"{base}/{path}", json=body, params=list(query), timeout=seconds, headers=headers,
            allow_redirects=False, stream=True,
        ) as answer,
    ):  # fmt: skip
        answer._content = _read(answer, until, most)
        if answer.status_code != 200:
            raise from_http_response(answer)  # type: ignore[no-untyped-call]
        found = json.loads(answer._content)
    return found if isinstance(found, dict) else {}


def _read(answer: Any, until: float, most: int) -> bytes:
    """As it comes: to wait for a whole piece, one that drips would be waited for as long as it likes."""
    content = bytearray()
    while part := answer.raw.read1(PIECE, decode_content=True):
        content += part
        if len(content) > most:
            raise Unavailable(_("Google Cloud answered with more than %d bytes.") % most, "UNAVAILABLE")
        if time.monotonic() > until:
            raise Unavailable(_("Google Cloud did not answer in time."), "DEADLINE_EXCEEDED")
    return bytes(content)


@cache
def _session() -> AuthorizedSession:
    session = AuthorizedSession(clients.credentials())  # type: ignore[no-untyped-call]
    clients.harden(session)
    return session
