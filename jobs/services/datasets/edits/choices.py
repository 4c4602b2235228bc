"""Which rows of the groups of duplicates stay: the first of each group, unless the person chose another one or all."""

from django.db import transaction

from jobs.errors import NotAllowedNow
from jobs.models import Dataset, DatasetWork, WorkKind, WorkState
from jobs.text.deferred import gettext as _

ALL = 0
Group = list[list[int]]


def finished_search(dataset: Dataset) -> DatasetWork:
    done = DatasetWork.objects.filter(dataset=dataset, kind=WorkKind.SEARCH, state=WorkState.READY)
    work: DatasetWork | None = done.first()
    if work is None:
        raise NotAllowedNow(_("Find the duplicates first."))
    return work


def kept_of(work: DatasetWork, number: int) -> int:
    """The line that stays, or ALL."""
    group: Group = work.result["groups"][number]
    return int(work.choices.get(str(number), group[0][0]))


def choose(dataset: Dataset, chosen: dict[int, int]) -> None:
    """By the numbers of the groups. A line that is in no such group, as of a search before, is refused."""
    with transaction.atomic():
        Dataset.objects.select_for_update().get(pk=dataset.pk)
        work = finished_search(dataset)
        groups: list[Group] = work.result["groups"]
        for number, line in chosen.items():
            if number >= len(groups) or line not in {ALL, *(row[0] for row in groups[number])}:
                raise NotAllowedNow(_("The duplicates were searched for again. Reload the page, then choose."))
        work.choices |= {str(number): line for number, line in chosen.items()}
        work.save(update_fields=["choices"])


def rows_to_leave_out(work: DatasetWork) -> set[int]:
    """Their lines."""
    extra: set[int] = set()
    for number, group in enumerate(work.result["groups"]):
        kept = kept_of(work, number)
        if kept != ALL:
            extra.update(line for line, _percent in group if line != kept)
    return extra
