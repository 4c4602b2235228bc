from collections.abc import Mapping
from typing import Any

from django import template

from jobs.models import Message

register = template.Library()


@register.filter
def dataset_of_answer(taken: Mapping[str, Any], message: Message) -> Any:
    """The dataset that this answer became a row of, if it did."""
    return taken.get(str(message.pk))
