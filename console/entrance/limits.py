"""How much one client may ask for; docs/access.md has the same numbers in a table."""

import threading
from collections import Counter
from typing import Final

KILOBYTE: Final = 1024
MEGABYTE: Final = 1024 * KILOBYTE

# Connections. An address of a company stands for all who work there, and one person may have 32 streams. Of all that
# there may be, one address never has more than the fourth part, and some are kept for this machine: who asks there
# whether the console works gets an answer.
CONNECTIONS: Final = 4000
CONNECTIONS_PER_ADDRESS: Final = 1000
SHARE_OF_ADDRESS: Final = 4
CONNECTIONS_OF_THIS_MACHINE: Final = 16
HEADER_SECONDS: Final = 10
HEADER_BYTES: Final = 32 * KILOBYTE
HEADERS: Final = 100
# What the system may hold of an answer for one connection; it would hold 4 MB for a client that reads nothing.
SEND_BUFFER: Final = 256 * KILOBYTE

# How slowly a body may come, and an answer may be taken.
SILENT_SECONDS: Final = 30
TAKING_SECONDS: Final = 10
SLOWEST_PACE: Final = 4 * KILOBYTE

# What of the bodies and answers lies here at one time.
BYTES: Final = 512 * MEGABYTE
BYTES_PER_CLIENT: Final = 192 * MEGABYTE
ANSWER_BYTES: Final = 128 * MEGABYTE
# Smaller pages everybody gets who has not used up their own share, however much the others have lying here.
SMALL_ANSWER: Final = 256 * KILOBYTE

# Threads that make pages. More of them for one client would only take turns with those of the others.
THREADS: Final = 10
THREADS_PER_CLIENT: Final = 4
WAITING: Final = 400
WAITING_PER_CLIENT: Final = 100
WAIT_SECONDS: Final = 20
# Threads for whoever watches the console, apart: they hear how it is also while all pages wait for a database that
# hangs, and after so many seconds that nobody knows.
WATCH_THREADS: Final = 3
WATCH_THREADS_PER_CLIENT: Final = 2
WATCH_SECONDS: Final = 5
# With all threads at one page each for so long, none of them will end: longer than a call of Vertex AI may take. Unless
# they work: then they use more than this share of a processor's time, all together.
HUNG_SECONDS: Final = 120
HUNG_SHARE: Final = 0.01


class Full(Exception):
    """A client, or all of them together, would have more than their share."""


class Ledger:
    """Bytes that lie here, by client; used by threads, too."""

    def __init__(self, most: int = BYTES, each: int = BYTES_PER_CLIENT, answer: int = ANSWER_BYTES) -> None:
        """Of all together, of each client, and of one answer that is not ready yet."""
        self.most, self.each, self.answer = most, each, answer
        self.held: Counter[str] = Counter()
        self.lock = threading.Lock()

    def take(self, client: str, size: int, *, is_small: bool = False) -> None:
        """Raises Full; what is small only for this client's own share."""
        with self.lock:
            if self.held[client] + size > self.each:
                raise Full
            if not is_small and self.held.total() + size > self.most:
                raise Full
            self.held[client] += size

    def give_back(self, client: str, size: int) -> None:
        with self.lock:
            self.held[client] -= size
            if self.held[client] <= 0:
                del self.held[client]


class Account:
    """What one request holds of the ledger; everything is given back at once."""

    def __init__(self, ledger: Ledger, client: str) -> None:
        self.ledger, self.client, self.size = ledger, client, 0

    def take(self, size: int, *, is_small: bool = False) -> None:
        self.ledger.take(self.client, size, is_small=is_small)
        self.size += size

    def close(self) -> None:
        self.ledger.give_back(self.client, self.size)
        self.size = 0
