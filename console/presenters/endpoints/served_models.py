"""The models of an endpoint as its page shows them: this console's, and those that others put there."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from jobs.models import DeployedModel, Endpoint
from jobs.states import DEPLOYED_LIVE, DeployedState, EndpointState

from .serving_options import list_options

FAILURES_SHOWN = timedelta(days=1)


@dataclass(frozen=True)
class Served:
    """`row` None: it was deployed outside this console. `share` None: it gets traffic once it is deployed."""

    id: str
    name: str
    share: int | None
    row: DeployedModel | None

    @property
    def options(self) -> list[tuple[str | Promise, str | Promise]]:
        return list_options(self.row) if self.row else []

    @property
    def replicas(self) -> str:
        row = self.row
        if row is None:
            return "–"
        asked = (
            str(row.min_replicas) if row.min_replicas == row.max_replicas else f"{row.min_replicas}–{row.max_replicas}"
        )
        now = row.available_replicas
        return asked if now is None or str(now) == asked else f"{now} / {asked}"


def models_of(endpoints: Iterable[Endpoint]) -> list[DeployedModel]:
    """Those that stand for an endpoint, that are there or on their way, and that failed lately."""
    rows = list(endpoints)
    lately = Q(state=DeployedState.FAILED, ended_at__gte=timezone.now() - FAILURES_SHOWN)
    main = Q(pk__in=[endpoint.main_model_id for endpoint in rows])
    found = DeployedModel.objects.filter(main | Q(state__in=DEPLOYED_LIVE) | lately, endpoint__in=rows)
    return list(found.select_related("job"))


def list_served_models(endpoint: Endpoint, models: Iterable[DeployedModel]) -> list[Served]:
    """The one that stands for the endpoint first. Empty unless something is deployed."""
    if endpoint.state != EndpointState.READY:
        return []
    rows = {model.deployed_model_id: model for model in models}
    known = [Served(id_, row.display_name, endpoint.traffic.get(id_), row) for id_, row in rows.items()]
    known.sort(key=lambda one: one.row is None or one.row.pk != endpoint.main_model_id)
    theirs = [(id_, share) for id_, share in endpoint.traffic.items() if id_ not in rows]
    return known + [Served(id_, _("Model %s") % id_, share, None) for id_, share in theirs]
