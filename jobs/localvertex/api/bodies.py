"""The body of a request: bounded, and JSON that can be answered in UTF-8."""

import json

from starlette.requests import Request

from jobs.localvertex.api.errors import invalid

LARGEST_BODY = 10 * 1024 * 1024


async def content_of(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > LARGEST_BODY:
            raise invalid(f"Request payload size exceeds the limit: {LARGEST_BODY} bytes.")
    return bytes(content)


def parse_body(content: bytes) -> object:
    if not content:
        return None
    try:
        body: object = json.loads(content)
        if b"\\u" in content:
            json.dumps(body, ensure_ascii=False).encode()  # half a character (a lone surrogate) has no UTF-8
        return body
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid JSON payload received. {error}") from None
