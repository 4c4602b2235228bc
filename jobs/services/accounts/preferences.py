"""How a person wants the pages to look, and what forms propose to them."""

from collections.abc import Collection
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import transaction

from jobs.models import AccountPreference, Density
from jobs.services.storage import policies

PAGE_SIZES = (25, 50, 100)
CHAT = "chat"


class Backend(ModelBackend):
    """Every page needs the preferences of its visitor; they come with the account, in its one query."""

    def get_user(self, user_id: int) -> User | None:
        user = User.objects.select_related("preference").filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None


def of(user: User) -> AccountPreference:
    """The row, or one with the defaults that is not kept yet."""
    return AccountPreference.objects.filter(user=user).first() or AccountPreference(user=user)


def save_list(user: User, name: str, *, hidden: Collection[str], density: str, rows: int) -> None:
    """What was never offered is left as it was."""
    with transaction.atomic():
        row = _lock(user)
        row.hidden_columns = {**row.hidden_columns, name: sorted(hidden)}
        row.density = density if density in Density.values else row.density
        row.rows_per_page = rows if rows in PAGE_SIZES else row.rows_per_page
        row.save()


def save(user: User, **values: Any) -> None:
    """The named fields, already checked."""
    with transaction.atomic():
        row = _lock(user)
        for name, value in values.items():
            setattr(row, name, value)
        row.save(update_fields=list(values))


def save_defaults(user: User, **values: Any) -> None:
    """What is empty is not a default. Raises NotAllowedNow for an output folder that is not this person's to use."""
    if prefix := values.get("output_prefix"):
        policies.check_can_write(user, prefix)
    save(user, defaults={name: value for name, value in values.items() if value not in (None, "", {})})


def chat_defaults(user: User) -> dict[str, Any]:
    """The fields of a new conversation."""
    found: dict[str, Any] = of(user).defaults.get(CHAT, {})
    rest = {name: value for name, value in found.items() if name != "system_instruction"}
    return {"system_instruction": found.get("system_instruction", ""), "parameters": rest}


def _lock(user: User) -> AccountPreference:
    AccountPreference.objects.get_or_create(user=user)
    return AccountPreference.objects.select_for_update().get(user=user)
