"""Shows answers while they are written: one thread draws and sends the frames of all answers of this process.

The thread that reads an answer only hands its text over. What goes on with the line that is shown is sent at once, as
plain text; ten times a second at most the unfinished block is drawn anew, and a finished one is sent for good.
"""

import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from uuid import UUID

from jobs import live

from .renderer import Drawing

logger = logging.getLogger(__name__)

DRAW_SECONDS = 0.1
TEXT_SECONDS = 0.02
# How long words alone stay as plain text, and how long a round may draw while other answers wait.
WORDS_SECONDS = 1.0
ROUND_SECONDS = 0.015
# A round is so long after the last one for each answer that is written, at most so long: then many share one.
PACE_SECONDS, LONGEST_PACE = 0.0005, 0.01
RETRY_SECONDS = 0.5
PATIENCE_SECONDS = 5.0
END = {"event": "end", "data": ""}


class Reply:
    """An answer's text on its way to the pages. `add`, `end` and `wait` are for its reader, the rest for the sender."""

    def __init__(self, message_id: UUID, calls: "queue.SimpleQueue[Reply]") -> None:
        self.message_id = message_id
        self.is_ending = self.is_complete = False
        self.sent_at = self.drawn_at = 0.0
        self.over = threading.Event()
        self._calls, self._is_called = calls, False
        self._incoming: deque[str] = deque()
        self._drawing = Drawing(message_id)
        self._is_broken = False
        self._said, self._said_at = "", 0

    def add(self, text: str) -> None:
        self._incoming.append(text)
        self._call()

    def end(self) -> None:
        """Nothing comes any more, and the page may fetch what is stored."""
        self.is_ending = True
        self._call()

    def wait(self) -> None:
        """Until the last frame is sent, or cannot be."""
        self.over.wait(PATIENCE_SECONDS)

    def _call(self) -> None:
        if not self._is_called:
            self._is_called = True
            self._calls.put(self)

    def take(self) -> live.Frame | None:
        """What came meanwhile, if it can be shown as plain text. `is_complete` from then on if it was the last."""
        self._is_called, self.is_complete = False, self.is_ending
        text = "".join(self._incoming.popleft() for _ in range(len(self._incoming)))
        self._said += text
        shown = self._drawing.add(text)
        return live.Frame(self.message_id, {"text": shown}) if shown else None

    def due(self, now: float) -> float:
        """When it has to be drawn: `now` or earlier, later, or never."""
        if self._is_broken or not (self._drawing.undrawn or self._drawing.is_lost):
            return math.inf
        if self.is_complete:
            return now
        return self.drawn_at + (WORDS_SECONDS if self._drawing.is_right else DRAW_SECONDS)

    def draw(self, now: float) -> live.Frame | None:
        is_first, self.drawn_at = not self.drawn_at, now
        try:
            return live.Frame(self.message_id, self._drawing.draw(), renews=is_first)
        except Exception:
            logger.exception("The answer %s cannot be drawn; its page shows it when it is complete", self.message_id)
            self._is_broken = True
            return None

    def with_text(self, frame: live.Frame) -> live.Frame:
        """If this process dies, what was shown is put together from the frames."""
        return replace(frame, said=self._said, at=self._said_at)

    def arrive(self) -> None:
        self._said, self._said_at = "", self._said_at + len(self._said)

    def lose(self, frame: live.Frame) -> None:
        self._drawing.lose(frame.fields)


class Sender:
    """Its thread begins with the first answer: before that the process may fork. `publish` says whether the frames that
    it is given were sent."""

    def __init__(self, publish: Callable[[Iterable[live.Frame]], bool] = live.chat_frames) -> None:
        self._publish = publish
        self._calls: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._agenda: dict[Reply, float] = {}
        self._lock = threading.Lock()
        self._open = 0
        self._thread: threading.Thread | None = None

    def open(self, message_id: UUID) -> Reply:
        """`end` it, whatever happens."""
        with self._lock:
            self._open += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="chat-frames", daemon=True)
                self._thread.start()
        return Reply(message_id, self._calls)

    def _run(self) -> None:
        while True:
            self._gather()
            now = time.monotonic()
            ready = [reply for reply, at in self._agenda.items() if at <= now]
            try:
                self._round(ready, now)
            except Exception:
                logger.exception("Frames of answers were lost")
                self._agenda |= dict.fromkeys(ready, now + RETRY_SECONDS)
            time.sleep(min(PACE_SECONDS * self._open, LONGEST_PACE))

    def _gather(self) -> None:
        """Waits until something is due, or an answer calls."""
        soonest = min(self._agenda.values(), default=math.inf)
        wait = None if soonest == math.inf else max(0.0, soonest - time.monotonic())
        try:
            reply = self._calls.get(timeout=wait)
            while True:
                if not reply.over.is_set():
                    at = 0.0 if reply.is_ending else reply.sent_at + TEXT_SECONDS
                    self._agenda[reply] = min(at, self._agenda.get(reply, at))
                reply = self._calls.get_nowait()
        except queue.Empty:
            return

    def _round(self, replies: Sequence[Reply], now: float) -> None:
        """The texts of all; then those that wait longest are drawn, as many as there is time for."""
        taken = [(reply, reply.take()) for reply in replies]
        undrawn = [(reply, text) for reply, text in taken if reply.due(now) <= now]
        self._send([(reply, text) for reply, text in taken if text and reply.due(now) > now], now)
        undrawn.sort(key=lambda found: (not found[0].is_complete, found[0].drawn_at))
        drawn: list[tuple[Reply, live.Frame | None]] = []
        for reply, text in undrawn:
            has_time = reply.is_complete or time.monotonic() < now + ROUND_SECONDS
            drawn.append((reply, reply.draw(now) if has_time else text))
        self._send(drawn, now)
        self._plan(replies, now)

    def _send(self, frames: Sequence[tuple[Reply, live.Frame | None]], now: float) -> None:
        found = [(reply, frame) for reply, frame in frames if frame]
        if not found:
            return
        is_sent = self._publish(reply.with_text(frame) for reply, frame in found)
        for reply, frame in found:
            reply.sent_at = now if is_sent else now + RETRY_SECONDS
            if is_sent:
                reply.arrive()
            else:
                reply.lose(frame)

    def _plan(self, replies: Sequence[Reply], now: float) -> None:
        for reply in replies:
            self._agenda[reply] = max(reply.due(now), reply.sent_at + TEXT_SECONDS)
            if self._agenda[reply] == math.inf:
                del self._agenda[reply]
        over = [reply for reply in replies if reply.is_complete]
        if not over:
            return
        self._publish(live.Frame(reply.message_id, END, renews=True) for reply in over)
        for reply in over:
            self._agenda.pop(reply, None)
            reply.over.set()
        with self._lock:
            self._open -= len(over)


sender = Sender()
