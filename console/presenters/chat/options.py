"""What a conversation is asked with, as its form sends it."""

from collections.abc import Iterable

from django.http import QueryDict

from console.forms.chat.options import PLAIN, OptionsForm
from jobs.models import Conversation
from jobs.services.chat.parameters import defaults_of, parameters_of

SWAPPED = "outerHTML settle:0ms"
WITH = {"response_format": ("schema",), "all": (*PLAIN, "response_format", "schema", "tools")}


def without_reset(data: QueryDict) -> QueryDict:
    """The button that resets a parameter sends its name; `all` leaves the system instructions."""
    name, kept = data.get("reset", ""), data.copy()
    for field in (name, *WITH.get(name, ())):
        if field != "system_instruction":
            kept.setlist(field, [])
    return kept


def is_saved_by_hand(data: QueryDict) -> bool:
    """And not because something was changed, reset or taken out."""
    return "save" in data


def options_of(
    talk: Conversation, data: QueryDict | None = None, *, takes: Iterable[str] | None = None, is_typing: bool = False
) -> OptionsForm:
    """With what is saved, or with what was typed. `takes`: by default, all that the endpoint's server takes."""
    names = parameters_of(talk.endpoint) if takes is None else takes
    return OptionsForm.of(talk, names, data, defaults=defaults_of(talk.endpoint), is_typing=is_typing)
