"""The way to gRPC's server, while it begins."""

import asyncio
import contextlib
from typing import Any

from jobs.localvertex.grpc_api.backend import Backend


class Client:
    """As much of a transport as is asked for."""

    def get_extra_info(self, name: str) -> Any:
        return {"sockname": ("127.0.0.1", 9090)}.get(name)


async def nothing(*_: Any) -> None:
    return None


def test_a_first_client_that_leaves_at_once_is_no_harm_to_the_next():
    async def talk() -> None:
        client: Any = Client()
        backend = Backend(nothing)
        first = asyncio.create_task(backend.connect(client))
        await asyncio.sleep(0)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        end, forget = await asyncio.wait_for(backend.connect(client), 60)
        assert list(backend._hosts.values()) == ["127.0.0.1:9090"]
        forget()
        end.close()
        assert backend._hosts == {}
        await backend.stop()

    asyncio.run(talk())
