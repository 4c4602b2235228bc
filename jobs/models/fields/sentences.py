"""Columns for texts that are kept in no language: see `jobs.text.deferred`. To the database they are plain ones."""

from typing import TYPE_CHECKING, Any

from django.db import models

from jobs.text.deferred import kept, told

if TYPE_CHECKING:
    Text = models.TextField[str, str]
else:
    Text = models.TextField


class SentenceField(Text):
    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs

    def from_db_value(self, value: Any, _expression: Any, _connection: Any) -> Any:
        return told(value)

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(kept(value))


class SentencesField(models.JSONField):
    """JSON with such texts anywhere in it."""

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.JSONField", args, kwargs

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        return told(super().from_db_value(value, expression, connection))

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(kept(value))
