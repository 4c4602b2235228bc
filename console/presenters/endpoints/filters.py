"""How the list of endpoints is narrowed down."""

from django.db.models import Count, Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _, gettext_lazy

from console.presenters.components.word_search import match_words
from jobs.models.endpoint import EndpointQuerySet
from jobs.states import ENDPOINT_TRANSIENT, EndpointState

FILTERS: dict[str, tuple[str | Promise, frozenset[EndpointState]]] = {
    "ready": (gettext_lazy("Ready"), frozenset({EndpointState.READY})),
    "changing": (gettext_lazy("Changing"), ENDPOINT_TRANSIENT),
    "undeployed": (gettext_lazy("Undeployed"), frozenset({EndpointState.UNDEPLOYED})),
    "failed": (gettext_lazy("Failed"), frozenset({EndpointState.FAILED})),
}


def matching(rows: EndpointQuerySet, text: str) -> EndpointQuerySet:
    """Each word somewhere in the name, the id or the model."""
    of_model = ("main_model__base_model", "main_model__job__display_name")
    return match_words(rows, text, "display_name", "endpoint_user_id", *of_model)


def in_state(rows: EndpointQuerySet, chosen: str) -> EndpointQuerySet:
    return rows.filter(state__in=FILTERS[chosen][1]) if chosen in FILTERS else rows


def filters(rows: EndpointQuerySet) -> list[tuple[str, str | Promise, int]]:
    """(key, label, how many) of all and of each filter, in one query."""
    counts = {key: Count("pk", filter=Q(state__in=states)) for key, (_label, states) in FILTERS.items()}
    found = rows.aggregate(all=Count("pk"), **counts)
    return [("", _("All"), found["all"]), *((key, label, found[key]) for key, (label, _states) in FILTERS.items())]
