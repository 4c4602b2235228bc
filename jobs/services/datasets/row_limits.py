"""What becomes of rows that are longer than a base model takes, in sentences."""

from collections.abc import Sequence

from django.utils.formats import number_format
from django.utils.text import get_text_list

from jobs.models import Dataset
from jobs.text.deferred import gettext as _, ngettext

MODELS_NAMED = 3


def remedy() -> str:
    return _(
        "The model doesn't learn from truncated text. Split or shorten these rows, or choose a base model that accepts "
        "longer rows."
    )


def no_row_fits(dataset: Dataset, tokens: int) -> bool:
    return 0 < dataset.valid_rows <= dataset.rows_over_limit(tokens)


def long_rows(dataset: Dataset, tokens: int, model: str) -> str:
    """For the one base model that was chosen; nothing when every row fits."""
    rows = dataset.rows_over_limit(tokens)
    words = {"rows": _group_digits(rows), "tokens": _group_digits(tokens), "model": model}
    if no_row_fits(dataset, tokens):
        return _("Every row is longer than %(tokens)s tokens, the limit of %(model)s.") % words
    if not rows:
        return ""
    return (
        ngettext(
            "%(rows)s row is longer than %(tokens)s tokens, the limit of %(model)s. Its end is truncated.",
            "%(rows)s rows are longer than %(tokens)s tokens, the limit of %(model)s. Their ends are truncated.",
            rows,
        )
        % words
    )


def rows_too_long_for(dataset: Dataset, tokens: int, models: Sequence[str]) -> str:
    """For all the base models of one limit; nothing when every row fits."""
    rows = dataset.rows_over_limit(tokens)
    words = {"rows": _group_digits(rows), "tokens": _group_digits(tokens), "models": _join_names(models)}
    if no_row_fits(dataset, tokens):
        return _("Every row is longer than %(tokens)s tokens, too long to tune %(models)s.") % words
    if not rows:
        return ""
    return (
        ngettext(
            "%(rows)s row is longer than %(tokens)s tokens. Its end is truncated when you tune %(models)s.",
            "%(rows)s rows are longer than %(tokens)s tokens. Their ends are truncated when you tune %(models)s.",
            rows,
        )
        % words
    )


def _group_digits(number: int) -> str:
    return str(number_format(number, force_grouping=True))


def _join_names(models: Sequence[str]) -> str:
    named, more = list(models), len(models) - MODELS_NAMED
    if more > 1:
        others = ngettext("%(count)d other model", "%(count)d other models", more) % {"count": more}
        named = [*models[:MODELS_NAMED], others]
    return get_text_list(named, _("or"))
