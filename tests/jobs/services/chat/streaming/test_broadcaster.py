"""One thread sends the frames of all answers. Nothing is sent here but to a list, with a Redis that may be away."""

import threading
import time
from uuid import uuid4

import pytest

from jobs.services.chat.streaming.broadcaster import DRAW_SECONDS, END, Sender
from jobs.services.chat.streaming.renderer import Drawing
from jobs.text import markdown
from tests.jobs.services.chat.streaming.test_renderer import Page


class Sent:
    def __init__(self):
        self.frames, self.rounds, self.is_away = [], 0, False

    def take(self, frames):
        self.rounds += 1
        if not self.is_away:
            self.frames += [(time.monotonic(), frame.message_id, frame.fields) for frame in frames]
        return not self.is_away

    def of(self, reply):
        return [fields for _at, pk, fields in self.frames if pk == reply.message_id]

    def page(self, reply):
        page = Page()
        for fields in self.of(reply):
            page.apply(fields)
        return page


@pytest.fixture
def sent():
    return Sent()


def until(holds):
    for _ in range(500):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("It never came")


def test_the_first_words_are_sent_at_once_and_the_end_is_the_last(sent):
    reply = Sender(sent.take).open(uuid4())
    reply.add("One")
    until(lambda: sent.frames)
    reply.end()
    reply.wait()
    assert [sorted(fields) for fields in sent.of(reply)] == [["draft"], ["data", "event"]]
    assert sent.of(reply)[-1] == END


def test_an_answer_without_words_ends_too(sent):
    reply = Sender(sent.take).open(uuid4())
    reply.end()
    reply.wait()
    assert sent.of(reply) == [END]


@pytest.mark.parametrize("count", [1, 30])
def test_many_answers_are_whole_and_in_order(sent, count):
    text = "".join(f"word{number} " + ("\n\n" if number % 50 == 49 else "") for number in range(200))
    sender = Sender(sent.take)
    replies = [sender.open(uuid4()) for _ in range(count)]

    def write(reply):
        for at in range(0, len(text), 9):
            reply.add(text[at : at + 9])
            time.sleep(0.001)
        reply.end()
        reply.wait()

    threads = [threading.Thread(target=write, args=(reply,)) for reply in replies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {sent.page(reply).html for reply in replies} == {markdown.answer(text)}
    assert sent.rounds < count * len(text) / 9


def test_it_is_drawn_ten_times_a_second_at_most(sent):
    reply = Sender(sent.take).open(uuid4())
    began = time.monotonic()
    while time.monotonic() < began + 0.55:
        reply.add("*a* ")
        time.sleep(0.002)
    reply.end()
    reply.wait()
    drawn = [at for at, _pk, fields in sent.frames if "draft" in fields]
    # The first one was at once, and the last one when it ended.
    assert 3 <= len(drawn) <= 2 + (drawn[-1] - began) / DRAW_SECONDS


def test_what_came_while_redis_was_away_is_shown_when_it_is_back(sent):
    reply = Sender(sent.take).open(uuid4())
    sent.is_away = True
    reply.add("One\n\nTwo\n\nThree")
    until(lambda: sent.rounds)
    sent.is_away = False
    until(lambda: sent.frames)
    assert sent.page(reply).html == markdown.answer("One\n\nTwo\n\nThree")
    reply.end()
    reply.wait()


class CannotDraw(Drawing):
    def draw(self):
        raise ZeroDivisionError


def test_an_answer_that_cannot_be_drawn_is_no_hindrance_to_others(sent):
    sender = Sender(sent.take)
    broken, whole = sender.open(uuid4()), sender.open(uuid4())
    broken._drawing = CannotDraw(broken.message_id)
    for reply in (broken, whole):
        reply.add("One")
        reply.end()
        reply.wait()
    assert sent.page(whole).html == "<p>One</p>\n"
    assert sent.of(broken)[-1] == END


def test_it_has_one_thread(sent):
    sender = Sender(sent.take)
    replies = [sender.open(uuid4()) for _ in range(3)]
    thread = sender._thread
    for reply in replies:
        reply.add("One")
        reply.end()
        reply.wait()
    again = sender.open(uuid4())
    again.add("Two")
    again.end()
    again.wait()
    assert sender._thread is thread
    assert [sent.page(reply).html for reply in (*replies, again)] == ["<p>One</p>\n"] * 3 + ["<p>Two</p>\n"]
