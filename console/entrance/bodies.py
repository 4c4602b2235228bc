"""Takes in the bodies of requests, within limits of size and time, before a thread is taken for them."""

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final, cast

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse
from django.utils import translation
from django.utils.functional import Promise, lazy
from django.utils.translation import gettext_lazy as _
from django_htmx.middleware import HtmxDetails

from console.web.http import HtmxRequest
from console.web.middleware import SECURITY_HEADERS, refusal
from console.web.streams import Receive, Scope, Send

from .limits import KILOBYTE, MEGABYTE, SILENT_SECONDS, SLOWEST_PACE, Account

# What is read of a body that is refused: a browser shows an answer only once it has sent everything.
DRAINED_BYTES: Final = 1024 * MEGABYTE
DRAINED_SECONDS: Final = 60
# The same for one who has not signed in; a browser that sends more shows an error of its own.
DRAINED_OF_STRANGERS: Final = 64 * KILOBYTE
BUSY: Final = _("You have too many requests in progress. Wait a few seconds, then try again.")
LATE: Final = _("The request took too long to arrive. Try again.")
NO_ROOM: Final = _("The server can't accept this request right now. Try again in a minute.")
# Apart from the threads of the pages, and one: refusing may not cost much.
refuser = ThreadPoolExecutor(1, "refusal")


@dataclass(frozen=True)
class Limit:
    """Bytes that one request may have, and what to do when there are more."""

    size: int
    remedy: str | Promise

    @property
    def text(self) -> str | Promise:
        """In the language of whoever it is shown to."""
        return lazy(self._sentences, str)()

    def _sentences(self) -> str:
        size = f"{self.size // MEGABYTE} MB" if self.size >= MEGABYTE else f"{self.size // KILOBYTE} KB"
        sentence = _("This request is larger than the maximum of %(size)s.") % {"size": size}
        remedy = self.remedy % {"dataset": f"{settings.DATASET_MAX_BYTES // MEGABYTE} MB"}
        return f"{sentence} {remedy}"


BODY_LIMIT: Final = Limit(64 * KILOBYTE, _("Shorten the text and try again."))
UPLOAD_LIMIT: Final = Limit(
    60 * MEGABYTE, _("A dataset can have up to %(dataset)s. Split the file or remove rows, then upload it again.")
)
BODY_LIMITS: Final = {
    "/datasets/": UPLOAD_LIMIT,
    "/tuning/drafts/": UPLOAD_LIMIT,
    "/studio/": Limit(12 * MEGABYTE, _("Shorten the text or choose smaller images, then send it again.")),
}


def body_limit(path: str, is_signed_in: bool) -> Limit:
    if not is_signed_in:
        return BODY_LIMIT
    return next((limit for prefix, limit in BODY_LIMITS.items() if path.startswith(prefix)), BODY_LIMIT)


def header(scope: Scope, wanted: bytes) -> bytes:
    return next((value for name, value in scope["headers"] if name == wanted), b"")


def declared_length(scope: Scope) -> int | None:
    """None: it is sent in chunks, as long as it lasts."""
    if header(scope, b"transfer-encoding"):
        return None
    value = header(scope, b"content-length")
    return int(value) if value.isdigit() else 0


class Refused(Exception):
    """The status and the sentence that the client gets. `drained`: bytes still read, so that it sees them."""

    def __init__(self, status: int, text: str | Promise, drained: int = 0) -> None:
        super().__init__(text)
        self.status, self.text, self.drained = status, text, drained


def too_large(limit: Limit, is_signed_in: bool) -> Refused:
    return Refused(413, limit.text, DRAINED_BYTES if is_signed_in else DRAINED_OF_STRANGERS)


class Gone(Exception):
    """The client left."""


async def collect(receive: Receive, limit: Limit, kept: IO[bytes], account: Account, is_signed_in: bool) -> int:
    """All of the body, whose length is returned. Raises Refused, Gone, limits.Full."""
    size, more, began = 0, True, asyncio.get_running_loop().time()
    while more:
        try:
            message = await asyncio.wait_for(receive(), SILENT_SECONDS)
        except TimeoutError:
            raise Refused(408, LATE) from None
        if message["type"] == "http.disconnect":
            raise Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit.size:
            raise too_large(limit, is_signed_in)
        if asyncio.get_running_loop().time() - began > SILENT_SECONDS + size / SLOWEST_PACE:
            raise Refused(408, LATE)
        account.take(len(chunk))
        _write(kept, chunk)
        more = message.get("more_body", False)
    kept.seek(0)
    return size


def _write(kept: IO[bytes], chunk: bytes) -> None:
    try:
        kept.write(chunk)
    except OSError as error:
        raise Refused(503, NO_ROOM, DRAINED_OF_STRANGERS) from error


def render_refusal(scope: Scope, refused: Refused) -> HttpResponse:
    """As every refusal looks, in the language of the browser; who is asking was not found out."""
    request = cast(HtmxRequest, ASGIRequest(dict(scope), io.BytesIO()))
    request.htmx = HtmxDetails(request)
    with translation.override(translation.get_language_from_request(request)):
        response = refusal(request, str(refused.text), refused.status)
    for name, value in {**SECURITY_HEADERS, "Cache-Control": "no-store", "Connection": "close"}.items():
        response[name] = value
    if refused.status == 503:
        response["Retry-After"] = "5"
    response["Content-Length"] = str(len(response.content))
    return response


async def refuse(scope: Scope, refused: Refused, send: Send, receive: Receive) -> None:
    """Answers at once, and reads what is still coming before the connection is closed: else the answer is lost."""
    loop = asyncio.get_running_loop()
    response = await loop.run_in_executor(refuser, render_refusal, scope, refused)
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.content, "more_body": True})
    if refused.drained:
        with suppress(TimeoutError):
            await asyncio.wait_for(drain(receive, refused.drained), DRAINED_SECONDS)
    await send({"type": "http.response.body", "body": b""})


async def drain(receive: Receive, left: int) -> None:
    more = True
    while more and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        more = message.get("more_body", False)
