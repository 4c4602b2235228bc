"""Tells what this console made from everything else: by the ids that it chose and the names that it was told. A label
can be copied, so it counts only for a row that waits to learn the name of its job."""

from collections.abc import Callable, Collection, Iterable
from uuid import UUID

from jobs.models import DeployedModel, Endpoint, FoundKind, TuningJob
from jobs.vertex.found import Found


def without_own(kind: str, found: Iterable[Found]) -> list[Found]:
    rows = list(found)
    own = FIND_OWN[FoundKind(kind)]([key_of(one.name) for one in rows])
    if kind in (FoundKind.TUNING_JOB, FoundKind.CUSTOM_JOB):
        unnamed = _unnamed_jobs(rows)
        rows = [one for one in rows if one.labels.get("app-key", "") not in unnamed]
    return [one for one in rows if key_of(one.name) not in own]


def key_of(name: str) -> str:
    """The project comes as an id or as a number, and a model perhaps with its version."""
    return name.rpartition("/")[2].partition("@")[0]


def _endpoints(keys: Collection[str]) -> set[str]:
    rows = Endpoint.objects.filter(made_here=True, endpoint_user_id__in=keys)
    return set(rows.values_list("endpoint_user_id", flat=True))


def _models(keys: Collection[str]) -> set[str]:
    """Those that were deployed, and those that a tuning job left behind."""
    rows = DeployedModel.objects.filter(made_here=True, model_user_id__in=keys)
    tuned = TuningJob.objects.exclude(tuned_model="").values_list("tuned_model", flat=True)
    return {*rows.values_list("model_user_id", flat=True), *map(key_of, tuned.iterator())}


def _jobs(_keys: Collection[str]) -> set[str]:
    names = TuningJob.objects.exclude(resource_name="").values_list("resource_name", flat=True)
    return {key_of(name) for name in names.iterator()}


def _unnamed_jobs(found: Iterable[Found]) -> set[str]:
    keys = {key for one in found if (key := _uuid(one.labels.get("app-key", "")))}
    return {str(pk) for pk in TuningJob.objects.filter(pk__in=keys, resource_name="").values_list("pk", flat=True)}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


FIND_OWN: dict[FoundKind, Callable[[Collection[str]], set[str]]] = {
    FoundKind.ENDPOINT: _endpoints,
    FoundKind.MODEL: _models,
    FoundKind.TUNING_JOB: _jobs,
    FoundKind.CUSTOM_JOB: _jobs,
}
