"""Lines of a log that say what the program said. A name, a path or an address in a message comes from outside: it must
neither begin a line of its own nor colour the terminal or turn the direction of the text. Only the standard library, so
that every program can use it."""

import logging
import re

# Control characters but the tab, what ends a line elsewhere, what turns the direction of text, halves of pairs.
UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
FURTHER_LINE = "  | "
OF_A_LOST_BROKER = ("Couldn't ack", "Couldn't reject", "Failed to cancel active request")
_secret = re.compile("((?!))")


def hide_after(*pages: str) -> None:
    """From now on, in every log of this process: what follows one of these beginnings of an address."""
    global _secret
    beginnings = "|".join(map(re.escape, pages))
    _secret = re.compile(rf"({beginnings})[^/\s\"'?]+")


def escape(text: str) -> str:
    r"""In one line: a line end becomes `\n`, another such character `\x1b` or `\u202e`."""
    return UNSAFE.sub(_escape, text) if UNSAFE.search(text) else text


def hide(text: str) -> str:
    """Without what makes an address a secret."""
    return _secret.sub(r"\1…", text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class LostBroker(logging.Filter):
    """What Celery says of each message that it holds when the broker has gone: one line. The message comes again, and
    each task stands that; nor does it matter that a task in a thread cannot be cancelled."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(OF_A_LOST_BROKER):
            record.exc_info = record.exc_text = None
        return True


class LineFormatter(logging.Formatter):
    """One line for an event. Only a traceback has more, and each of those begins with a mark."""

    def format(self, record: logging.LogRecord) -> str:
        first, *further = hide(super().format(record)).split("\n")
        return "\n".join([first, *(FURTHER_LINE + escape(line) for line in further)])

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name of the standard library
        return escape(super().formatMessage(record))
