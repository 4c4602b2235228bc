"""Which steps an import takes, and taking one."""

from collections.abc import Mapping
from typing import Any

from jobs import live
from jobs.errors import NotAllowedNow
from jobs.models import ModelImport, ModelImportState as State
from jobs.text.deferred import gettext as _

# What a person may ask for, from which states, and the state that follows.
STEPS: Mapping[str, tuple[tuple[State, ...], State]] = {
    "download": ((State.FOUND,), State.WAITING),
    "pause": ((State.WAITING,), State.PAUSED),
    "resume": ((State.PAUSED, State.FAILED), State.WAITING),
    "look": ((State.FAILED,), State.LOOKING),
    "remove": ((State.READY,), State.REMOVING),
    "cancel": ((State.LOOKING, State.FOUND, State.WAITING, State.PAUSED, State.FAILED), State.CANCELLED),
}


def take_step(row: ModelImport, verb: str, **values: Any) -> None:
    """Raises NotAllowedNow where somebody, or the worker, was faster."""
    before, after = STEPS[verb]
    mine = ModelImport.objects.filter(pk=row.pk, state__in=before)
    if not mine.update(state=after, lease_until=None, **values):
        raise NotAllowedNow(_("The import has moved on in the meantime. Check its state on this page."))
    row.refresh_from_db()
    live.notify(row.owner_id, f"model-import-{row.pk}")
