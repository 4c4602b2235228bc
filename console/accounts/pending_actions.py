"""What waits in a session until its person has confirmed who they are.

Each one has an id that nobody can guess, and what it stands for never changes: whoever has a copy of the session can
add another one beside it, but not put it in the place of the one that a page shows.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from django import forms
from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _

PENDING: Final = "pending_actions"
LASTS: Final = timedelta(hours=1)
AT_ONCE: Final = 5
# Never kept: what is secret by itself, and the token, which each form has anew.
LEFT_OUT: Final = ("password", "secret", "csrfmiddlewaretoken")

Facts = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class PendingAction:
    """`input`: what the form sent, to be handed to `path` again; None: the page is led to instead. `facts`: label and
    value of what is going to be done, as the person reads it before they confirm."""

    action: str
    path: str
    input: str | None
    facts: Facts
    back: str

    def is_same(self, other: "PendingAction") -> bool:
        return (self.action, self.path, self.input) == (other.action, other.path, other.input)


def keep(request: HttpRequest, pending: PendingAction) -> str:
    """Its id. The same thing again keeps the id that it has; of too many the oldest is forgotten."""
    rows = fresh_rows(request)
    for pk in rows:
        if pending.is_same(read(rows[pk])):
            return pk
    pk = str(uuid4())
    rows[pk] = asdict(pending) | {"at": timezone.now().timestamp()}
    request.session[PENDING] = dict(list(rows.items())[-AT_ONCE:])
    return pk


def find(request: HttpRequest, pk: UUID) -> PendingAction | None:
    row = fresh_rows(request).get(str(pk))
    return read(row) if row else None


def only_id(request: HttpRequest) -> str:
    """Empty when nothing waits, and when more than one does: which of them the person means, nobody knows."""
    rows = list(fresh_rows(request))
    return rows[0] if len(rows) == 1 else ""


def forget_all(request: HttpRequest) -> None:
    request.session.pop(PENDING, None)


def fresh_rows(request: HttpRequest) -> dict[str, dict[str, Any]]:
    oldest = timezone.now().timestamp() - LASTS.total_seconds()
    return {pk: row for pk, row in request.session.get(PENDING, {}).items() if row["at"] > oldest}


def read(row: dict[str, Any]) -> PendingAction:
    facts = [(label, value) for label, value in row["facts"]]
    return PendingAction(row["action"], row["path"], row["input"], facts, row["back"])


def input_of(request: HttpRequest) -> str:
    kept = QueryDict(mutable=True)
    for name, values in request.POST.lists():
        if not any(part in name.lower() for part in LEFT_OUT):
            kept.setlist(name, values)
    return kept.urlencode()


def facts_of_input(text: str | None) -> Facts:
    """As it was sent: for a form that does not describe itself."""
    return [(name, ", ".join(values)) for name, values in QueryDict(text or "").lists()]


def facts_of_form(form: forms.Form, **values: str) -> Facts:
    """Every field of it. `values`: those of fields that have words of their own."""
    form.is_valid()
    return [(str(field.label), values.get(field.name) or value_of(field)) for field in form]


def value_of(field: forms.BoundField) -> str:
    value = field.form.cleaned_data.get(field.name, field.value())
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(field.field, forms.ChoiceField) and (label := label_of(field.field, value)):
        return label
    if value not in (None, ""):
        return str(value)
    empty_label = getattr(field.field, "empty_label", None)
    return str(empty_label or _("Not set"))


def label_of(field: forms.ChoiceField, value: object) -> str:
    """As the form shows it; nothing for rows, for several values, and for one that is not offered."""
    offered: Any = [] if isinstance(field, forms.ModelChoiceField) else field.choices
    return next((str(label) for one, label in offered if not isinstance(value, list) and str(one) == str(value)), "")
