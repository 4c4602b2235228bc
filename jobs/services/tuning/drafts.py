"""The five steps of a tuning job as typed so far; nothing typed is lost."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from jobs.errors import InvalidValues, NotAllowedNow, Problem
from jobs.models import DatasetImport, DatasetPart, TuningDraft, TuningJob
from jobs.models.fields.names import LONGEST_NAME
from jobs.services import audit
from jobs.services.tuning import observe
from jobs.states import TUNING_UNSUCCESSFUL
from jobs.text.deferred import gettext as _

from . import policies

# As messages of Vertex AI call the fields; the first that is found counts.
NAMES = {
    "output_uri": r"output_?uri|output (directory|folder)",
    "custom_base_model": r"custom_?base_?model|model to continue",
    "validation_dataset": r"validation[_ ]?data",
    "adapter_size": r"adapter[_ ]?size",
    "learning_rate": r"learning[_ ]?rate",
    "epochs": r"epoch_?count",
    "batch_size": r"batch[_ ]?size",
    "dataset": r"dataset|training[_ ]data",
    "base_model": r"base[_ ]?model",
}

ORIGIN = "origin"
# Which page typed a field of a step last, since the step was sent; and the pages that have sent theirs.
KEPT, PAGES = "kept", "pages"
PAGES_REMEMBERED = 20
# Far above what any field may have, so that what is too long is still shown with its error.
LONGEST_KEPT = 20_000

_NUMBERED = re.compile(r" \((\d+)\)$")


def create(owner: User, data: Mapping[str, Any] | None = None) -> TuningDraft:
    """With `data`, raw values by step, such as those of an earlier job or of a file."""
    draft = TuningDraft(owner=owner)
    name = _("Tuned model %s") % timezone.localtime().strftime("%Y-%m-%d %H:%M")
    draft.data = {"name": {"display_name": name, "description": ""}} | dict(data or {})
    with transaction.atomic():
        draft.save(force_insert=True)
        audit.record("tuning_draft.create", draft)
    return draft


def save_step(draft: TuningDraft, step: str, values: dict[str, Any]) -> None:
    """Changes this step only, so two windows on two steps do not undo each other. PostgreSQL keeps no NUL."""
    with transaction.atomic():
        _write(draft, _locked(draft), {step: _without_nul(values)})


@dataclass(frozen=True)
class Known:
    """What a page showed when it was drawn, by field, and its id. A field that is not in it is taken as it comes."""

    values: Mapping[str, Any] = field(default_factory=dict)
    page: str = ""


@dataclass(frozen=True)
class Conflict:
    """A field that was changed here, and elsewhere since this page was drawn."""

    field: str
    mine: Any
    there: Any


def keep(
    draft: TuningDraft,
    step: str,
    typed: Mapping[str, Any],
    known: Known,
    *,
    beside: Mapping[str, Any] | None = None,
    drops: str = "",
) -> list[Conflict]:
    """What is being typed, right or wrong: only fields that this page changed, and none that were changed elsewhere
    as well, which are returned. Nothing from a page that has sent its step, which may arrive late.

    `beside` is kept with the first change after the step was sent; what is called `drops` goes.
    Raises NotAllowedNow, InvalidValues.
    """
    typed = _without_nul(typed)
    _check_lengths(typed)
    with transaction.atomic():
        row = _locked(draft)
        if known.page in row.data.get(PAGES, {}):
            return []
        stored = row.data.get(step, {})
        shown = _find_known(stored, known)
        conflicts = find_conflicts(stored, typed, shown)
        refused = {conflict.field for conflict in conflicts}
        changed = {name: value for name, value in typed.items() if name not in refused}
        changed = {name: value for name, value in changed.items() if _is_news(name, value, stored, shown)}
        if changed:
            pages = {**stored.get(KEPT, {}), **dict.fromkeys(changed, known.page)}
            values = {**(beside or {}), **stored, **changed, KEPT: pages}
            _write(draft, row, {step: {name: value for name, value in values.items() if name != drops}})
    return conflicts


def send(
    draft: TuningDraft,
    step: str,
    typed: Mapping[str, Any],
    known: Known,
    flags: Mapping[str, Any],
    *,
    insists: bool = False,
) -> tuple[dict[str, Any], list[Conflict]]:
    """The step as this page sends it; what only others changed since it was drawn stays as they left it. The values,
    and the conflicts, of which one suffices to save nothing, unless this page `insists`."""
    typed = _without_nul(typed)
    with transaction.atomic():
        row = _locked(draft)
        stored = row.data.get(step, {})
        shown = _find_known(stored, known)
        values = {name: _latest(name, value, stored, shown) for name, value in typed.items()}
        conflicts = [] if insists else find_conflicts(stored, typed, shown)
        if not conflicts:
            _write(draft, row, {step: {**values, **flags}, PAGES: _with_page(row.data.get(PAGES, {}), known.page)})
    return values, conflicts


def _find_known(stored: Mapping[str, Any], known: Known) -> dict[str, Any]:
    """What the page showed, and what it has sent since, of which it may not have heard."""
    own = [name for name, page in stored.get(KEPT, {}).items() if page and page == known.page]
    return {**known.values, **{name: stored[name] for name in own}}


def find_conflicts(stored: Mapping[str, Any], typed: Mapping[str, Any], known: Mapping[str, Any]) -> list[Conflict]:
    return [
        Conflict(name, mine, stored[name])
        for name, mine in typed.items()
        if name in known and name in stored
        if not same(mine, known[name]) and not same(stored[name], known[name]) and not same(stored[name], mine)
    ]


def _is_news(name: str, value: Any, stored: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    is_stored = name in stored and same(value, stored[name])
    return not is_stored and not (name in shown and same(value, shown[name]))


def same(one: object, other: object) -> bool:
    """As a form sends them: nothing is an empty field, a number is its text, a line ends in CR LF."""
    return _as_sent(one) == _as_sent(other)


def _as_sent(value: object) -> str:
    return "" if value in (None, False) else str(value).replace("\r\n", "\n")


def _latest(name: str, mine: Any, stored: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    """Mine, unless this page never changed it and another one has."""
    is_untouched = name in known and same(mine, known[name])
    return stored[name] if is_untouched and name in stored else mine


def _with_page(pages: Mapping[str, Any], page: str) -> dict[str, Any]:
    """The newest, by when they were sent."""
    sent = {**pages, **({page: {"sent_at": timezone.now().timestamp()}} if page else {})}
    return dict(sorted(sent.items(), key=lambda item: item[1]["sent_at"])[-PAGES_REMEMBERED:])


def _check_lengths(typed: Mapping[str, Any]) -> None:
    for name, value in typed.items():
        if isinstance(value, str) and len(value) > LONGEST_KEPT:
            sentence = _("The text is longer than %(most)s characters. Shorten it.") % {"most": LONGEST_KEPT}
            raise InvalidValues([Problem("too_long", name, sentence)])


def _without_nul(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.replace("\x00", "") if isinstance(value, str) else value for name, value in values.items()}


def _locked(draft: TuningDraft) -> TuningDraft:
    row = TuningDraft.objects.select_for_update().get(pk=draft.pk)
    policies.check_can_change(row)
    return row


def _write(draft: TuningDraft, row: TuningDraft, steps: Mapping[str, Any]) -> None:
    row.data = {**row.data, **steps}
    row.save(update_fields=["data", "updated_at"])
    draft.data, draft.updated_at = row.data, row.updated_at


def choose_imported(ready: DatasetImport) -> None:
    """Into the draft that a file of Cloud Storage was read for, while it is a draft."""
    if not ready.draft or not ready.dataset_id:
        return
    if draft := TuningDraft.objects.visible_to(ready.owner).open().filter(pk=ready.draft).first():
        chosen = field_values(ready.part, ready.dataset_id)
        # Who has started the job meanwhile did so with another dataset.
        with suppress(NotAllowedNow):
            save_step(draft, "training", draft.data.get("training", {}) | chosen)


def field_values(part: str, dataset: UUID) -> dict[str, Any]:
    """Of the training step, for a dataset that was added there."""
    if part == DatasetPart.VALIDATION:
        return {"validation_dataset": str(dataset), "use_validation": True}
    return {"dataset": str(dataset)}


def discard(draft: TuningDraft) -> None:
    with transaction.atomic():
        TuningDraft.objects.filter(pk=draft.pk, submitted_at__isnull=True).delete()
        audit.record("tuning_draft.discard", draft)


def free_name(owner: User, name: str) -> str:
    """The name, or with the next number that no job of this person has: Captain, Captain (2), Captain (3)."""
    stem = _NUMBERED.sub("", name)
    jobs = TuningJob.objects.visible_to(owner).filter(display_name__startswith=stem[: LONGEST_NAME - 8])
    taken = set(jobs.values_list("display_name", flat=True))
    if name not in taken:
        return name
    numbers = (int(found[1]) for one in taken if (found := _NUMBERED.search(one)) and _NUMBERED.sub("", one) == stem)
    ending = f" ({max([1, *numbers]) + 1})"
    return stem[: LONGEST_NAME - len(ending)] + ending


def find_field(job: TuningJob) -> str:
    """As `TuningSpec` calls it; empty when nothing tells."""
    if job.state not in TUNING_UNSUCCESSFUL or not job.error_message:
        return ""
    if job.error_field:
        return job.error_field
    message = job.error_message.removesuffix(observe.remedy(job.error_code))
    found = (name for name, pattern in NAMES.items() if re.search(pattern, message, re.IGNORECASE))
    return next(found, "")
