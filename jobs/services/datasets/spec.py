"""What a dataset may be called, uploaded as and split by: the one judge for forms and services."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings

from jobs.errors import InvalidValues, Problem
from jobs.models.fields.names import name_problem
from jobs.text.deferred import gettext as _

LONGEST_DESCRIPTION = 1000
MIN_SHARE, MAX_SHARE = 1, 20
LARGEST_SEED = 2**31 - 1
MEGABYTE = 1024 * 1024


def validate(**values: Any) -> None:
    """Raises InvalidValues with all that is wrong."""
    if problems := find_problems(values):
        raise InvalidValues(problems)


def find_problems(values: Mapping[str, Any]) -> list[Problem]:
    """Of the fields that have a rule; others are not looked at."""
    return [problem for name, value in values.items() if name in RULES for problem in RULES[name](name, value)]


def limit_of(limit: int | None = None) -> int:
    """In bytes: that of an upload unless another one holds."""
    return settings.DATASET_MAX_BYTES if limit is None else limit


def limit_of_version(byte_size: int) -> int:
    """A version that is made here of a file that came from Cloud Storage may be as large as those from there."""
    is_small = byte_size <= settings.DATASET_MAX_BYTES
    return int(settings.DATASET_MAX_BYTES if is_small else settings.DATASET_CLOUD_MAX_BYTES)


def why_too_large(size: int, limit: int | None = None) -> str:
    """A sentence, or nothing. `size` in bytes."""
    limit = limit_of(limit)
    if size <= limit:
        return ""
    words = {"size": f"{size / MEGABYTE:.1f}", "limit": f"{limit / MEGABYTE:.0f}"}
    return _("The file has %(size)s MB. The limit is %(limit)s MB. Split it or remove rows.") % words


def description_remedy(length: int) -> str:
    words = {"most": LONGEST_DESCRIPTION, "length": length}
    return _("A description can have at most %(most)d characters. This one has %(length)d.") % words


def share_remedy() -> str:
    return _("Enter a whole number from %(least)s to %(most)s.") % {"least": MIN_SHARE, "most": MAX_SHARE}


def seed_remedy() -> str:
    return _("Enter a whole number from %(least)s to %(most)s.") % {"least": 0, "most": LARGEST_SEED}


def _name(field: str, text: str) -> Iterator[Problem]:
    code, sentence = name_problem(text)
    if code:
        yield Problem(code, field, sentence)


def _description(field: str, text: str) -> Iterator[Problem]:
    if len(text) > LONGEST_DESCRIPTION:
        yield Problem("max_length", field, description_remedy(len(text)))


def _share(field: str, share: int) -> Iterator[Problem]:
    if not MIN_SHARE <= share <= MAX_SHARE:
        yield Problem("out_of_range", field, share_remedy())


def _seed(field: str, seed: int) -> Iterator[Problem]:
    if not 0 <= seed <= LARGEST_SEED:
        yield Problem("out_of_range", field, seed_remedy())


RULES: Mapping[str, Callable[[str, Any], Iterator[Problem]]] = {
    "name": _name, "description": _description, "share": _share, "seed": _seed,
}  # fmt: skip
