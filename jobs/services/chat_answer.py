"""Produces one answer: reads the endpoint's stream in a helper thread, so that stopping waits for no token."""

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.translation import gettext as _

from jobs import live, markup
from jobs.models import LONGEST_ANSWER, Conversation, Endpoint, Message, Role
from jobs.states import MESSAGE_TRANSITIONS, EndpointState, MessageState, check
from jobs.vertex import get_gateway
from jobs.vertex.errors import Refused, Unavailable, VertexError
from jobs.vertex.port import ChatChunk, ChatRequest

from . import chat_continue, endpoint_traffic, pictures
from .chat_parameters import only_taken

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
# Longer than the gateway waits for the first byte, since nothing is renewed until then.
FIRST_LEASE = timedelta(seconds=90)
FRAME_SECONDS = 0.1
STOP_CHECK_SECONDS = 0.25
SAVE_SECONDS = 1.0
KEPT = frozenset({MessageState.COMPLETE, MessageState.STOPPED, MessageState.INTERRUPTED})


def answer(message_id: UUID) -> None:
    """Claims the waiting answer and fills it. Of two workers one gets it; it ends in a state that says how."""
    now = timezone.now()
    check(MESSAGE_TRANSITIONS, MessageState.WAITING, MessageState.STREAMING)
    waiting = Message.objects.filter(pk=message_id, state=MessageState.WAITING)
    if not waiting.update(state=MessageState.STREAMING, lease_until=now + FIRST_LEASE, updated_at=now):
        return
    message = Message.objects.select_related("conversation__endpoint", "endpoint").get(pk=message_id)
    live.ring(message.conversation.owner_id, f"chat-{message.conversation_id}")
    Answer(message).run()


@dataclass
class Answer:
    message: Message
    parts: list[str] = field(default_factory=list)
    usage: dict[str, int] = field(default_factory=dict)
    finish_reason: str = ""
    first_token: float | None = None
    deployed_model_id: str = ""
    renderer: markup.BlockRenderer = field(default_factory=markup.BlockRenderer)
    began: float = field(default_factory=time.monotonic)
    _unsent: list[str] = field(default_factory=list)
    _length: int = 0
    _framed: float = 0.0
    _checked: float = 0.0
    _saved: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """An answer that waits and has a text already continues that text."""
        if self.message.content:
            self.parts.append(self.message.content)
            self._unsent.append(self.message.content)
            self._length = len(self.message.content)

    def run(self) -> None:
        """`BaseException` passes through: a dying worker leaves the row to `interrupt_stale`."""
        try:
            state, sentence, code = self._stream(), "", ""
        except Unavailable as error:
            # What came before the connection broke is worth keeping.
            state = MessageState.INTERRUPTED if self.parts else MessageState.FAILED
            sentence, code = str(error), error.code
        except VertexError as error:
            state, sentence, code = self._broken, str(error), error.code
        except Exception:
            logger.exception("The answer %s failed", self.message.pk)
            state, code = self._broken, ""
            sentence = _("The console failed while it received the answer. Try again; the worker's log says more.")
        self._finish(state, sentence, code)

    @property
    def _broken(self) -> MessageState:
        """What was said before is not lost by a continuation that fails."""
        return MessageState.INTERRUPTED if self.message.content else MessageState.FAILED

    def _stream(self) -> MessageState:
        request, begun = request_for(self.message), self.message.content
        if not begun:
            return self._ask(request)
        try:
            return self._ask(chat_continue.prefilled(request, begun))
        except Refused:
            if len(self.parts) > 1:
                raise
        self._take(ChatChunk(text=" "))
        return self._ask(chat_continue.asked(request, begun))

    def _ask(self, request: ChatRequest) -> MessageState:
        with get_gateway().chat.stream(request) as chunks:
            incoming = Incoming(chunks)
            try:
                return self._receive(incoming)
            finally:
                incoming.leave()

    def _receive(self, incoming: "Incoming") -> MessageState:
        while True:
            chunk = incoming.next(FRAME_SECONDS)
            if isinstance(chunk, ChatChunk):
                self._take(chunk)
            now = time.monotonic()
            if now - self._checked >= STOP_CHECK_SECONDS and self._must_stop(now):
                return MessageState.STOPPED
            if chunk is Incoming.END:
                return MessageState.COMPLETE
            if self._length > LONGEST_ANSWER:
                self.finish_reason = "length"
                return MessageState.COMPLETE
            if self._unsent and now - self._framed >= FRAME_SECONDS:
                self._frame(now)

    def _take(self, chunk: ChatChunk) -> None:
        if chunk.text:
            if self.first_token is None:
                self.first_token = time.monotonic() - self.began
            self.parts.append(chunk.text)
            self._unsent.append(chunk.text)
            self._length += len(chunk.text)
        self.deployed_model_id = chunk.deployed_model_id or self.deployed_model_id
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self.usage = dict(chunk.usage) if chunk.usage else self.usage

    def _must_stop(self, now: float) -> bool:
        """One query each quarter of a second, whatever the number of tokens; once a second it also saves."""
        self._checked = now
        rows = Message.objects.filter(pk=self.message.pk, state=MessageState.STREAMING)
        if now - self._saved >= SAVE_SECONDS:
            self._saved = now
            rows.update(content="".join(self.parts), lease_until=timezone.now() + LEASE)
        stops = rows.values_list("stop_requested_at", flat=True)
        return not stops or stops[0] is not None

    def _frame(self, now: float) -> None:
        self._framed = now
        done, tail = self.renderer.feed("".join(self._unsent))
        self._unsent.clear()
        pk = self.message.pk
        live.chat_frame(pk, "", partial(f"#reply-{pk}-done", "beforeend", done) + partial(
            f"#reply-{pk}-tail", "innerMorph", tail
        ))  # fmt: skip

    def _finish(self, state: MessageState, sentence: str, code: str) -> None:
        """Only a row that still streams is written: one marked as interrupted meanwhile is not."""
        check(MESSAGE_TRANSITIONS, MessageState.STREAMING, state)
        text = "".join(self.parts)
        timings = {"total": round(time.monotonic() - self.began, 3)}
        if self.first_token is not None:
            timings["first_token"] = round(self.first_token, 3)
        if self.message.content:
            timings = chat_continue.summed_timings(self.message.timings, timings)
            self.usage = chat_continue.summed_usage(self.message.usage, self.usage)
        row = {
            "state": state, "content": text, "html": markup.render(text), "usage": self.usage, "timings": timings,
            "finish_reason": self.finish_reason, "error_message": sentence, "error_code": code[:40],
            "lease_until": None,
            "updated_at": timezone.now(),
        }  # fmt: skip
        if self.message.endpoint and (
            who := endpoint_traffic.answered_by(self.message.endpoint, self.deployed_model_id)
        ):
            row["answered_by"] = who
        Message.objects.filter(pk=self.message.pk, state=MessageState.STREAMING).update(**row)
        Conversation.objects.filter(pk=self.message.conversation_id).update(updated_at=timezone.now())
        if self._unsent:
            self._frame(time.monotonic())
        live.chat_frame(self.message.pk, "end", "")
        talk = self.message.conversation
        live.ring(talk.owner_id, f"chat-{talk.pk}", f"endpoint-{self.message.endpoint_id}")


