from collections.abc import Sequence
from typing import TYPE_CHECKING

from jobs.vertex.skus import SkuPage
from tests.fakes.base import Part, remote

if TYPE_CHECKING:
    from tests.fakes import FakeGateway


class FakeProject(Part):
    """`missing`: rights that the credentials lack. `quotas` by name and region; what is not there nobody tells.
    `price_pages` by service, each page with the number of the next one as its token."""

    noun = "project"

    def __init__(self, world: "FakeGateway") -> None:
        super().__init__(world)
        self.missing: set[str] = set()
        self.billing = True
        self.services = {"aiplatform.googleapis.com"}
        self.quotas: dict[tuple[str, str], int] = {}
        self.price_pages: dict[str, list[SkuPage]] = {}

    @remote
    def number(self) -> str:
        return "42"

    @remote
    def missing_permissions(self, wanted: Sequence[str]) -> list[str]:
        return [one for one in wanted if one in self.missing]

    @remote
    def has_billing(self) -> bool:
        return self.billing

    @remote
    def is_enabled(self, service: str) -> bool:
        return service in self.services

    @remote
    def quota(self, name: str, region: str) -> int | None:
        return self.quotas.get((name, region))

    @remote
    def list_skus(self, service: str, page_token: str) -> SkuPage:
        pages = self.price_pages.get(service, [])
        return pages[int(page_token or 0)] if pages else SkuPage((), "")
