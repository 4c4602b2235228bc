"""The models that the configured Vertex AI offers."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from jobs import live
from jobs.models import CatalogueSync, PublisherModel
from jobs.services.accounts import accounts
from jobs.text.deferred import gettext as _
from jobs.vertex import get_gateway
from jobs.vertex.errors import VertexError
from jobs.vertex.values import CatalogueModel

from .facts import facts_of, is_offered_by_managed_tuning, licence_of

LICENCES_A_SYNC = 40


def sync(now: datetime) -> None:
    """Two calls at most for most models; a failure keeps what was read before and says why."""
    try:
        offered = get_gateway().catalogue.list_models()
    except VertexError as error:
        _remember_sync(failed_at=now, error_message=str(error))
        return
    if not offered:
        _remember_sync(
            failed_at=now, error_message=_("Vertex AI returned an empty list of models. Nothing was changed.")
        )
        return
    with transaction.atomic():
        first = None if _never_read() else now
        for model in offered:
            columns = _columns(model, now)
            PublisherModel.objects.update_or_create(
                name=model.name, defaults=columns, create_defaults={**columns, "first_seen_at": first}
            )
        PublisherModel.objects.exclude(name__in=[model.name for model in offered]).update(is_listed=False)
        _remember_sync(succeeded_at=now, failed_at=None, error_message="")
        accounts.heartbeat("vertex", now)
    _read_licences(offered)
    _notify_everybody()


def _never_read() -> bool:
    return not CatalogueSync.objects.filter(succeeded_at__isnull=False).exists()


def _remember_sync(**values: Any) -> None:
    CatalogueSync.objects.update_or_create(pk=1, defaults=values)


def _columns(model: CatalogueModel, now: datetime) -> dict[str, Any]:
    known, licence = facts_of(model.name), licence_of(model.name)
    family, _at, version = model.name.partition("@")
    publisher, _slash, family = family.partition("/")
    return {
        "publisher": publisher,
        "family": family,
        "version": version or family,
        "display_name": model.display_name,
        "launch_stage": model.launch_stage,
        "can_deploy": bool(model.machine_specs),
        "can_tune": model.can_tune and (bool(settings.VERTEX_API_ENDPOINT) or is_offered_by_managed_tuning(model.name)),
        "data": {
            "overview": model.overview,
            "licence": model.licence or (licence.name if licence else ""),
            "licence_url": model.licence_url or (licence.url if licence and not model.licence else ""),
            "licence_acceptance": licence.acceptance if licence and not model.licence else True,
            "machine_specs": [asdict(machine) for machine in model.machine_specs],
            "sample_request": dict(model.sample_request),
            "parameters": model.parameters,
            "context_tokens": model.context_tokens or known.get("context_tokens", 0),
            "modalities": list(model.modalities or known.get("modalities", ())),
            "documents": dict(model.documents),
            "weight_bytes": model.weight_bytes,
            **({} if model.imported_bytes is None else {"imported_bytes": model.imported_bytes}),
            **({"sampling": dict(model.sampling)} if model.sampling else {}),
            **({} if model.knows_tools is None else {"knows_tools": model.knows_tools}),
            "precisions": {name: [asdict(one) for one in several] for name, several in model.precisions.items()},
            **(
                {"paces": {mode: [one.load, one.step, one.token] for mode, one in model.paces.items()}}
                if model.paces
                else {}
            ),
            **({"memory": asdict(model.memory) | {"told_at": now.isoformat()}} if model.memory else {}),
        },
        "is_listed": True,
        "fetched_at": now,
    }


def _read_licences(models: Iterable[CatalogueModel]) -> None:
    """One call a model, so only for those that can be used, and no more than forty at a time: unknown ones first."""
    names = [model.name for model in models if model.can_tune or model.machine_specs]
    rows = PublisherModel.objects.filter(name__in=names)
    for row in sorted(rows, key=lambda row: (row.licence_acknowledged is not None, bool(row.licence_acknowledged)))[
        :LICENCES_A_SYNC
    ]:
        try:
            acknowledged = get_gateway().catalogue.licence_acknowledged(row.name)
        except VertexError:
            continue
        if acknowledged != row.licence_acknowledged:
            PublisherModel.objects.filter(pk=row.pk).update(licence_acknowledged=acknowledged)


def _notify_everybody() -> None:
    for user_id in accounts.active_user_ids():
        live.notify(user_id, "models")
