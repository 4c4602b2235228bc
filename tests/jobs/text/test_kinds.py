import re

import pytest

from jobs.models.fields.notification_words import Kind
from jobs.text import kinds
from jobs.text.kinds import Registry, Wording, read

REGISTRY = """
[endpoints]
undeployed = "%s was undeployed."

[tuning]
rows_cut = { text = "%d row was cut.", plural = "%d rows were cut.", earlier = ["%d row is short."] }
asked = { text = "You asked.", retired = true }
"""
WORDINGS = {
    "endpoints.undeployed": Wording("%s was undeployed."),
    "tuning.rows_cut": Wording("%d row was cut.", "%d rows were cut.", ("%d row is short.",)),
    "tuning.asked": Wording("You asked.", retired=True),
}


def test_the_file_says_a_kind_and_its_english() -> None:
    assert read(REGISTRY) == WORDINGS


@pytest.mark.parametrize(
    ("text", "plural", "kind"),
    [
        ("%s was undeployed.", "", "endpoints.undeployed"),
        ("%d row was cut.", "%d rows were cut.", "tuning.rows_cut"),
        ("%d row is short.", "%d rows are short.", "tuning.rows_cut"),
        ("%d row was cut.", "", None),
        ("You asked.", "", "tuning.asked"),
        ("Nobody says this.", "", None),
    ],
)
def test_a_kind_is_found_by_its_english(text: str, plural: str, kind: str | None) -> None:
    assert Registry(WORDINGS).find_kind(text, plural) == kind


def test_the_kind_that_the_code_says_comes_first() -> None:
    first, second = Wording("You asked.", retired=True), Wording("You asked.", earlier=("It was asked.",))
    third = Wording("It was asked.")
    known = Registry({"a.first": first, "a.second": second, "a.third": third})
    assert (known.find_kind("You asked."), known.find_kind("It was asked.")) == ("a.second", "a.third")


def test_kinds_are_short_and_like_no_notification() -> None:
    names = kinds.load_registry().wordings.keys()
    assert [name for name in names if not re.fullmatch(r"[a-z_]+\.[a-z0-9_]{2,60}", name)] == []
    assert names & set(Kind.values) == set()
