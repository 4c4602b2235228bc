"""The precisions that the local Vertex AI can serve a model in, with what each of them takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.formats import number_format
from django.utils.translation import gettext as _

from jobs.models import PublisherModel
from jobs.services.endpoints.serving.spec import PRECISIONS


@dataclass(frozen=True)
class PrecisionOption:
    """`key` is empty for the file that the model comes with, where no other has its name."""

    key: str
    name: str
    figures: str
    is_default: bool


def list_precisions(model: PublisherModel) -> list[PrecisionOption]:
    """The most exact first; none where one's own computer isn't what serves."""
    found = (model.data.get("precisions") or {}).get("base", [])
    return [_make(one) for one in reversed(found)]


def choices_of(options: list[PrecisionOption]) -> list[tuple[str, str]]:
    return [(one.key, f"{one.name} · {one.figures}") for one in options]


def default_of(options: list[PrecisionOption]) -> str:
    return next((one.key for one in options if one.is_default), "")


def _make(one: Mapping[str, Any]) -> PrecisionOption:
    kind = str(one["kind"])
    key = kind if kind in PRECISIONS else ""
    own = _("%(name)s, the model's own file") % {"name": kind.upper()} if kind else _("The model's own file")
    return PrecisionOption(key, PRECISIONS.get(kind, own), _figures(one), bool(one["is_default"]))


def _figures(one: Mapping[str, Any]) -> str:
    parts = [_("%(size)s file") % {"size": filesizeformat(one["size"])}]
    if one["memory"]:
        parts.append(_("about %(size)s of memory") % {"size": filesizeformat(one["memory"])})
    speed = one["tokens_per_second"]
    parts.append(
        _("%(speed)s tokens per second on this computer") % {"speed": number_format(speed, 1)}
        if speed
        else _("speed not measured yet")
    )
    return " · ".join(parts)
