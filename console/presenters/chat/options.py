"""What a conversation is asked with, as its form sends it."""

from django.http import QueryDict

from console.forms.chat.options import PLAIN, OptionsForm
from jobs.models import Conversation
from jobs.services.chat.parameters import parameters_of

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


def options_of(talk: Conversation) -> OptionsForm:
    return OptionsForm.of(talk, parameters_of(talk.endpoint))
