import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.core.signing import BadSignature

from console.web import streams
from console.web.streams import (
    Streams,
    chat_ticket,
    frame,
    join_entries,
    live_ticket,
    newest_of_each_event,
    subscription,
)
from jobs.live import over, seal

MESSAGE = "0b1f0e6c-8f3f-4b8e-9c3d-2f6f6f9d9a11"
SESSION = "0123456789"


class Browser:
    """One connection to the app: what it got, and a way to leave."""

    def __init__(self, app: Streams, path: str, ticket: str, last_event_id: str = "", session: str = SESSION) -> None:
        headers = [(b"cookie", f"theme=dark; sessionid={session}".encode())]
        headers += [(b"last-event-id", last_event_id.encode())] if last_event_id else []
        query = f"ticket={ticket}".encode()
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": query,
            "headers": headers,
        }
        self.status, self.body, self.leaving = 0, b"", asyncio.Event()
        self.task = asyncio.create_task(app(scope, self.receive, self.send))

    async def receive(self) -> dict[str, Any]:
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        self.body += message.get("body", b"")

    async def until(self, text: str) -> str:
        for _ in range(300):
            if text.encode() in self.body:
                return self.body.decode()
            await asyncio.sleep(0.01)
        raise TimeoutError(f"{text!r} is not in {self.body!r}")


def run(url: str, story: Callable[[Streams], Awaitable[Any]], **options: Any) -> Any:
    async def play() -> Any:
        app = Streams(url, **options)
        try:
            return await asyncio.wait_for(story(app), 10)
        finally:
            await app.close()

    return asyncio.run(play())


def live(app: Streams, user_id: int = 1, last_event_id: str = "") -> Browser:
    return Browser(app, "/streams/live", live_ticket(user_id, SESSION), last_event_id)


def chat(app: Streams, last_event_id: str = "") -> Browser:
    return Browser(app, f"/streams/chat/{MESSAGE}", chat_ticket(MESSAGE, 1, SESSION), last_event_id)


def test_a_frame_keeps_every_line_of_its_data():
    assert frame(b"5-0", {b"event": b"x", b"data": b"a\r\nb\n"}) == b"id: 5-0\nevent: x\ndata: a\ndata: b\ndata: \n\n"


def test_a_frame_without_event_has_no_event_line():
    assert frame(b"5-0", {b"event": b"", b"data": b"<p>"}) == b"id: 5-0\ndata: <p>\n\n"


PILED = [
    (b"1-0", {b"draft": b"<a>"}),
    (b"2-0", {b"text": b"one"}),
    (b"3-0", {b"data": b"<done>", b"draft": b"<b>"}),
    (b"4-0", {b"text": b"two"}),
    (b"5-0", {b"text": b"three"}),
    (b"6-0", {b"event": b"end", b"data": b""}),
]


def test_what_piled_up_of_an_answer_is_what_is_drawn_and_what_goes_on_with_it():
    """Each in a frame of its own: htmx looks for the places of a frame before it fills the first."""
    drawn, said = (b"3-0", {b"data": b"<done>", b"draft": b"<b>"}), (b"5-0", {b"text": b"twothree"})
    assert join_entries(PILED) == [drawn, said, PILED[-1]]
    assert b"".join(frame(*entry) for entry in (drawn, said)) == (
        b"id: 3-0\ndata: <done><b>\n\nid: 5-0\ndata: twothree\n\n"
    )


@pytest.mark.parametrize("cut", range(6))
def test_what_is_joined_in_parts_is_the_same(cut):
    assert join_entries(join_entries(PILED[:cut]) + PILED[cut:]) == join_entries(PILED)


def test_the_last_of_each_event_is_kept_in_order():
    entries = [(b"1-0", {b"event": b"a"}), (b"2-0", {b"event": b"b"}), (b"3-0", {b"event": b"a"})]
    assert newest_of_each_event(entries) == [entries[1], entries[2]]


def test_a_chat_ticket_opens_only_its_own_answer():
    with pytest.raises(BadSignature):
        subscription(f"/streams/chat/{uuid.uuid4()}", chat_ticket(MESSAGE, 1, SESSION), SESSION)


