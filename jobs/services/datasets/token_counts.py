"""The tokens of a dataset as a training counts them: by the base model's own tokenizer and chat template, where the
server that trains can be asked. Best effort: the page has an estimate without it."""

import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from jobs import live, shortages
from jobs.models import Dataset, PublisherModel, TuningMode
from jobs.vertex import get_gateway
from jobs.vertex.errors import NO_TOOLS, Refused, VertexError

from .file import open_file

logger = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=20)
# A server that has no answer after so many questions is left alone for a while.
MOST_TRIES, REST = 6, timedelta(minutes=10)
MOST_ROWS, MOST_BYTES = 500, 512 * 1024
PLACES = 16


def ask(dataset: Dataset, base_model: str, now: datetime) -> bool:
    """True when the worker is to be told: where this computer trains, and not while an answer is under way. A page that
    is only looked at asks, so nothing is asked while nothing can be written."""
    if shortages.present():
        return False
    if not settings.VERTEX_API_ENDPOINT or not dataset.is_usable or is_complete(dataset, base_model):
        return False
    known = dataset.token_counts.get(base_model, {})
    since = now - datetime.fromisoformat(known["asked_at"]) if known else REST
    tries = known.get("tries", 0) if since < REST else 0
    if known and (since < PATIENCE or tries >= MOST_TRIES):
        return False
    with shortages.if_possible(logger, "Asking for the tokens of a dataset"):
        _write(dataset.pk, base_model, asked_at=now.isoformat(), tries=tries + 1)
        return True
    return False


def is_pending(dataset: Dataset, base_model: str, now: datetime) -> bool:
    known = dataset.token_counts.get(base_model, {})
    asked = known and now - datetime.fromisoformat(known["asked_at"]) < PATIENCE
    return bool(asked) and not is_complete(dataset, base_model)


def is_complete(dataset: Dataset, base_model: str) -> bool:
    """The tokens are counted, and the speed of this computer was tried in each mode."""
    if dataset.has_unknown_tools(base_model):
        return True
    if "tokens" not in dataset.token_counts.get(base_model, {}):
        return False
    model = PublisherModel.objects.filter(name=base_model).only("data").first()
    return model is not None and set(TuningMode.values) <= set(model.data.get("paces") or {})


def run(dataset_id: UUID, base_model: str, draft_id: UUID | None = None) -> None:
    """Two reads of the server that trains, and a part of the file. Tells the page of the draft."""
    dataset = Dataset.objects.filter(pk=dataset_id).first()
    if dataset is None or base_model not in dataset.token_counts:
        return
    gateway = get_gateway().catalogue
    try:
        if "tokens" not in dataset.token_counts[base_model]:
            rows, share = sample(dataset)
            counted = gateway.count_tokens(base_model, rows) if rows else None
            if counted:
                _write(dataset.pk, base_model, tokens=round(counted / share), rows=len(rows))
        paces = gateway.training_paces(base_model)
    except Refused as error:
        if error.code != NO_TOOLS:
            return
        _write(dataset.pk, base_model, no_tools=True)
        paces = {}
    except VertexError:
        return
    if paces:
        keep_paces(base_model, {mode: [pace.load, pace.step, pace.token] for mode, pace in paces.items()})
    live.notify(dataset.owner_id, f"draft-{draft_id}")


def keep_paces(base_model: str, paces: dict[str, list[float]]) -> None:
    with transaction.atomic():
        for model in PublisherModel.objects.select_for_update().filter(name=base_model):
            model.data["paces"] = paces
            model.save(update_fields=["data"])


def sample(dataset: Dataset) -> tuple[list[dict[str, Any]], float]:
    """All rows of a small file; of a larger one, those around places that are spread evenly over it. With them, their
    share of the file."""
    rows: list[dict[str, Any]] = []
    taken = 0
    for line in _lines(dataset):
        if len(rows) == MOST_ROWS or taken + len(line) > MOST_BYTES:
            break
        rows.append(json.loads(line))
        taken += len(line)
    return rows, (taken / dataset.byte_size if taken else 1.0)


def _lines(dataset: Dataset) -> Iterator[bytes]:
    whole = dataset.byte_size <= MOST_BYTES and dataset.valid_rows <= MOST_ROWS
    places = 1 if whole else PLACES
    with open_file(dataset) as file:
        for place in range(places):
            file.seek(dataset.byte_size * place // places)
            if place:
                file.readline(MOST_BYTES)
            for _row in range(MOST_ROWS // places):
                line = file.readline(MOST_BYTES // places if not whole else MOST_BYTES)
                if not line.endswith(b"\n"):
                    break
                yield line


def _write(pk: UUID, base_model: str, **values: Any) -> None:
    with transaction.atomic():
        row = Dataset.objects.select_for_update().get(pk=pk)
        row.token_counts[base_model] = row.token_counts.get(base_model, {}) | values
        row.save(update_fields=["token_counts"])
