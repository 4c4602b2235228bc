"""How a person wants lists to look."""

from collections.abc import Collection

from django.contrib.auth.models import User
from django.db import transaction

from jobs.models import AccountPreference, Density

PAGE_SIZES = (25, 50, 100)


def of(user: User) -> AccountPreference:
    """The row, or one with the defaults that is not kept yet."""
    return AccountPreference.objects.filter(user=user).first() or AccountPreference(user=user)


def save_list(user: User, name: str, *, hidden: Collection[str], density: str, rows: int) -> None:
    """What was never offered is left as it was."""
    with transaction.atomic():
        AccountPreference.objects.get_or_create(user=user)
        row = AccountPreference.objects.select_for_update().get(user=user)
        row.hidden_columns = {**row.hidden_columns, name: sorted(hidden)}
        row.density = density if density in Density.values else row.density
        row.rows_per_page = rows if rows in PAGE_SIZES else row.rows_per_page
        row.save()