@pytest.mark.parametrize(
    ("path", "ticket"),
    [("/streams/live", live_ticket(1, SESSION)), (f"/streams/chat/{MESSAGE}", chat_ticket(MESSAGE, 1, SESSION))],
    ids=["live", "chat"],
)
def test_a_ticket_is_of_no_use_to_another_session(path, ticket):
    async def story(app):
        browser = Browser(app, path, ticket, session="")
        await browser.task
        return browser.status

    assert run("", story) == 403


def test_a_live_ticket_does_not_open_a_chat():
    with pytest.raises(BadSignature):
        subscription(f"/streams/chat/{MESSAGE}", live_ticket(1, SESSION), SESSION)


def test_a_ticket_that_was_changed_is_refused(redis_url):
    async def story(app: Streams) -> int:
        browser = Browser(app, "/streams/live", live_ticket(1, SESSION).replace("1:", "2:", 1))
        await browser.task
        return browser.status

    assert run(redis_url, story) == 403


def test_a_ring_arrives_as_a_named_event(redis_url, broker):
    async def story(app: Streams) -> str:
        browser = live(app)
        await browser.until("retry:")
        broker.xadd("live:user:1", {"event": "job-1", "data": ""})
        return await browser.until("job-1")

    assert run(redis_url, story).endswith("\nevent: job-1\ndata: \n\n")


def test_a_ring_between_drawing_and_connecting_is_not_lost(redis_url, broker):
    async def story(app: Streams) -> str:
        ticket = live_ticket(1, SESSION)
        broker.xadd("live:user:1", {"event": "job-2", "data": ""})
        return await Browser(app, "/streams/live", ticket).until("job-2")

    assert "event: job-2" in run(redis_url, story)


def test_rings_for_someone_else_do_not_arrive(redis_url, broker):
    async def story(app: Streams) -> str:
        browser = live(app)
        await browser.until("retry:")
        broker.xadd("live:user:2", {"event": "secret", "data": ""})
        broker.xadd("live:user:1", {"event": "mine", "data": ""})
        return await browser.until("mine")

    assert "secret" not in run(redis_url, story)


def test_a_page_that_comes_back_is_told_to_fetch_everything(redis_url, broker):
    broker.xadd("live:user:1", {"event": "job-1", "data": ""}, id="7-0")

    async def story(app: Streams) -> str:
        return await live(app, last_event_id="5-0").until("live-refresh")

    assert "id: 7-0\nevent: live-refresh" in run(redis_url, story)


def test_a_chat_is_read_from_its_beginning_and_ends_with_its_last_entry(redis_url, broker):
    for event, data in (("", "one"), ("", "two"), ("end", "")):
        broker.xadd(f"live:chat:{MESSAGE}", {"event": event, "data": data})

    async def story(app: Streams) -> list[str]:
        browser = chat(app)
        await browser.task
        return [line for line in browser.body.decode().splitlines() if line.startswith(("data", "event"))]

    assert run(redis_url, story) == ["data: onetwo", "event: end", "data: "]


def test_a_chat_goes_on_after_the_last_event_that_arrived(redis_url, broker):
    for number in (1, 2, 3):
        broker.xadd(f"live:chat:{MESSAGE}", {"event": "", "data": f"part {number}"}, id=f"{number}-0")

    async def story(app: Streams) -> str:
        return await chat(app, last_event_id="2-0").until("part 3")

    assert "part 2" not in run(redis_url, story)


@pytest.mark.threat("T12")
def test_two_hundred_streams_of_one_burst_are_all_open_and_hear_of_changes(redis_url, broker):
    """Redis is asked over a few connections, however many come at once."""

    async def story(app: Streams) -> tuple[list[int], list[str], int]:
        people = range(1, 201)
        before = len(broker.client_list())
        browsers = [live(app, person) for person in people]
        for browser in browsers:
            await browser.until("retry:")
        connections = len(broker.client_list()) - before
        for person in people:
            broker.xadd(f"live:user:{person}", {"event": f"job-{person}", "data": ""})
        heard = [
            await browser.until(f"event: job-{person}\n") for person, browser in zip(people, browsers, strict=True)
        ]
        return [browser.status for browser in browsers], heard, connections

    statuses, heard, connections = run(redis_url, story)
    assert (statuses, len(heard)) == ([200] * 200, 200)
    assert connections <= streams.CONNECTIONS


