"""A parameter out of its range gets the same code, field and sentence from forms, presets and the service."""

import json

import pytest
from django.http import QueryDict

from console.forms.chat.chat import TryForm
from console.forms.chat.options import OptionsForm
from jobs.errors import InvalidValues
from jobs.models import ChatPreset
from jobs.services.chat import conversations, presets, spec
from jobs.services.chat.parameters import PARAMETERS
from tests.support import factories

pytestmark = pytest.mark.django_db
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "objects"}}}
BAD_VALUES = [
    ("temperature", -0.1, "out_of_range", "Enter a number from 0 to 2."),
    ("temperature", 2.1, "out_of_range", "Enter a number from 0 to 2."),
    ("top_p", 0.001, "out_of_range", "Enter a number from 0.01 to 1."),
    ("top_k", 0, "out_of_range", "Enter a whole number from 1 to 1000."),
    ("top_k", 1001, "out_of_range", "Enter a whole number from 1 to 1000."),
    ("max_tokens", 0, "out_of_range", "Enter a whole number from 1 to 8192."),
    ("max_tokens", 8193, "out_of_range", "Enter a whole number from 1 to 8192."),
    ("seed", -1, "out_of_range", "Enter a whole number from 0 to 2147483647."),
    ("frequency_penalty", 2.5, "out_of_range", "Enter a number from -2 to 2."),
    ("presence_penalty", -2.5, "out_of_range", "Enter a number from -2 to 2."),
    ("stop", list("abcdef"), "too_many", "Use at most 5 stop sequences."),
    ("stop", ["x" * 101], "max_length", "A stop sequence has at most 100 characters."),
    ("response_format", {"type": "xml"}, "invalid_choice", "Choose text, JSON, or JSON with a schema."),
    (
        "response_format", SCHEMA, "invalid",
        "type must be one of: object, array, string, number, integer, boolean, null.",
    ),
]  # fmt: skip
TABLE = pytest.mark.parametrize(("name", "value", "code", "sentence"), BAD_VALUES)


def field_of(name, value):
    return "schema" if value == SCHEMA else name


def typed(name, value):
    """As a browser sends it."""
    if value == SCHEMA:
        return {"response_format": "json_schema", "schema": json.dumps(value["json_schema"]["schema"])}
    if isinstance(value, dict):
        return {name: value["type"]}
    return {name: "\n".join(value) if isinstance(value, list) else value}


def told(refused):
    return [(problem.code, problem.field, problem.sentence) for problem in refused.value.problems]


@TABLE
def test_the_service_says_what_is_wrong_and_changes_nothing(name, value, code, sentence):
    talk = factories.conversation()
    with pytest.raises(InvalidValues) as refused:
        conversations.set_options(talk, system_instruction="Be brief.", parameters={name: value})
    assert told(refused) == [(code, field_of(name, value), sentence)]
    talk.refresh_from_db()
    assert (talk.system_instruction, talk.parameters) == ("", {})


@TABLE
def test_the_form_says_the_same(name, value, code, sentence):
    form = OptionsForm(typed(name, value))
    assert {field: list(errors) for field, errors in form.errors.items()} == {field_of(name, value): [sentence]}


@TABLE
def test_a_preset_from_elsewhere_is_judged_when_it_is_applied(owner, name, value, code, sentence):
    preset = ChatPreset.objects.create(owner=owner, name="Wild", parameters={name: value})
    with pytest.raises(InvalidValues) as refused:
        presets.apply(preset, factories.conversation(owner=owner))
    assert told(refused) == [(code, field_of(name, value), sentence)]


def test_every_parameter_that_servers_take_has_a_rule():
    assert {*spec.RULES} == {*PARAMETERS, "system_instruction"}


@pytest.mark.parametrize("name", spec.RANGES)
def test_both_ends_of_a_range_belong_to_it(name):
    found = spec.RANGES[name]
    assert spec.find_problems({name: found.least}) == spec.find_problems({name: found.most}) == []
    form = OptionsForm(QueryDict(f"{name}={found.most}"))
    assert form.is_valid()
    assert form.parameters() == {name: found.most}


def test_the_first_message_of_a_model_has_the_same_ranges():
    form = TryForm({"temperature": "3", "max_tokens": "9000"}, ready=[])
    assert [list(form.errors[name]) for name in ("temperature", "max_tokens")] == [
        ["Enter a number from 0 to 2."], ["Enter a whole number from 1 to 8192."],
    ]  # fmt: skip


def test_what_no_server_knows_is_refused():
    [problem] = spec.find_problems({"magic": 1})
    assert (problem.code, problem.sentence) == ("unknown", "Unknown parameter: magic.")


def test_instructions_have_an_end():
    [problem] = spec.find_problems({"system_instruction": "x" * 20_001})
    assert problem.sentence == "System instructions have at most 20000 characters; these have 20001. Shorten them."
