"""Several chats at once: their answers as training rows, as a dataset, or all of them deleted."""

from collections.abc import Iterator, Sequence
from functools import partial
from uuid import UUID

from django.contrib.auth.models import User

from jobs.errors import NotAllowedNow
from jobs.files import store
from jobs.models import Conversation, Dataset
from jobs.services.datasets import datasets
from jobs.text.deferred import gettext as _, ngettext

from . import conversations
from .export import json_lines

# What the recipe of a dataset says of the form that it was asked for with.
KEY = "chats"


class MadeAlready(Exception):
    """The same form was sent twice, and the other one was first."""


def training_rows(talks: Sequence[Conversation], *, only_good: bool = False) -> Iterator[str]:
    """Of each chat what its own export has: a row for each answer that is shown, up to the first picture."""
    return filter(None, map(partial(json_lines, only_good=only_good), talks))


def nothing_learnt(*, only_good: bool = False) -> str:
    if only_good:
        return _("None of the answers shown in these chats is rated as good.")
    return _("No question in these chats has an answer that a model can learn from.")


def make_dataset(
    owner: User, talks: Sequence[Conversation], *, key: UUID, name: str, only_good: bool = False
) -> Dataset:
    """A name that is in use gets a new version. The same key again is the same dataset.

    Raises NotAllowedNow when no chat has an answer to learn from, DatasetRejected when they are too large together.
    """

    def guard(_previous: Dataset | None) -> None:
        if _find_dataset(owner, key):
            raise MadeAlready

    if found := _find_dataset(owner, key):
        return found
    with store.scratch() as file:
        learnt = 0
        for rows in training_rows(talks, only_good=only_good):
            file.write(rows.encode())
            learnt += 1
        if not learnt:
            raise NotAllowedNow(nothing_learnt(only_good=only_good))
        file.seek(0)
        words = ngettext(
            "Created from the answers in %(count)d chat.", "Created from the answers in %(count)d chats.", learnt
        )
        origin = datasets.Origin(None, recipe={KEY: str(key)}, notes=[words % {"count": learnt}])
        try:
            return datasets.create(owner, file=file, file_name=f"{name}.jsonl", name=name, origin=origin, guard=guard)
        except MadeAlready:
            return Dataset.objects.visible_to(owner).get(**{f"recipe__{KEY}": str(key)})


def _find_dataset(owner: User, key: UUID) -> Dataset | None:
    return Dataset.objects.visible_to(owner).filter(**{f"recipe__{KEY}": str(key)}).first()


def delete(talks: Sequence[Conversation]) -> None:
    for talk in talks:
        conversations.delete(talk)
