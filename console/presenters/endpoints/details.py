"""An endpoint with what its pages say about it beyond its row: what it costs and how much it is used."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy

from console.presenters.components import price_words
from jobs.models import DeployedModel, Endpoint
from jobs.services.costs import ledger, machine_prices
from jobs.services.costs.ledger import Spent
from jobs.services.costs.machine_prices import Machine, Price
from jobs.services.endpoints import usage
from jobs.services.endpoints.reports import reports
from jobs.services.endpoints.warnings import IDLE
from jobs.states import DEPLOYED_LIVE, EndpointState

from .served_models import models_of
from .serving_options import list_options

NOTHING = Spent()
RUNNING = frozenset({EndpointState.DEPLOYING, EndpointState.READY, EndpointState.UNDEPLOYING})


@dataclass(frozen=True)
class Shown:
    """`hours`: requests in each of the last 24 hours. `models`: those deployed on it, that failed lately, too. `spent`:
    since it was made, with the models that left."""

    endpoint: Endpoint
    hours: list[int]
    now: datetime
    models: list[DeployedModel] = field(default_factory=list)
    prices: Mapping[Machine, Price | None] = field(default_factory=dict)
    spent: Spent = NOTHING

    @property
    def requests(self) -> int:
        return sum(self.hours)

    @property
    def replica_range(self) -> str:
        low, high = self.endpoint.model.min_replicas, self.endpoint.model.max_replicas
        return str(low) if low == high else f"{low}–{high}"

    @property
    def replicas(self) -> str:
        asked, now = self.replica_range, self.endpoint.model.available_replicas
        if self.endpoint.state != EndpointState.READY or now is None or str(now) == asked:
            return asked
        return f"{now} / {asked}"

    @property
    def options(self) -> list[tuple[str | Promise, str | Promise]]:
        return list_options(self.endpoint.model)

    @property
    def price(self) -> Price | None:
        return self.prices.get(machine_prices.machine_of(self.endpoint.model))

    @property
    def live(self) -> list[DeployedModel]:
        return [model for model in self.models if model.state in DEPLOYED_LIVE]

    @property
    def others(self) -> list[DeployedModel]:
        return [model for model in self.live if model.pk != self.endpoint.main_model_id]

    @property
    def usd_per_hour(self) -> Decimal | None:
        """Of the replicas that always run, of all models; None when a price is not known."""
        return machine_prices.total_per_hour(self.live, self.prices)

    @property
    def is_running(self) -> bool:
        return self.endpoint.state in RUNNING

    @property
    def cost_words(self) -> str | Promise:
        if not self.is_running:
            return "–"
        if self.usd_per_hour is None:
            return _("Unknown")
        return price_words.money(self.usd_per_hour) if self.usd_per_hour else _("No cost")

    @property
    def cost_note(self) -> str:
        """Where the price comes from, for its title."""
        if self.price is None:
            words = {"region": self.endpoint.location}
            return _("The price of this machine in %(region)s is unknown. See Google's price list.") % words
        if not self.price.usd_per_hour:
            return _("No charge: it runs on this computer")
        return f"{_('Estimate for the minimum number of replicas.')} {price_words.source_words(self.price)}"

    @property
    def old_price_words(self) -> str:
        return price_words.old_words(self.price) if self.is_running else ""

    @property
    def cost_so_far_words(self) -> str | Promise:
        """By the ledger, with the models that left. Nothing where nothing was spent, as on this computer."""
        if self.spent.unknown and not self.spent.usd:
            return _("Unknown: this machine has no known price")
        return price_words.spent_words(self.spent) if self.spent != NOTHING else ""

    @property
    def idle_warning(self) -> str | Promise:
        """After a day without a request, as far as somebody counts those of others."""
        seen = max(filter(None, (self.endpoint.started_at, self.endpoint.last_request_at)), default=self.now)
        if self.endpoint.state != EndpointState.READY or self.now - seen < IDLE or self.usd_per_hour == 0:
            return ""
        return gettext_lazy("Idle, incurs costs") if self.usd_per_hour else gettext_lazy("Idle, might incur costs")


def describe_endpoints(endpoints: Iterable[Endpoint]) -> list[Shown]:
    rows = list(endpoints)
    return describe_with(rows, _count_by_hour(rows, timezone.now()))


def _count_by_hour(rows: list[Endpoint], now: datetime) -> dict[UUID, list[int]]:
    """Those of everybody, where they are told and no fewer than what this console asked."""
    own, everybody = usage.by_hour(rows, now), reports.by_hour(rows, now)
    return {pk: max(hours, everybody.get(pk, hours), key=sum) for pk, hours in own.items()}


def describe_with(rows: list[Endpoint], hours: Mapping[UUID, list[int]]) -> list[Shown]:
    """`hours`: requests by endpoint; those of which nothing is told have none."""
    now, models = timezone.now(), models_of(rows)
    shown = [*models, *(row.model for row in rows)]
    prices = machine_prices.find_prices(machine_prices.machine_of(model) for model in shown)
    spent = ledger.spent_by_group((row.pk for row in rows), now)
    return [
        Shown(
            row, hours.get(row.pk, []), now, [model for model in models if model.endpoint_id == row.pk], prices,
            spent.get(row.pk, NOTHING),
        )
        for row in rows
    ]  # fmt: skip