OTHER = "7a0c9d52-1f0b-4f0e-8c59-0a6d1f3f7b22"


def both(app: Streams, last_event_id: str = "") -> Browser:
    messages = f"{MESSAGE},{OTHER}"
    return Browser(app, f"/streams/chat/{messages}", chat_ticket(messages, 1, SESSION), last_event_id)


def lines_of(browser: Browser) -> list[str]:
    return [line for line in browser.body.decode().splitlines() if line.startswith(("id", "data: ", "event"))]


def test_one_stream_has_the_frames_of_several_answers_and_says_which_one_ended(redis_url, broker):
    async def story(app: Streams) -> list[str]:
        browser = both(app)
        await browser.until("id: 0-0,0-0")
        broker.xadd(f"live:chat:{OTHER}", {"text": "one"}, id="1-0")
        await browser.until("one")
        broker.xadd(f"live:chat:{MESSAGE}", {"text": "two"}, id="2-0")
        await browser.until("two")
        broker.xadd(f"live:chat:{OTHER}", {"event": "end", "data": ""}, id="3-0")
        await browser.until("end-")
        assert not browser.task.done()
        broker.xadd(f"live:chat:{MESSAGE}", {"event": "end", "data": ""}, id="4-0")
        await browser.task
        return lines_of(browser)

    assert run(redis_url, story) == [
        "id: 0-0,0-0",
        "id: 0-0,1-0", "data: one",
        "id: 2-0,1-0", "data: two",
        "id: 2-0,end", f"event: end-{OTHER}", "data: ",
        "id: end,end", f"event: end-{MESSAGE}", "data: ",
        "id: end,end", "event: end", "data: ",
    ]  # fmt: skip


def test_several_answers_go_on_where_each_of_them_was(redis_url, broker):
    for message in (MESSAGE, OTHER):
        for number in (1, 2, 3):
            broker.xadd(f"live:chat:{message}", {"text": f"{message[:2]}-{number} "}, id=f"{number}-0")

    async def story(app: Streams) -> list[str]:
        browser = both(app, "2-0,1-0")
        await browser.until("0b-3")
        await browser.until("7a-2 7a-3")
        return [line for line in lines_of(browser) if line.startswith("data")]

    assert sorted(run(redis_url, story)) == ["data: 0b-3 ", "data: 7a-2 7a-3 "]


@pytest.mark.parametrize(("last", "asked"), [("end,1-0", OTHER), ("1-0,end", MESSAGE)])
def test_an_answer_that_has_ended_is_not_waited_for_again(redis_url, broker, last, asked):
    broker.xadd(f"live:chat:{asked}", {"event": "end", "data": ""}, id="2-0")

    async def story(app: Streams) -> list[str]:
        browser = both(app, last)
        await browser.task
        return [line for line in lines_of(browser) if line.startswith("event")]

    assert run(redis_url, story) == [f"event: end-{asked}", "event: end"]


@pytest.mark.parametrize(("opened", "last"), [(chat, "end"), (both, "end,end")])
def test_who_comes_back_after_the_end_is_told_so(redis_url, broker, opened, last):
    async def story(app: Streams) -> list[str]:
        browser = opened(app, last)
        await browser.task
        return [line for line in lines_of(browser) if line.startswith("event")]

    assert run(redis_url, story) == ["event: end"]


@pytest.mark.parametrize("last", ["1-0", "1-0,2-0,3-0", "1-0,"])
def test_an_id_of_other_streams_is_read_from_the_beginning(redis_url, broker, last):
    broker.xadd(f"live:chat:{MESSAGE}", {"text": "first"}, id="1-0")

    async def story(app: Streams) -> str:
        return await both(app, last).until("first")

    assert "id: 0-0,0-0" in run(redis_url, story)


