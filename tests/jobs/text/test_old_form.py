import json

import pytest
from django.utils import translation

from jobs.text.deferred import gettext, ngettext, render, serialize
from jobs.text.kinds import Registry, Wording, load_registry
from jobs.text.old_form import upgrade

CREATED = '{"sentence": "The job was created."}'
WAITING = '{"sentence": "Waiting for quota. %s", "values": "{\\"sentence\\": \\"The job was created.\\"}"}'
ROWS = ("%d row was longer than the limit and was cut.", "%d rows were longer than the limit and were cut.")
TODAY = (
    "%d row was longer than the limit and was truncated.",
    "%d rows were longer than the limit and were truncated.",
)
CUT = json.dumps({"sentence": ROWS[0], "values": 2, "plural": ROWS[1], "number": 2})
FOREIGN = '{"sentence": "", "as_it_is": "{\\"sentence\\": \\"The job was created.\\"}"}'
UNKNOWN = '{"sentence": "Nobody says %(what)s.", "values": {"what": "{\\"sentence\\": \\"The job was created.\\"}"}}'
KNOWN = {
    CREATED: gettext("The job was created."),
    WAITING: gettext("Waiting for quota. %s") % gettext("The job was created."),
    CUT: ngettext(*TODAY, 2) % 2,
    FOREIGN: CREATED,
}


@pytest.mark.parametrize(("old", "sentence"), KNOWN.items())
def test_the_old_form_becomes_what_the_sentence_is_today(old: str, sentence: str) -> None:
    assert upgrade(old, load_registry()) == serialize(sentence)
    assert render(old) == sentence
    with translation.override("ko"):
        assert render(old) == render(serialize(sentence))


def test_it_is_found_however_deep() -> None:
    value = {"reason": CREATED, "steps": [[CREATED, 3, None], "100 %"]}
    job_created = serialize(gettext("The job was created."))
    assert upgrade(value, load_registry()) == {"reason": job_created, "steps": [[job_created, 3, None], "100 %"]}


def test_what_is_not_known_stays_and_can_be_read() -> None:
    assert upgrade(UNKNOWN, load_registry()) == UNKNOWN
    assert render(UNKNOWN) == "Nobody says The job was created.."
    with translation.override("ko"):
        assert render(UNKNOWN) == f"Nobody says {translation.gettext('The job was created.')}."


@pytest.mark.parametrize(
    "text",
    [
        "", "The job was created.", '{"sentence": broken', '{"sentence": ["not", "a text"]}', '{"sentence": null}',
        '{"sentence": {"not": "a text"}}', '{"kind": "tuning.job_created"}', '{"sentence":' + 100_000 * "[",
    ],
)  # fmt: skip
def test_anything_else_stays_the_same(text: str) -> None:
    assert upgrade(text, load_registry()) == text


def test_english_from_before_a_correction_is_known() -> None:
    words = Wording("It waits for %s.", earlier=("Waiting for quota. %s", "Waits. %s"))
    known = Registry({"tuning.waits": words, "tuning.created": Wording("The job was created.", retired=True)})
    stored = '{"kind": "tuning.waits", "values": "{\\"kind\\": \\"tuning.created\\"}"}'
    assert [upgrade(old, known) for old in (WAITING, WAITING.replace("Waiting for quota.", "Waits."))] == [stored] * 2
    assert upgrade(stored, known) == stored
