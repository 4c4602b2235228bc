"""What a page costs on the wire, headers included, and when its largest part is painted, as Chromium tells it."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page

QUIET_MS, PATIENCE_MS = 250, 6000
LARGEST_PAINT = """() => new Promise((tell) => {
  new PerformanceObserver((list) => tell(list.getEntries().at(-1).startTime))
    .observe({ type: "largest-contentful-paint", buffered: true });
  setTimeout(() => tell(0), 2000);
})"""


@dataclass
class Wire:
    """Bytes by address of everything a page has fetched. A stream that stays open counts with what came so far."""

    bytes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _addresses: dict[str, str] = field(default_factory=dict)

    def listen(self, context: BrowserContext, page: Page) -> None:
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        network.on("Network.requestWillBeSent", self._asked)
        network.on("Network.responseReceived", self._headed)
        network.on("Network.dataReceived", self._came)
        network.on("Network.loadingFinished", self._ended)

    def _asked(self, event: Any) -> None:
        self._addresses[event["requestId"]] = event["request"]["url"]

    def _headed(self, event: Any) -> None:
        self._count(event, event["response"]["encodedDataLength"], fresh=True)

    def _came(self, event: Any) -> None:
        self._count(event, event["encodedDataLength"])

    def _ended(self, event: Any) -> None:
        self._count(event, event["encodedDataLength"], fresh=True)

    def _count(self, event: Any, size: int, *, fresh: bool = False) -> None:
        """`fresh` figures say how much it is altogether."""
        address = self._addresses.get(event["requestId"], "")
        if address.startswith("http"):
            self.bytes[address] = size if fresh else self.bytes[address] + size

    @property
    def total(self) -> int:
        return sum(self.bytes.values())


def weighed(context: BrowserContext, address: str) -> Wire:
    """A visit in a window of its own, until nothing more comes."""
    page, wire = context.new_page(), Wire()
    wire.listen(context, page)
    page.goto(address, wait_until="load")
    seen = -1
    for _ in range(PATIENCE_MS // QUIET_MS):
        if wire.total == seen:
            break
        seen = wire.total
        page.wait_for_timeout(QUIET_MS)
    page.close()
    return wire


def largest_paint(context: BrowserContext, address: str) -> float:
    """Milliseconds from the start of the navigation; 0 when nothing was painted."""
    page = context.new_page()
    page.goto(address, wait_until="load")
    found = float(page.evaluate(LARGEST_PAINT))
    page.close()
    return found
