"""Columns for texts that are stored in no language: see `jobs.text.deferred`. To the database they are plain ones."""

from typing import TYPE_CHECKING, Any

from django.db import models

from jobs.text.deferred import render, serialize

if TYPE_CHECKING:
    Text = models.TextField[str, str]
else:
    Text = models.TextField


class DeferredTextField(Text):
    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs

    def from_db_value(self, value: Any, _expression: Any, _connection: Any) -> Any:
        return render(value)

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(serialize(value))


class DeferredJSONField(models.JSONField):
    """JSON with such texts anywhere in it."""

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return render(super().from_db_value(value, expression, connection))

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(serialize(value))
