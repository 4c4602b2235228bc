"""Every sentence that a row may hold has a kind, and the command that gives them one does what it says."""

import tomllib
from functools import cache

import pytest

from jobs.text.kinds import FILE, Wording, read
from tests.support.kinds import (
    RETIRED,
    find_alike,
    find_places,
    format_registry,
    format_retired,
    key_of,
    name_kind,
    update,
)
from tests.support.sentences import CodeSentence, find_in_code, find_sentences

STALE = "jobs/text/kinds.toml is stale; run: python -m tests.support.kinds"
KINDS = {"a.asked": Wording("You asked %s."), "a.cut": Wording("%d row was cut.", "%d rows were cut.")}
ASKED = CodeSentence("jobs/services/a/x.py:1", "You asked %s.")
CUT = CodeSentence("jobs/services/a/x.py:2", "%d row was cut.", "%d rows were cut.")


# The registry


@cache
def all_sentences() -> list[CodeSentence]:
    return list(find_sentences())


def test_every_sentence_has_a_kind_and_every_kind_a_sentence() -> None:
    live = {key_of(wording) for wording in read(FILE.read_text()).values() if not wording.retired}
    said = {one.key for one in all_sentences() if one.text}
    assert (sorted(said - live), sorted(live - said)) == ([], []), STALE


def test_the_files_are_what_the_command_writes() -> None:
    kinds = read(FILE.read_text())
    change = update(kinds, all_sentences(), {}, settled=True)
    assert (format_registry(change.kinds), format_retired(change.kinds)) == (FILE.read_text(), RETIRED.read_text()), (
        STALE
    )


def test_no_sentence_has_two_kinds() -> None:
    live = [key_of(wording) for wording in read(FILE.read_text()).values() if not wording.retired]
    assert [key for key in set(live) if live.count(key) > 1] == []


def test_earlier_english_has_the_same_places() -> None:
    """Rows hold what they were filled with."""
    wordings = read(FILE.read_text())
    differ = {
        kind: text for kind, wording in wordings.items() for text in wording.earlier
        if find_places(text) != find_places(wording.text)
    }  # fmt: skip
    assert differ == {}


def test_what_is_no_literal_is_looked_up_among_literals() -> None:
    """`_(SENTENCES[self])`, where the sentences are marked with gettext_noop."""
    assert {one.place.partition(":")[0] for one in all_sentences() if not one.text} == {"jobs/shortages.py"}


# What the code says

CODE = """
from django.utils.translation import gettext_lazy, gettext as plain
from jobs.text import deferred
from jobs.text.deferred import gettext as _, ngettext
LABEL = gettext_lazy("Ready")
_("You asked %s.") % plain("for nothing")
_("It has "
  "two lines.")
ngettext("%d row was cut.", "%d rows were cut.", 3)
_(LABEL)
_(f"made of {LABEL}")
other("thing")
deferred.gettext("It is ready.")
self.other.gettext("thing")
"""


def test_sentences_are_found_in_code() -> None:
    place = "jobs/services/a/x.py"
    lazy, *rest = find_in_code(place, CODE)
    assert lazy == CodeSentence(f"{place}:5", "Ready")
    assert [(one.text, one.plural) for one in rest] == [
        ("You asked %s.", ""),
        ("It has two lines.", ""),
        ("%d row was cut.", "%d rows were cut."),
        ("", ""),
        ("", ""),
        ("It is ready.", ""),
    ]


def test_labels_of_pages_are_no_values() -> None:
    assert "Ready" not in [one.text for one in find_in_code("console/views/x.py", CODE)]


@pytest.mark.parametrize(
    ("place", "text", "kind"),
    [
        ("jobs/services/tuning/jobs.py:3", "The job was created.", "tuning.job_created"),
        ("jobs/vertex/sdk/chat/sse.py:3", "%s is not an answer.", "vertex.not_answer"),
        ("jobs/states.py:3", "Ready", "states.ready_2"),
        ("jobs/shortages.py:3", "%s %s", "shortages.text"),
    ],
)
def test_a_kind_is_named_by_its_package_and_its_words(place: str, text: str, kind: str) -> None:
    assert name_kind(CodeSentence(place, text), {"states.ready"}) == kind


# What becomes of the registry


def test_a_new_sentence_gets_a_kind() -> None:
    change = update(KINDS, [ASKED, CUT, CodeSentence("jobs/services/a/x.py:3", "It is new.")], {})
    assert change.kinds == {**KINDS, "a.new": Wording("It is new.")}


def test_what_nobody_says_any_more_is_retired_and_comes_back() -> None:
    retired = update(KINDS, [CUT], {}).kinds
    assert retired == {**KINDS, "a.asked": Wording("You asked %s.", retired=True)}
    assert update(retired, [CUT], {}).kinds == retired
    assert update(retired, [ASKED, CUT], {}).kinds == KINDS


