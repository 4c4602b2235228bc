"""Reads what exists in a region into rows, kind by kind. One that cannot be read says why and keeps what it had; the
others go on."""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from jobs import live
from jobs.models import FoundKind, FoundResource, InventoryLook
from jobs.models.fields.names import CONTROL_CHARACTERS, LONGEST_NAME
from jobs.models.remote import is_recent
from jobs.services.accounts import accounts
from jobs.services.costs import machine_prices
from jobs.services.costs.machine_prices import Machine
from jobs.states import TUNING_TERMINAL
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError
from jobs.vertex.found import Found, FoundModel, FoundPage, Machines

from . import ownership, regions

logger = logging.getLogger(__name__)

MAX_RESOURCES = 2000
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
MAX_MODELS = 20
# Of jobs: an older one has ended long ago.
AGE = timedelta(days=90)
# Sooner than this nobody looks again, however often it is asked for.
SHORTEST_PAUSE = timedelta(seconds=2)
# In a region that has more than is read, what was seen lately stays.
KEPT = timedelta(days=1)
MOST, MOST_USD = 9999, Decimal("999999.9999")
LONGEST_URI, LONGEST_KEY, LONGEST_STATE, LONGEST_RESOURCE, LONGEST_TYPE = 1024, 128, 40, 512, 64
SEEN = ("resource_name", "display_name", "state", "facts", "is_running", "usd_per_hour", "seen_at")


def look(location: str, now: datetime, limit: int = MAX_RESOURCES) -> None:
    """At every kind of resource in the region. A name of none is not asked for: it would be part of an address."""
    if location not in regions.list_regions():
        return
    changed = [_look_at(kind, location, now, limit) for kind in FoundKind]
    if any(changed):
        for user_id in accounts.active_user_ids():
            live.notify(user_id, "endpoints")


def forget(locations: Iterable[str]) -> None:
    """What was found elsewhere than in these regions, at which nobody looks any more."""
    for model in (FoundResource, InventoryLook):
        model.objects.exclude(location__in=list(locations)).delete()


def _look_at(kind: FoundKind, location: str, now: datetime, limit: int) -> bool:
    """True when something is there that was not, or the other way round."""
    last = InventoryLook.objects.filter(kind=kind, location=location).first()
    if last and is_recent(last.looked_at, now, SHORTEST_PAUSE):
        return False
    try:
        page = get_gateway().inventory.list_resources(kind, location, now - AGE, limit)
    except VertexError as error:
        logger.info("What is in %s could not be listed (%s): %s", location, kind, error)
        _note(kind, location, looked_at=now, problem=str(error))
        return last is None or last.problem != str(error)
    before = _list_shown(kind, location)
    with transaction.atomic():
        _keep(kind, location, page, now)
        _note(kind, location, looked_at=now, succeeded_at=now, is_whole=page.is_whole, problem="")
    return last is None or bool(last.problem) or before != _list_shown(kind, location)


def _list_shown(kind: FoundKind, location: str) -> set[tuple[Any, ...]]:
    rows = FoundResource.objects.filter(kind=kind, location=location)
    return set(rows.values_list("key", "state", "display_name", "is_running"))


def _note(kind: FoundKind, location: str, **columns: Any) -> None:
    InventoryLook.objects.update_or_create(kind=kind, location=location, defaults=columns)


def _keep(kind: FoundKind, location: str, page: FoundPage, now: datetime) -> None:
    named = [replace(one, name=_clean(one.name, LONGEST_RESOURCE)) for one in page.resources]
    found = {ownership.key_of(one.name)[:LONGEST_KEY]: one for one in ownership.without_own(kind, named)}
    rows = [
        FoundResource(kind=kind, location=location, key=key, **_columns(kind, location, one, now))
        for key, one in found.items()
    ]
    FoundResource.objects.bulk_create(
        rows, batch_size=200, update_conflicts=True, unique_fields=["kind", "location", "key"], update_fields=SEEN
    )
    gone = FoundResource.objects.filter(kind=kind, location=location, seen_at__lt=now)
    if not page.is_whole:
        gone = gone.filter(seen_at__lt=now - KEPT)
    gone.delete()


def _columns(kind: FoundKind, location: str, one: Found, now: datetime) -> dict[str, Any]:
    is_running = bool(one.models) if kind == FoundKind.ENDPOINT else kind in JOBS and one.state not in TUNING_TERMINAL
    return {
        "resource_name": one.name,
        "display_name": _clean(one.display_name, LONGEST_NAME) or ownership.key_of(one.name)[:LONGEST_NAME],
        "state": _clean(one.state, LONGEST_STATE),
        "facts": _facts(one),
        "is_running": is_running,
        "usd_per_hour": usd_per_hour(one.machines, location) if is_running else None,
        "created_at": one.create_time or now,
        "seen_at": now,
    }


JOBS = (FoundKind.TUNING_JOB, FoundKind.CUSTOM_JOB)


def _facts(one: Found) -> dict[str, Any]:
    """What is not told is left out."""
    words = {"base_model": one.base_model, "folder": one.folder, "image": one.image, "result": one.result}
    told = {name: _clean(text, LONGEST_URI) for name, text in words.items() if text}
    if one.dedicated_dns:
        told["dedicated_dns"] = _clean(one.dedicated_dns, 255)
    lists = {
        "models": [_model(model) for model in _each_once(one.models)[:MAX_MODELS]],
        "machines": [_machines(machines) for machines in one.machines[:MAX_MODELS]],
    }
    return told | {name: values for name, values in lists.items() if values}


def _each_once(models: Iterable[FoundModel]) -> list[FoundModel]:
    """What has no id that an address can name is left out: nothing could be done with it."""
    return list({model.id: model for model in models if ID.fullmatch(model.id)}.values())


def _model(model: FoundModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "model": _clean(model.model, LONGEST_RESOURCE),
        "display_name": _clean(model.display_name, LONGEST_NAME),
        "share": _number(model.share, 100),
        "created_at": model.create_time.isoformat() if model.create_time else "",
        **_machines(model.machines),
    }


def _machines(machines: Machines) -> dict[str, Any]:
    return {
        "machine_type": _clean(machines.type, LONGEST_TYPE),
        "accelerator_type": _clean(machines.accelerator, LONGEST_TYPE),
        "accelerator_count": _number(machines.accelerators),
        "count": _number(machines.count),
        "most": _number(machines.most),
        "available": None if machines.available is None else _number(machines.available),
    }


def usd_per_hour(machines: Iterable[Machines], location: str) -> Decimal | None:
    """Of those that always work, as far as a column goes. None when one of the prices is not known, or nobody tells
    what works."""
    counted, region = Counter[Machine](), machine_prices.serving_region(location)
    for one in list(machines) or [Machines("")]:
        counted[Machine(_clean(one.type, LONGEST_TYPE), region)] += _number(one.count)
    prices = machine_prices.find_prices(counted)
    total = Decimal(0)
    for machine, count in counted.items():
        price = prices[machine]
        if price is None:
            return None
        total += price.usd_per_hour * count
    return min(round(total, 4), MOST_USD)


def _number(value: int, most: int = MOST) -> int:
    return min(max(value, 0), most)


def _clean(text: str, longest: int) -> str:
    """One line that a database takes."""
    line = CONTROL_CHARACTERS.sub(" ", text).encode("utf-8", "replace").decode()
    return line.strip()[:longest]
