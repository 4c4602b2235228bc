"""Reads Google's price catalogue into rows, once a day, and says why it could not be read."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from jobs.models import MachinePrice, PriceSync
from jobs.models.remote import is_recent
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError
from jobs.vertex.skus import COMPUTE_ENGINE, VERTEX_AI

from .sku_prices import PartPrices, Rate, list_rates

logger = logging.getLogger(__name__)

EVERY = timedelta(hours=24)
AGAIN_AFTER_FAILURE = timedelta(hours=6)
# Pages of five thousand lines. Compute Engine's catalogue has some tens of thousands.
MAX_PAGES = 30
KEPT = timedelta(days=400)


def sync(now: datetime) -> None:
    """Nothing for the local Vertex AI, which costs nothing. What fails keeps what was read before."""
    if settings.VERTEX_API_ENDPOINT or not is_due(now):
        return
    prices, problem = PartPrices(), ""
    try:
        for service in (VERTEX_AI, COMPUTE_ENGINE):
            _read_service(service, prices)
    except VertexError as error:
        problem = str(error)
    rates = list(list_rates(prices))
    if not (rates or problem):
        problem = _("Google's price catalogue has no line for a known machine.")
    with transaction.atomic():
        _keep(rates, now)
        if problem:
            _remember(failed_at=now, error_message=problem)
        else:
            _remember(succeeded_at=now, failed_at=None, error_message="")


def is_due(now: datetime) -> bool:
    last = PriceSync.objects.filter(pk=1).first()
    if last is None:
        return True
    return not (is_recent(last.succeeded_at, now, EVERY) or is_recent(last.failed_at, now, AGAIN_AFTER_FAILURE))


def find_sync() -> PriceSync | None:
    return PriceSync.objects.filter(pk=1).first()


def _read_service(service: str, prices: PartPrices) -> None:
    token = ""
    for _page in range(MAX_PAGES):
        page = get_gateway().project.list_skus(service, token)
        prices.add(page.skus)
        token = page.next_token
        if not token:
            return
    logger.warning("The price catalogue of %s has more than %d pages; the rest was not read", service, MAX_PAGES)


def _keep(rates: list[Rate], now: datetime) -> None:
    rows = [
        MachinePrice(
            machine_type=rate.machine_type, region=rate.region, spot=rate.spot,
            usd_per_hour=round(rate.usd_per_hour, 6), read_at=now,
        )
        for rate in rates
    ]  # fmt: skip
    MachinePrice.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["machine_type", "region", "spot"],
        update_fields=["usd_per_hour", "read_at"],
    )  # fmt: skip
    MachinePrice.objects.filter(read_at__lt=now - KEPT).delete()


def _remember(**values: Any) -> None:
    PriceSync.objects.update_or_create(pk=1, defaults=values)
