import asyncio
import io
import threading
import time
from functools import partial
from typing import Any

import pytest
from django.http import FileResponse, HttpResponse, StreamingHttpResponse

from console.entrance import limits
from console.entrance.limits import Full, Ledger
from console.entrance.pages import Pages
from console.entrance.threads import Work

SCOPE = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/", "query_string": b"",
         "headers": [], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)}  # fmt: skip


class Client:
    """One request: what was sent to it. It takes what comes when it is `ready`, and stays until it is `leaving`."""

    def __init__(self) -> None:
        self.status, self.body, self.has_ended, self.size = 0, b"", False, 0
        self.ready, self.leaving = asyncio.Event(), asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.ready.wait()
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")
        self.has_ended = message["type"] == "http.response.body" and not message.get("more_body")


def pages_of(response: Any, ledger: Ledger | None = None, work: Work | None = None) -> Pages:
    def django(environ: Any, start_response: Any) -> Any:
        made = response()
        start_response("200 OK", list(made.items()))
        file = getattr(made, "file_to_stream", None)
        return environ["wsgi.file_wrapper"](file) if file else made

    return Pages(django, ledger or Ledger(), work=work)


async def ask(pages: Pages, client: Client, name: str = "somebody", method: str = "GET") -> str:
    scope = {**SCOPE, "method": method}
    return await pages(scope, io.BytesIO(), name, client.receive, client.send, lambda: None)


def answered(response: Any, method: str = "GET", **options: Any) -> Client:
    async def play() -> Client:
        client = Client()
        client.ready.set()
        await ask(pages_of(response, **options), client, method=method)
        return client

    return asyncio.run(play())


