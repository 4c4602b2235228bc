"""Who asks, where a proxy stands between: only the proxies that the settings name are believed."""

from typing import Any, Final

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from console.web.streams import Receive, Scope, Send

CLAIMS: Final = (b"forwarded", b"x-real-ip")
CLAIM_PREFIX: Final = b"x-forwarded-"


class TrustedProxies:
    """From everybody else, what a proxy would say of its client is taken away before anything reads it. The server
    itself must not read it either: uvicorn runs with `--no-proxy-headers`."""

    def __init__(self, app: Any, trusted: list[str]) -> None:
        self.app, self.believing = app, ProxyHeadersMiddleware(app, trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self.is_trusted(scope):
            await self.believing(scope, receive, send)  # type: ignore[arg-type]
            return
        scope["headers"] = [(name, value) for name, value in scope["headers"] if not is_claim(name)]
        await self.app(scope, receive, send)

    def is_trusted(self, scope: Scope) -> bool:
        host, _port = scope.get("client") or ("", 0)
        return host in self.believing.trusted_hosts


def is_claim(name: bytes) -> bool:
    """Also with `_`, which WSGI cannot tell from `-`."""
    plain = name.lower().replace(b"_", b"-")
    return plain in CLAIMS or plain.startswith(CLAIM_PREFIX)
