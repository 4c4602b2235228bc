"""A file that can be taken in parts: a download that was cut off goes on where it was (RFC 9110, section 14)."""

import io
import re
from typing import IO

from django.http import FileResponse, HttpResponse
from django.utils.http import content_disposition_header

from console.web.http import ConsoleRequest

RANGE = re.compile(r"bytes=(?:(\d{1,19})-(\d{0,19})|-(\d{1,19}))")
BUFFER = 4 * 2**20


def send_parts(request: ConsoleRequest, content: io.RawIOBase, name: str, etag: str) -> HttpResponse | FileResponse:
    """`etag`: different bytes have a different one. The content is closed with the response."""
    size = content.seek(0, io.SEEK_END)
    wanted = asked_part(request, size, f'"{etag}"')
    if wanted == (0, 0) and size:
        content.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    start, end = wanted or (0, size)
    content.seek(start)
    file: IO[bytes] = io.BufferedReader(content, BUFFER)
    response = FileResponse(file, content_type="application/octet-stream", status=206 if wanted else 200)
    response["Content-Length"] = str(end - start)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["Accept-Ranges"], response["ETag"] = "bytes", f'"{etag}"'
    if wanted:
        response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response


def asked_part(request: ConsoleRequest, size: int, etag: str) -> tuple[int, int] | None:
    """From and until, the end not included. None: all of it, also when what was begun is something else by now, or
    several parts are asked for. (0, 0): there is no such part."""
    found = RANGE.fullmatch(request.headers.get("Range", "").strip())
    if not found or request.headers.get("If-Range", etag) != etag:
        return None
    first, last, tail = found.groups()
    start = max(0, size - int(tail)) if tail else int(first)
    end = min(size, int(last) + 1) if last else size
    return (start, end) if start < end else (0, 0)