def test_a_ticket_for_several_answers_opens_these_only():
    ticket = chat_ticket(f"{MESSAGE},{OTHER}", 1, SESSION)
    for path in (MESSAGE, f"{OTHER},{MESSAGE}", f"{MESSAGE},{OTHER},{MESSAGE}"):
        with pytest.raises(BadSignature):
            subscription(f"/streams/chat/{path}", ticket, SESSION)


def test_a_silent_stream_says_now_and_then_that_it_is_alive(redis_url, broker):
    async def story(app: Streams) -> str:
        return await live(app).until(":\n\n")

    assert run(redis_url, story, heartbeat=0.05).endswith(":\n\n")


def test_a_person_has_a_limited_number_of_streams(redis_url, broker):
    async def story(app: Streams) -> list[int]:
        browsers = [live(app)]
        await browsers[0].until("retry:")
        browsers += [live(app), live(app, user_id=2)]
        await browsers[1].task
        await browsers[2].until("retry:")
        return [browser.status for browser in browsers]

    assert run(redis_url, story, per_user=1) == [200, 429, 200]


def test_a_browser_that_leaves_frees_its_place(redis_url, broker):
    async def story(app: Streams) -> int:
        browser = live(app)
        await browser.until("retry:")
        browser.leaving.set()
        await browser.task
        return app.open_by_user[1]

    assert run(redis_url, story) == 0


@pytest.mark.parametrize("opened", [live, chat])
def test_signing_out_ends_the_streams_of_the_session_and_lets_none_begin(redis_url, broker, opened):
    async def story(app: Streams) -> list[int]:
        mine = opened(app)
        other = Browser(app, "/streams/live", live_ticket(1, "other"), session="other")
        for browser in (mine, other):
            await browser.until("retry:")
        broker.xadd(over(seal(SESSION)), {"event": "end", "data": ""})
        await asyncio.wait_for(mine.task, 1)
        again = opened(app)
        await again.task
        return [mine.status, again.status, other.task.done()]

    assert run(redis_url, story) == [200, 403, False]


def test_closing_ends_every_stream_at_once(redis_url, broker):
    async def story(app: Streams) -> list[bool]:
        browsers = [live(app), live(app)]
        for browser in browsers:
            await browser.until("retry:")
        await app.close()
        await asyncio.wait_for(asyncio.gather(*(browser.task for browser in browsers)), 2)
        return [browser.task.done() for browser in browsers]

    assert run(redis_url, story) == [True, True]


def test_without_redis_the_browser_is_told_to_come_back():
    async def story(app: Streams) -> int:
        browser = live(app)
        await browser.task
        return browser.status

    assert run("redis://127.0.0.1:1/0", story) == 503


def test_a_redis_that_goes_away_ends_the_stream(redis_url, broker):
    async def story(app: Streams) -> int:
        browser = live(app)
        await browser.until("retry:")
        broker.client_kill_filter(_type="normal", skipme=True)
        await asyncio.wait_for(browser.task, 5)
        return browser.status

    assert run(redis_url, story) == 200


def test_an_event_id_that_redis_never_gave_is_ignored():
    assert streams.last_event_id({"headers": [(b"last-event-id", b"$; drop")]}) == b""


@pytest.mark.threat("T12")
@pytest.mark.parametrize("last", ["99999999999999999999-0", "0-18446744073709551616"])
def test_an_id_that_no_stream_has_counts_as_none_and_ends_nobody_elses_stream(redis_url, broker, last):
    async def story(app):
        others = [live(app, person) for person in range(2, 12)]
        for other in others:
            await other.until("retry:")
        attacker = chat(app, last)
        opening = await attacker.until("retry:")
        for person in range(2, 12):
            broker.xadd(f"live:user:{person}", {"event": "job-1", "data": ""})
        broker.xadd(f"live:chat:{MESSAGE}", {"data": "first"})
        await attacker.until("first")
        return opening, [await other.until("job-1") != "" for other in others]

    assert run(redis_url, story) == ("retry: 1000\nid: 0-0\n\n", [True] * 10)
