"""Reasons why a text is no JSON, in two languages."""

import json

import pytest
from django.utils import translation

from jobs.text import deferred
from jobs.text.json_words import explain

WRONG = ["", "{a: 1}", '{"a" 1}', "[1 2]", '"abc', '"a\nb"', r'"\q"', r'"\u12"', "[] x", "[1,]", '{"a": 1,}']


def reason(text: str) -> str:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(text)
    return explain(caught.value)


@pytest.mark.parametrize("text", WRONG)
def test_python_s_reasons_are_known(text: str) -> None:
    """As text of a database, each has a kind."""
    assert deferred.serialize(reason(text)).startswith(deferred.MARK)


def test_another_reason_stays_as_it_is() -> None:
    assert explain(json.JSONDecodeError("Strange", "", 0)) == "Strange"
    with translation.override("ko"):
        assert explain(json.JSONDecodeError("Strange", "", 0)) == "Strange"