def test_a_corrected_sentence_keeps_its_kind() -> None:
    renamed = {"You asked %s.": "You've asked %s.", "You've asked %s.": "You asked for %s."}
    corrected = CodeSentence("jobs/services/a/x.py:1", "You asked for %s.")
    change = update(KINDS, [corrected, CUT], renamed)
    assert change.kinds["a.asked"] == Wording("You asked for %s.", earlier=("You asked %s.",))
    assert (change.kinds.keys(), change.alike, change.refused) == (KINDS.keys(), [], [])
    assert update(change.kinds, [corrected, CUT], renamed).kinds == change.kinds


def test_a_corrected_plural_keeps_its_kind() -> None:
    short = CodeSentence("jobs/services/a/x.py:2", "%d row is short.", "%d rows are short.")
    change = update(KINDS, [ASKED, short], {CUT.text: short.text, CUT.plural: short.plural})
    assert change.kinds["a.cut"] == Wording(short.text, short.plural, (CUT.text,))
    other = CodeSentence("jobs/services/a/x.py:2", CUT.text, "%d rows have been cut.")
    assert update(KINDS, [ASKED, other], {}).kinds["a.cut"] == Wording(CUT.text, other.plural)


def test_a_sentence_that_was_corrected_in_one_of_two_places_has_a_new_kind() -> None:
    new = CodeSentence("jobs/services/a/y.py:1", "You asked for %s.")
    change = update(KINDS, [ASKED, CUT, new], {ASKED.text: new.text})
    assert change.kinds == {**KINDS, "a.asked_2": Wording(new.text)}


def test_two_sentences_that_become_one() -> None:
    """The kind that had the words before goes on; the other is read only, in the same words."""
    kinds = {**KINDS, "a.wanted": Wording("You wanted %s.")}
    change = update(kinds, [ASKED, CUT], {"You wanted %s.": ASKED.text})
    assert change.kinds == {**KINDS, "a.wanted": Wording(ASKED.text, "", ("You wanted %s.",), retired=True)}
    assert update(change.kinds, [ASKED, CUT], {}).kinds == change.kinds


def test_other_places_are_another_kind() -> None:
    """Rows have values for the places of before."""
    new = CodeSentence("jobs/services/a/x.py:1", "You asked %(who)s.")
    change = update(KINDS, [new, CUT], {ASKED.text: new.text})
    assert change.refused == [(ASKED.text, new.text)]
    assert (change.kinds["a.asked"].retired, change.kinds["a.asked_2"]) == (True, Wording(new.text))


def test_a_correction_that_was_corrected_again_is_asked_about() -> None:
    new = CodeSentence("jobs/services/a/x.py:1", "You asked for %s.")
    change = update(KINDS, [new, CUT], {ASKED.text: "You did ask %s."})
    assert change.refused == [(ASKED.text, "You did ask %s.")]
    assert (change.kinds, change.alike) == (KINDS, [(ASKED.text, new.text)])


def test_what_looks_like_a_correction_waits_for_an_answer() -> None:
    """“%s was deployed.” and “%s was not deployed.” look alike, and no command can know."""
    new = CodeSentence("jobs/services/a/x.py:1", "You asked for %s.")
    change = update(KINDS, [new, CUT], {})
    assert (change.kinds, change.alike) == (KINDS, [(ASKED.text, new.text)])
    assert update(KINDS, [new, CUT], {}, settled=True).kinds["a.asked"] == Wording(ASKED.text, retired=True)


def test_only_what_has_the_same_places_looks_alike() -> None:
    old = [Wording("You asked for %s."), Wording("%(a)s and %(b)s.")]
    new = [CodeSentence("", "You asked for %d."), CodeSentence("", "%(b)s and then %(a)s.")]
    assert find_alike(old, new) == [(old[1].text, new[1].text)]


# The files

ODD = {
    "b.quotes": Wording('He said "%s" \\ and\nleft — 안녕.'),
    "b.rows": Wording("%d row", "%d rows", ("%d line",), retired=True),
    "a.gone": Wording('"It" is %s.', retired=True),
}


def test_the_registry_is_read_as_it_was_written() -> None:
    assert read(format_registry(ODD)) == ODD
    assert list(tomllib.loads(format_registry(ODD))) == ["a", "b"]


def test_what_is_retired_keeps_its_translation() -> None:
    """makemessages reads the module, and no other has the sentence."""
    said = [(one.text, one.plural) for one in find_in_code("jobs/text/x.py", format_retired(ODD))]
    assert said == [('"It" is %s.', ""), ("%d row", "%d rows")]
    again = {"a.kept": Wording("You asked.", retired=True), "a.asked": Wording("You asked.")}
    assert list(find_in_code("jobs/text/x.py", format_retired(again))) == []
