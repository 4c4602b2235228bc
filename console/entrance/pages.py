"""Runs Django in a few threads. A thread is taken once the whole request is here, and is free as soon as its answer
is made, however slowly the client sent the one and takes the other."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO, Any

from a2wsgi.wsgi import build_environ

from console.web.middleware import PERSON
from console.web.streams import Receive, Scope, Send

from . import limits
from .answers import Answer, FileWrapper, Headers, Spool, send_answer
from .limits import Account, Full, Ledger
from .threads import Lanes, Work


class Pages:
    """`django`: the WSGI application. `lanes` have the threads and their number. `seconds`: for how long an answer is
    waited for, if not for ever; its thread is at it until it ends. `work` tells whether the threads hang."""

    def __init__(
        self,
        django: Any,
        ledger: Ledger,
        lanes: Lanes | None = None,
        seconds: float | None = None,
        name: str = "page",
        work: Work | None = None,
    ) -> None:
        self.django, self.ledger, self.lanes, self.seconds = django, ledger, lanes or Lanes(), seconds
        self.executor = ThreadPoolExecutor(self.lanes.threads, name)
        self.work = work or Work()

    async def __call__(
        self, scope: Scope, body: IO[bytes], client: str, receive: Receive, send: Send, made: Callable[[], object]
    ) -> str:
        """`made` is called when the request's body is not needed any more. Returns whose session it was, if anybody's.

        Raises Full, before anything was sent, when too many of this client's requests wait for a thread, too much of
        what was made for it has not been taken, or the answer takes too long.
        """
        loop = asyncio.get_running_loop()
        environ = {**build_environ(scope, body), "wsgi.file_wrapper": FileWrapper}  # type: ignore[arg-type]
        await self.lanes.enter(client)
        begun: asyncio.Future[Answer] = loop.create_future()
        account = Account(self.ledger, client)
        spool_for = partial(Spool, loop, account)
        job = partial(contextvars.copy_context().run, self._make, environ, spool_for, partial(announce, loop, begun))
        making = loop.run_in_executor(self.executor, job)
        making.add_done_callback(lambda _: self.lanes.leave(client))
        making.add_done_callback(lambda _: made())
        done, _ = await asyncio.wait((making, begun), timeout=self.seconds, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise Full
        answer = begun.result() if begun.done() else making.result()
        assert answer is not None
        try:
            if isinstance(answer.body, bytes) and answer.body:
                account.take(len(answer.body), is_small=len(answer.body) <= limits.SMALL_ANSWER)
            await send_answer(answer, receive, send)
        finally:
            account.close()
        return str(environ.get(PERSON, ""))

    def _make(self, *arguments: Any) -> Answer | None:
        with self.work.one_page():
            return self._answer(*arguments)

    def _answer(
        self, environ: dict[str, Any], spool_for: Callable[[], Spool], begin: Callable[[Answer], None]
    ) -> Answer | None:
        """None: the answer was handed over before it was all there."""
        head: list[tuple[int, Headers]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            head.append((int(status[:3]), [(_encode(name).lower(), _encode(value)) for name, value in headers]))

        response = self.django(environ, start_response)
        if environ["REQUEST_METHOD"] == "HEAD":
            response.close()
            return Answer(*head[0], b"")
        if isinstance(response, FileWrapper):
            return Answer(*head[0], response)
        if not response.streaming:
            try:
                return Answer(*head[0], b"".join(response))
            finally:
                response.close()
        spool = spool_for()
        begin(Answer(*head[0], spool))
        spool.fill(response)
        return None


def _encode(text: str) -> bytes:
    return text.strip().encode("latin-1")


def announce(loop: asyncio.AbstractEventLoop, begun: "asyncio.Future[Answer]", answer: Answer) -> None:
    """From another thread."""
    loop.call_soon_threadsafe(lambda: None if begun.done() else begun.set_result(answer))


def watchers(django: Any, ledger: Ledger) -> Pages:
    """For what asks how the console is."""
    lanes = Lanes(limits.WATCH_THREADS, limits.WATCH_THREADS_PER_CLIENT, seconds=limits.WATCH_SECONDS)
    return Pages(django, ledger, lanes, limits.WATCH_SECONDS, "watch")
