"""Produces one answer: the task's thread reads the endpoint's stream and leaves the rest to two threads of the process.

`broadcaster` shows what comes, `saver` saves it and cuts the stream when the person stops it: no token is waited
for, not even the first one.
"""

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from jobs import live, shortages, telemetry
from jobs.errors import ImageGone, StoreUnavailable
from jobs.models import LONGEST_ANSWER, Conversation, Endpoint, Message, Role
from jobs.services.chat import continuation, images
from jobs.services.chat.parameters import only_taken
from jobs.services.chat.tools import calls
from jobs.services.endpoints import traffic
from jobs.states import MESSAGE_TRANSITIONS, EndpointState, MessageState, check
from jobs.text import markdown
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import COLD, Refused, Unavailable, VertexError
from jobs.vertex.port import ChatStream
from jobs.vertex.values import ChatChunk, ChatRequest

from . import row as chat_row, waits
from .broadcaster import sender
from .saver import LEASE, keeper

logger = logging.getLogger(__name__)

# How long an answer is kept that cannot be saved; less than its task may take.
PATIENCE_SECONDS, RETRY_SECONDS = 800.0, 0.5
KEPT = frozenset({MessageState.COMPLETE, MessageState.STOPPED, MessageState.INTERRUPTED})


def answer(message_id: UUID, rows: str | None = None, backoff: waits.Backoff = waits.BACKOFF) -> None:
    """Claims the waiting answer and fills it. Of two workers one gets it; it ends in a state that says how. `rows`:
    what `chat_row.packed` made of it."""
    now = timezone.now()
    check(MESSAGE_TRANSITIONS, MessageState.WAITING, MessageState.STREAMING)
    waiting = Message.objects.filter(pk=message_id, state=MessageState.WAITING)
    if not waiting.update(state=MessageState.STREAMING, lease_until=now + LEASE, updated_at=now):
        return
    answering = Answer(chat_row.unpack_or_read(message_id, rows), backoff)
    with keeper.keeping(message_id, answering):
        answering.run()