def rows(count: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(b"%d\n" % number for number in range(count))


@pytest.mark.parametrize(
    ("response", "body"),
    [
        (lambda: HttpResponse("x" * 600_000), b"x" * 600_000),
        (lambda: FileResponse(io.BytesIO(b"y" * 600_000)), b"y" * 600_000),
        (lambda: rows(1000), b"".join(b"%d\n" % number for number in range(1000))),
        (lambda: HttpResponse(""), b""),
    ],
    ids=["page", "file", "rows", "nothing"],
)
def test_an_answer_of_each_kind_arrives_whole(response, body):
    client = answered(response)
    assert (client.status, client.body, client.has_ended) == (200, body, True)


@pytest.mark.threat("T12")
def test_no_thread_waits_for_clients_that_take_nothing():
    """Thirty, for ten threads, and another client's page is made all the same."""

    async def play() -> tuple[bytes, list[bool]]:
        pages = pages_of(lambda: rows(1000))
        slow = [Client() for _ in range(30)]
        tasks = [asyncio.create_task(ask(pages, client, f"slow {number}")) for number, client in enumerate(slow)]
        other = Client()
        other.ready.set()
        async with asyncio.timeout(10):
            await ask(pages, other, "other")
        unfinished = [not client.has_ended for client in slow]
        for client in slow:
            client.ready.set()
        await asyncio.gather(*tasks)
        return other.body, unfinished

    body, unfinished = asyncio.run(play())
    assert (body.count(b"\n"), unfinished) == (1000, [True] * 30)


@pytest.mark.threat("T12")
def test_one_client_never_has_all_threads():
    gate = threading.Event()
    inside: list[int] = []

    def page() -> HttpResponse:
        inside.append(1)
        gate.wait(10)
        return HttpResponse("x")

    async def play() -> tuple[int, int]:
        pages = pages_of(page)
        greedy = [asyncio.create_task(ask(pages, ready(Client()), "greedy")) for _ in range(50)]
        while len(inside) < limits.THREADS_PER_CLIENT:
            await asyncio.sleep(0.01)
        other = asyncio.create_task(ask(pages, ready(Client()), "other"))
        while len(inside) < limits.THREADS_PER_CLIENT + 1:
            await asyncio.sleep(0.01)
        most = len(inside)
        gate.set()
        await asyncio.gather(other, *greedy)
        return most, len(inside)

    assert asyncio.run(play()) == (limits.THREADS_PER_CLIENT + 1, 51)


def ready(client: Client) -> Client:
    client.ready.set()
    return client


@pytest.mark.threat("T12")
def test_who_has_a_hundred_requests_waiting_is_told_so_at_once():
    gate = threading.Event()

    def page() -> HttpResponse:
        gate.wait(10)
        return HttpResponse("x")

    async def play() -> list[Any]:
        pages = pages_of(page)
        tasks = [asyncio.create_task(ask(pages, ready(Client()))) for _ in range(110)]
        await asyncio.sleep(0.1)
        gate.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(play())
    room = limits.WAITING_PER_CLIENT + limits.THREADS_PER_CLIENT
    assert [type(one) for one in found] == [str] * room + [Full] * (110 - room)


@pytest.mark.threat("T12")
def test_threads_that_all_hang_are_noticed_and_one_that_works_is_enough():
    gate, inside = threading.Event(), []

    def page() -> HttpResponse:
        inside.append(1)
        gate.wait(10)
        return HttpResponse("x")

    async def play() -> list[bool]:
        pages, tasks = pages_of(page, work=Work(hung_seconds=0.3)), []
        seen = []
        for number in range(limits.THREADS):
            tasks.append(asyncio.create_task(ask(pages, ready(Client()), f"client {number}")))
            while len(inside) <= number:
                await asyncio.sleep(0.01)
            if number == limits.THREADS - 2:
                await asyncio.sleep(0.4)
                seen.append(pages.work.is_hanging())
        seen.append(pages.work.is_hanging())
        await asyncio.sleep(0.4)
        seen.append(pages.work.is_hanging())
        gate.set()
        await asyncio.gather(*tasks)
        return [*seen, pages.work.is_hanging()]

    assert asyncio.run(play()) == [False, False, True, False]


@pytest.mark.threat("T12")
def test_threads_that_work_for_long_are_not_taken_for_hanging_until_they_do():
    """One that computes is enough, as with ten large uploads on a slow machine."""
    gate, work, inside = threading.Event(), threading.Event(), []

    def page() -> HttpResponse:
        inside.append(1)
        if len(inside) == limits.THREADS:
            while not work.is_set():
                sum(range(1000))
        gate.wait(20)
        return HttpResponse("x")

    async def watch(pages: Pages, seconds: float) -> bool:
        seen = []
        for _ in range(int(seconds / 0.1)):
            await asyncio.sleep(0.1)
            seen.append(pages.work.is_hanging())
        return any(seen)

    async def play() -> list[bool]:
        pages = pages_of(page, work=Work(hung_seconds=0.5))
        asking = [ask(pages, ready(Client()), f"client {number}") for number in range(limits.THREADS)]
        tasks = [asyncio.create_task(one) for one in asking]
        while len(inside) < limits.THREADS:
            await asyncio.sleep(0.01)
        seen = [await watch(pages, 1.5)]
        work.set()
        seen.append(await watch(pages, 1.5))
        gate.set()
        await asyncio.gather(*tasks)
        return seen

    assert asyncio.run(play()) == [False, True]


@pytest.mark.threat("T12")
def test_an_answer_that_nobody_takes_any_more_is_not_made_to_its_end():
    made: list[int] = []

    def endless() -> StreamingHttpResponse:
        def numbers() -> Any:
            for number in range(10_000):
                made.append(number)
                time.sleep(0.001)
                yield b"x" * 1000

        return StreamingHttpResponse(numbers())

    async def play() -> None:
        client, pages = ready(Client()), pages_of(endless)
        task = asyncio.create_task(ask(pages, client))
        while len(client.body) < 5000:
            await asyncio.sleep(0.01)
        client.leaving.set()
        await asyncio.wait_for(task, 5)
        while pages.lanes.inside:
            await asyncio.sleep(0.01)

    asyncio.run(play())
    assert len(made) < 10_000


@pytest.mark.threat("T12")
def test_an_answer_that_is_too_large_to_lie_here_is_cut_off():
    client = answered(lambda: rows(10_000), ledger=Ledger(answer=2000))
    assert (client.has_ended, 0 < len(client.body) <= 2000) == (False, True)


@pytest.mark.parametrize("response", [lambda: rows(1000), lambda: HttpResponse("x" * 600_000)], ids=["rows", "page"])
def test_what_an_answer_held_is_given_back(response):
    ledger = Ledger()
    answered(response, ledger=ledger)
    assert ledger.held.total() == 0


def untaken(ledger: Ledger, sizes: dict[str, list[int]]) -> dict[str, int]:
    """How many pages of these sizes each client gets that takes nothing; then all take theirs, and nothing is held."""

    async def play() -> dict[str, int]:
        found: dict[str, int] = {}
        tasks: list[Any] = []
        clients: list[Client] = []
        for name, wanted in sizes.items():
            found[name] = 0
            for size in wanted:
                client = Client()
                made = asyncio.create_task(ask(pages_of(partial(HttpResponse, "x" * size), ledger), client, name))
                while not made.done() and ledger.held.total() == sum(one.size for one in clients):
                    await asyncio.sleep(0.01)
                if not made.done():
                    found[name] += 1
                    client.size = size
                    clients.append(client)
                    tasks.append(made)
                else:
                    assert isinstance(made.exception(), Full)
        for client in clients:
            client.ready.set()
        await asyncio.gather(*tasks)
        assert ([len(one.body) for one in clients], ledger.held.total()) == ([one.size for one in clients], 0)
        return found

    return asyncio.run(play())


@pytest.mark.threat("T12")
def test_whole_pages_that_are_not_taken_count_in_the_share_of_their_client():
    ledger = Ledger(each=1_000_000)
    assert untaken(ledger, {"greedy": [400_000] * 3 + [100_000] * 3, "other": [400_000]}) == {"greedy": 4, "other": 1}


@pytest.mark.threat("T12")
def test_small_pages_are_there_for_everybody_however_much_the_others_leave_lying_here():
    ledger = Ledger(most=1_000_000, each=900_000)
    sizes = {"one": [800_000], "two": [400_000, 100_000], "three": [100_000] * 9}
    assert untaken(ledger, sizes) == {"one": 1, "two": 1, "three": 9}


def test_a_failure_in_the_middle_of_an_answer_is_no_end():
    def numbers() -> Any:
        yield b"1"
        raise ValueError

    client = answered(lambda: StreamingHttpResponse(numbers()))
    assert (client.body, client.has_ended) == (b"1", False)


def test_who_asks_for_headers_makes_no_rows():
    made: list[int] = []
    client = answered(lambda: StreamingHttpResponse(made.append(number) or b"x" for number in range(9)), "HEAD")
    assert (client.status, client.body, made) == (200, b"", [])
