"""Arithmetic of a traffic split: {deployed model id: percent}, whole numbers, 100 in all."""

from collections.abc import Mapping
from typing import Any

from jobs.errors import NotAllowedNow
from jobs.text.deferred import gettext as _

ALL = 100
# What Vertex AI calls the model of the request in which it is deployed.
NEW = "0"


def check(split: Mapping[str, int], ids: set[str]) -> None:
    if set(split) != ids:
        raise NotAllowedNow(_("The models on this endpoint changed in the meantime. Check the traffic split."))
    if reason := why_not_use(split):
        raise NotAllowedNow(reason)


def why_not_use(split: Mapping[str, int]) -> str:
    """A sentence, or nothing."""
    if not all(map(is_share, split.values())):
        return share_remedy()
    if (total := sum(split.values())) != ALL:
        return _("The traffic split must add up to 100%%. It adds up to %(total)d%%.") % {"total": total}
    return ""


def is_share(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= ALL


def share_remedy() -> str:
    return _("Enter a whole number from 0 to 100.")


def scale_split(split: Mapping[str, int], total: int) -> dict[str, int]:
    """The same proportions with another sum; what rounding leaves goes to the largest remainders, in order. Where
    nobody has a share, the first takes all."""
    whole = sum(split.values())
    if not whole:
        return {key: total if place == 0 else 0 for place, key in enumerate(split)}
    exact = {key: share * total / whole for key, share in split.items()}
    found = {key: int(share) for key, share in exact.items()}
    by_rest = sorted(split, key=lambda key: found[key] - exact[key])
    for key in by_rest[: total - sum(found.values())]:
        found[key] += 1
    return found


def with_new(split: Mapping[str, int], share: int) -> dict[str, int]:
    """The others keep their proportions. A model that is deployed alone takes all."""
    if not split:
        return {NEW: ALL}
    return {NEW: share, **scale_split(split, ALL - share)}


def without(split: Mapping[str, int], gone: str, wanted: Mapping[str, int] | None = None) -> dict[str, int]:
    """For the models that stay, when one goes: `wanted` if it still fits them, else in proportion; {} for none."""
    kept = {key: share for key, share in split.items() if key != gone}
    fits = wanted and set(wanted) == set(kept) and sum(wanted.values()) == ALL
    return dict(wanted or {}) if fits else scale_split(kept, ALL)
