"""An answer that was found good, or made good by hand, as a row of a dataset."""

import json
import shutil
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User

from jobs.errors import NotAllowedNow
from jobs.files import store
from jobs.models import Dataset, DatasetFormat, Message
from jobs.services.chat.export import pairs
from jobs.services.chat.tree import Tree, turns
from jobs.services.datasets import datasets, versions
from jobs.services.datasets.file import Line, Lines, check_line, open_file
from jobs.services.datasets.rows import Turn
from jobs.text.deferred import gettext as _

from . import policies

TRIES = 3
# What the recipe of a version says of the row that was added to it.
KEY, ANSWER = "row", "answer"


class Superseded(Exception):
    """Another version was saved while this one was written."""


def add(answer: Message, *, key: UUID, text: str, dataset: Dataset | None = None, name: str = "") -> Dataset:
    """The conversation up to this answer, with `text` as the answer: a row more in a new version of `dataset`, or the
    first row of a new dataset. The same key again, or a row that is there already, adds nothing."""
    owner = answer.conversation.owner
    said = conversation_of(answer, text)
    for _try in range(TRIES):
        if found := Dataset.objects.visible_to(owner).filter(**{f"recipe__{KEY}": str(key)}).first():
            return found
        base = _latest(dataset) if dataset else None
        if base is None:
            _require_new(owner, name)
        data = line_of(said, base)
        if base and _holds(base, data):
            return base
        try:
            return _save(owner, base, name, data, {KEY: str(key), ANSWER: str(answer.pk)})
        except Superseded:
            continue
    raise NotAllowedNow(_("The dataset was changed at the same time. Try again."))


def why_not(answer: Message) -> str:
    """Why this answer cannot become a row, or nothing."""
    talk = answer.conversation
    return policies.why_not_add_row(answer, turns(talk, Tree(talk), answer.pk))


def conversation_of(answer: Message, text: str) -> list[Turn]:
    talk, text = answer.conversation, text.replace("\x00", "").replace("\r\n", "\n").strip()
    if reason := why_not(answer):
        raise NotAllowedNow(reason)
    if not text:
        raise NotAllowedNow(_("Enter the answer that a model should learn."))
    branch = turns(talk, Tree(talk), answer.pk)
    system = talk.system_instruction.strip()
    said: list[Turn] = [("system", system)] if system else []
    for asked, answered in pairs(branch[:-2]):
        said += [("user", asked.content), ("assistant", answered.content)]
    return [*said, ("user", branch[-2].content), ("assistant", text)]


def line_of(said: list[Turn], base: Dataset | None) -> bytes:
    """In the format of the dataset that it goes into, checked as every row of a dataset is."""
    row = _row(said, base.format if base else DatasetFormat.MESSAGES)
    if row is None:
        raise NotAllowedNow(
            _(
                "Each row of this dataset is a prompt and a completion. A conversation with several questions "
                "or with system instructions doesn't fit. Choose another dataset."
            )
        )
    data = json.dumps(row, ensure_ascii=False).encode()
    if problems := check_line(Line(1, data)).problems:
        raise NotAllowedNow(f"{problems[0].problem} {problems[0].remedy}")
    return data


def _row(said: list[Turn], kind: str) -> dict[str, Any] | None:
    if kind == DatasetFormat.PROMPT:
        return {"prompt": said[0][1], "completion": said[1][1]} if len(said) == 2 else None
    if kind != DatasetFormat.CONTENTS:
        return {"messages": [{"role": role, "content": text} for role, text in said]}
    roles = {"user": "user", "assistant": "model"}
    contents = [{"role": roles[role], "parts": [{"text": text}]} for role, text in said if role != "system"]
    system = [{"role": role, "parts": [{"text": text}]} for role, text in said if role == "system"]
    return ({"systemInstruction": system[0]} if system else {}) | {"contents": contents}


def _latest(dataset: Dataset) -> Dataset:
    found = Dataset.objects.filter(family=dataset.family, is_latest=True).first()
    if found is None or not found.is_usable:
        raise NotAllowedNow(_("You can add rows only to a dataset without problems. Choose another one."))
    return found


def _require_new(owner: User, name: str) -> None:
    if versions.by_name(owner, name).exists():
        raise NotAllowedNow(
            _("You already have a dataset with this name. Choose it from the list, or enter another name.")
        )


def _holds(dataset: Dataset, data: bytes) -> bool:
    with open_file(dataset) as file:
        return any(line.data == data for line in Lines(file, None))


def _save(owner: User, base: Dataset | None, name: str, data: bytes, recipe: dict[str, str]) -> Dataset:
    def guard(previous: Dataset | None) -> None:
        """A second click that came between, or a row that somebody else added: look again."""
        is_made = Dataset.objects.visible_to(owner).filter(**{f"recipe__{KEY}": recipe[KEY]}).exists()
        if is_made or previous != base:
            raise Superseded

    name = base.name if base else name
    origin = datasets.Origin(base, recipe=recipe, notes=[_("The last row was taken from a comparison of answers.")])
    with store.scratch() as file:
        if base:
            with open_file(base) as source:
                shutil.copyfileobj(source, file)
        file.write(data + b"\n")
        file.seek(0)
        file_name = base.file_name if base else f"{name}.jsonl"
        return datasets.create(owner, file=file, file_name=file_name, name=name, origin=origin, guard=guard)


def datasets_by_answer(answers: Iterable[UUID], owner: User) -> dict[str, Dataset]:
    """The latest dataset that a row was made for of each answer, by the id of the answer."""
    ids = [str(pk) for pk in answers]
    made = Dataset.objects.visible_to(owner).rows().filter(**{f"recipe__{ANSWER}__in": ids}).order_by("created_at")
    return {dataset.recipe[ANSWER]: dataset for dataset in made} if ids else {}


def last_chosen(owner: User) -> Dataset | None:
    """Where the last row went."""
    return Dataset.objects.visible_to(owner).rows().filter(recipe__has_key=KEY).order_by("-created_at").first()
