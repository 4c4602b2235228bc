"""How much an endpoint of a model reads, where that is less than what the model was made for, and why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from jobs.services.catalogue import windows


@dataclass(frozen=True)
class Served:
    """In tokens. `most` is more than `least` where it depends on the machine."""

    least: int
    most: int
    made_for: int

    @property
    def short(self) -> str:
        """8192 → 8K."""
        return f"{self.least // 1024}K" if self.least == self.most else f"{self.least // 1024}K–{self.most // 1024}K"

    @property
    def words(self) -> str:
        least, most = number(self.least), number(self.most)
        if self.least != self.most:
            return _("An endpoint reads %(least)s to %(most)s tokens, depending on its machine.") % {
                "least": least, "most": most,
            }  # fmt: skip
        if settings.VERTEX_API_ENDPOINT:
            return _("An endpoint on this computer reads up to %s tokens, which saves memory.") % least
        return _("An endpoint reads %s tokens: Vertex AI offers the deployment with this limit.") % least

    @property
    def made_for_words(self) -> str:
        """Beside what an endpoint reads."""
        if settings.VERTEX_API_ENDPOINT:
            sentence = _("The model was made for %s. An endpoint on this computer reads fewer, which saves memory.")
        else:
            sentence = _("The model was made for %s: Vertex AI deploys it with this limit.")
        return sentence % number(self.made_for)


def served(data: Mapping[str, Any], machine_type: str = "", accelerator_count: int = 0) -> Served | None:
    """None where an endpoint reads as much as the model, or nobody tells how much."""
    found, made_for = windows.of_options(data, machine_type, accelerator_count), windows.of_model(data)
    if not found or made_for is None or min(found) >= made_for:
        return None
    return Served(min(found), min(max(found), made_for), made_for)


def number(count: int) -> str:
    return str(number_format(count, use_l10n=True, force_grouping=True))