def partial(target: str, swap: str, html: str) -> str:
    return f'<hx-partial hx-target="{target}" hx-swap="{swap}">{html}</hx-partial>'


class Incoming:
    """A stream read by a thread of its own, which ends when the stream's context is left: that breaks its read."""

    END = object()

    def __init__(self, chunks: Iterator[ChatChunk]) -> None:
        self._queue: queue.Queue[ChatChunk | BaseException | object] = queue.Queue(maxsize=256)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._read, args=(chunks,), daemon=True, name="chat-stream")
        self._thread.start()

    def next(self, seconds: float) -> ChatChunk | object | None:
        """The next chunk, END, or None when nothing came in time; raises what the stream raised."""
        try:
            item = self._queue.get(timeout=seconds)
        except queue.Empty:
            return None
        if isinstance(item, BaseException):
            raise item
        return item

    def leave(self) -> None:
        self._left.set()

    def _read(self, chunks: Iterator[ChatChunk]) -> None:
        last: Any = self.END
        try:
            for chunk in chunks:
                if not self._put(chunk):
                    return
        except BaseException as error:
            last = error
        self._put(last)

    def _put(self, item: Any) -> bool:
        while not self._left.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=0.5)
                return True
        return False


def request_for(message: Message) -> ChatRequest:
    """Every earlier question that got an answer with text, in pairs: chat templates refuse two questions in a row."""
    conversation = message.conversation
    endpoint = message.endpoint
    if endpoint is None or endpoint.state != EndpointState.READY:
        raise VertexError(_("The endpoint is not ready any more. Choose another one."), "NOT_FOUND")
    return ChatRequest(
        endpoint=endpoint.resource_name,
        dedicated_dns=endpoint.dedicated_dns,
        messages=messages_for(conversation, message.parent, endpoint),
        parameters=only_taken(message.parameters, endpoint),
    )


def messages_for(conversation: Conversation, asked: Message | None, endpoint: Endpoint) -> list[dict[str, Any]]:
    """With the system instructions; `asked` is the last question. With the pictures that `endpoint` reads."""
    turns: list[dict[str, Any]] = []
    if conversation.system_instruction:
        turns.append({"role": "system", "content": conversation.system_instruction})
    return turns + _history(conversation, asked, endpoint)


def _history(conversation: Conversation, asked: Message | None, endpoint: Endpoint) -> list[dict[str, Any]]:
    turns: list[Message] = []
    question: Message | None = None
    for turn in conversation.path(asked.pk) if asked else ():
        if turn.role == Role.USER:
            question = turn
        elif question and turn.state in KEPT and turn.content.strip():
            turns += [question, turn]
            question = None
    turns += [question] if question else []
    kept = pictures.shown(turns, endpoint).kept
    return [{"role": turn.role, "content": pictures.content_parts(turn, kept)} for turn in turns]
