"""What a card says of a family of models: of all of its sizes, since each has words of its own on its page."""

from collections.abc import Collection, Sequence

from django.utils.translation import gettext as _


def of_sizes(sizes: Sequence[str], modalities: Sequence[Collection[str]]) -> str:
    """Both by model, from the smallest to the largest; empty where they are not known."""
    return " ".join(filter(None, (_count(sizes), _reading(modalities))))


def _count(sizes: Sequence[str]) -> str:
    known = list(dict.fromkeys(filter(None, sizes)))
    if len(known) < 2 or not all(sizes):
        return _("%(count)d models.") % {"count": len(sizes)}
    words = {"count": len(sizes), "least": known[0], "most": known[-1]}
    return _("%(count)d models with %(least)s to %(most)s parameters.") % words


def _reading(modalities: Sequence[Collection[str]]) -> str:
    if not all(modalities):
        return ""
    seeing = sum("image" in one for one in modalities)
    if not seeing:
        return _("They read text.")
    return _("They read text and images.") if seeing == len(modalities) else _("They read text; some also read images.")
