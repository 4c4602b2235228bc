"""What is no request that a browser or a proper proxy would send never reaches the pages."""

from console.web.streams import Scope

from . import limits


def why_not_serve(scope: Scope) -> tuple[int, str] | None:
    """The status and a sentence for who sent it, or None."""
    names = [name for name, _ in scope["headers"]]
    size = sum(len(name) + len(value) for name, value in scope["headers"])
    if len(names) > limits.HEADERS or size + len(scope["raw_path"]) > limits.HEADER_BYTES:
        return 431, "The request has too many headers, or too long ones."
    if not scope["path"].startswith("/"):
        return 400, "The address has to begin with a slash."
    if b"transfer-encoding" in names and b"content-length" in names:
        return 400, "A request has a length, or is sent in chunks, not both."
    return None


def clean(scope: Scope) -> None:
    """To Django `X_Forwarded_For` and `X-Forwarded-For` are one header, and a proxy guards only the second."""
    headers = [(name, value) for name, value in scope["headers"] if b"_" not in name]
    cookies = [value for name, value in headers if name == b"cookie"]
    if len(cookies) > 1:
        headers = [(name, value) for name, value in headers if name != b"cookie"]
        headers.append((b"cookie", b"; ".join(cookies)))
    scope["headers"] = headers