class Answer:
    """`run` is for the thread that reads, `text`, `tell` and `stop` for the keeper's."""

    def __init__(self, message: Message, backoff: waits.Backoff = waits.BACKOFF) -> None:
        """An answer that waited and has a text already continues that text. `backoff`: from a model that starts."""
        self.message = message
        self.length = 0
        self._parts: list[str] = []
        self._usage: dict[str, int] = {}
        self._calls = calls.Collector()
        self._finish_reason = ""
        self._deployed_model_id = ""
        self._first_token: float | None = None
        self._began = time.monotonic()
        self._stream: ChatStream | None = None
        self._stopped = threading.Event()
        self._backoff = backoff
        self._end = threading.Lock()
        self._reply = sender.open(message.pk)
        if message.content:
            self._append(message.content)

    def text(self) -> str:
        return "".join(self._parts)

    def tell(self) -> None:
        live.notify(self.message.conversation.owner_id, f"chat-{self.message.conversation_id}")

    def stop(self) -> None:
        """The second time the reader is still busy, with connecting maybe: then the answer ends without it."""
        if self._stopped.is_set():
            self._finish(MessageState.STOPPED, "", "")
            return
        self._stopped.set()
        if self._stream:
            self._stream.cut()

    def run(self) -> None:
        """`BaseException` passes through: a dying worker leaves the row to `interrupt_stale`."""
        try:
            self._finish(*self._outcome())
        finally:
            self._reply.end()
            self._reply.wait()

    def _outcome(self) -> tuple[MessageState, str, str]:
        """Ends in which state, with which sentence and code. What a stream raises that was cut means nothing."""
        try:
            return self._read(), "", ""
        except Unavailable as error:
            # What came before the connection broke is worth keeping.
            state = MessageState.INTERRUPTED if self._parts else MessageState.FAILED
            outcome = state, str(error), error.code
        except VertexError as error:
            outcome = self._state_after_failure, str(error), error.code
        except (ImageGone, StoreUnavailable) as error:
            outcome = self._state_after_failure, str(error), ""
        except Exception:
            logger.exception("The answer %s failed", self.message.pk)
            sentence = _("The console failed while receiving the answer. Try again. For details, see the worker's log.")
            outcome = self._state_after_failure, sentence, ""
        return (MessageState.STOPPED, "", "") if self._stopped.is_set() else outcome

    @property
    def _state_after_failure(self) -> MessageState:
        """What was said before is not lost by a continuation that fails."""
        return MessageState.INTERRUPTED if self.message.content else MessageState.FAILED

    def _read(self) -> MessageState:
        request, begun = request_for(self.message), self.message.content
        # Where connections are counted, one for each answer is too many: the keeper has one for all of them.
        connection.close_if_unusable_or_obsolete()
        if not begun:
            return self._ask(request)
        try:
            return self._ask(continuation.prefill(request, begun))
        except Refused:
            if len(self._parts) > 1:
                raise
        self._append(" ")
        return self._ask(continuation.ask_to_continue(request, begun))

    def _ask(self, request: ChatRequest) -> MessageState:
        """A model that was scaled to zero drops the question and starts: it is asked again until it is there. Google
        names no time for that."""
        heard, pauses = len(self._parts), waits.pauses(self._backoff)
        while True:
            try:
                return self._ask_once(request)
            except Unavailable as error:
                pause = next(pauses, None)
                if error.code != COLD or len(self._parts) > heard or pause is None:
                    raise
                if self._stopped.wait(max(pause, min(error.retry_after, waits.LONGEST_PAUSE))):
                    return MessageState.STOPPED

    def _ask_once(self, request: ChatRequest) -> MessageState:
        self._stream = get_gateway().chat.stream(request)
        if self._stopped.is_set():
            return MessageState.STOPPED
        with self._stream as chunks:
            for chunk in chunks:
                self._take(chunk)
                if self._stopped.is_set():
                    return MessageState.STOPPED
                if self.length > LONGEST_ANSWER:
                    self._finish_reason = "length"
                    break
        return MessageState.COMPLETE

    def _take(self, chunk: ChatChunk) -> None:
        if chunk.text:
            if self._first_token is None:
                self._first_token = time.monotonic() - self._began
                telemetry.FIRST_WORD_SECONDS.observe(self._first_token)
            self._append(chunk.text)
        self.length += self._calls.add(chunk.tool_calls)
        self._deployed_model_id = chunk.deployed_model_id or self._deployed_model_id
        self._finish_reason = chunk.finish_reason or self._finish_reason
        self._usage = dict(chunk.usage) if chunk.usage else self._usage

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self.length += len(text)
        self._reply.add(text)

    def _finish(self, state: MessageState, sentence: str, code: str) -> None:
        """Once, and only a row that still streams: one that was marked as interrupted meanwhile is left alone."""
        if not self._end.acquire(blocking=False):
            return
        check(MESSAGE_TRANSITIONS, MessageState.STREAMING, state)
        called, malformed = self._calls.finish()
        if malformed:
            self._append(f"\n\n{malformed}" if self._parts else malformed)
        text, talk, now = self.text(), self.message.conversation, timezone.now()
        row = {
            "state": state, "content": text, "html": markdown.answer(text), "finish_reason": self._finish_reason,
            "error_message": sentence, "error_code": code[:40], "lease_until": None, "updated_at": now,
            "tools": {"calls": called} if called else {},
        } | self._figures() | self._who()  # fmt: skip
        self._save_patiently(row)
        self._reply.end()
        live.notify(talk.owner_id, f"chat-{talk.pk}", f"endpoint-{self.message.endpoint_id}")

    def _save_patiently(self, row: Mapping[str, Any]) -> None:
        """What was paid for is not lost to a disk that is full for a while."""
        while True:
            try:
                with transaction.atomic():
                    Message.objects.filter(pk=self.message.pk, state=MessageState.STREAMING).update(**row)
                    Conversation.objects.filter(pk=self.message.conversation_id).update(updated_at=row["updated_at"])
                return
            except DatabaseError as error:
                shortage = shortages.shortage_of(error)
                if shortage is None or time.monotonic() - self._began > PATIENCE_SECONDS:
                    raise
            shortages.tell(logger, shortage, f"The answer {self.message.pk} waits to be saved")
            connection.close()
            time.sleep(RETRY_SECONDS)

    def _who(self) -> dict[str, str]:
        endpoint = self.message.endpoint
        who = traffic.answering_model(endpoint, self._deployed_model_id) if endpoint else ""
        return {"answered_by": who} if who else {}

    def _figures(self) -> dict[str, Any]:
        timings = {"total": round(time.monotonic() - self._began, 3)}
        if self._first_token is not None:
            timings["first_token"] = round(self._first_token, 3)
        if continuation.is_first_request(self.message.content, self.message.timings):
            return {"timings": timings, "usage": self._usage}
        return {
            "timings": continuation.sum_timings(self.message.timings, timings),
            "usage": continuation.sum_usage(self.message.usage, self._usage),
        }


def request_for(message: Message) -> ChatRequest:
    """Every earlier question that got an answer with text, in pairs: chat templates refuse two questions in a row."""
    conversation = message.conversation
    endpoint = message.endpoint
    if endpoint is None or endpoint.state != EndpointState.READY:
        raise VertexError(_("The endpoint is no longer ready. Choose another one."), "NOT_FOUND")
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
    for turn in conversation.prompt_turns(conversation.path(asked)) if asked else ():
        if turn.role == Role.USER:
            # The result of a call stays with the call, whatever became of the answer to it.
            turns += [question] if question and question.tools else []
            question = turn
        elif question and turn.state in KEPT and (turn.content.strip() or turn.tools):
            turns += [question, turn]
            question = None
    turns += [question] if question else []
    kept = images.select_images(turns, endpoint).kept
    said = ((turn, images.content_parts(turn, kept)) for turn in turns)
    return [message for turn, content in said for message in calls.messages_of(turn.role, content, turn.tools)]
