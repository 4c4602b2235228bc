"""The body of a request: bounded, perhaps packed, and JSON that can be answered in UTF-8. And that of a reply."""

import json
import zlib
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from jobs.localvertex.api.errors import ApiError, invalid
from jobs.localvertex.api.lenient import read_json, read_strict

LARGEST_BODY = 10 * 1024 * 1024
GZIP = zlib.MAX_WBITS | 16
NO = ("false", "0")


async def content_of(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise _too_large()
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding == "gzip":
        return _unpack(bytes(content))
    if coding != "identity":
        raise invalid(f"Invalid value for the header Content-Encoding: {coding!r}. Send gzip, or none.")
    return bytes(content)


def parse_body(content: bytes, *, leniently: bool = True) -> object:
    """`leniently` as Google's front end reads JSON; a model server takes the standard's only."""
    if not content:
        return None
    try:
        body = read_json(content) if leniently else read_strict(content)
        if b"\\u" in content:
            json.dumps(body, ensure_ascii=False).encode()  # half a character (a lone surrogate) has no UTF-8
        return body
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from None


def _unpack(content: bytes) -> bytes:
    """Never more than a body may have, whatever it would grow to."""
    reader = zlib.decompressobj(GZIP)
    try:
        body = reader.decompress(content, LARGEST_BODY + 1)
    except zlib.error as error:
        raise invalid(f"The request body is not gzip: {error}.") from None
    if len(body) > LARGEST_BODY:
        raise _too_large()
    if not reader.eof or reader.unused_data:
        raise invalid("The request body is not one whole gzip file.")
    return body


def _too_large() -> ApiError:
    return invalid(f"Request payload size exceeds the limit: {LARGEST_BODY} bytes.")


class PrettyResponse(JSONResponse):
    """Two spaces a level, `"key": value` and a last line break, as Google sends them: scripts look for lines."""

    media_type = "application/json; charset=UTF-8"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=2).encode() + b"\n"


def reply_of(request: Request, content: Any, code: int = 200) -> JSONResponse:
    """As small as it can be with `prettyPrint=false`."""
    query = request.query_params
    small = query.get("$prettyPrint", query.get("prettyPrint", "")).lower() in NO
    return (JSONResponse if small else PrettyResponse)(content, code, media_type=PrettyResponse.media_type)
