import json

import pytest
from django.http import QueryDict

from console.forms.chat.fields import escape, unescape
from console.forms.chat.options import PLAIN, OptionsForm, PresetForm
from jobs.services.chat.parameters import PARAMETERS, TPU_PARAMETERS
from tests.support import factories

pytestmark = pytest.mark.django_db
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def form(takes=None, **values):
    data = QueryDict(mutable=True)
    for name, value in values.items():
        data.setlist(name, value if isinstance(value, list) else [value])
    return OptionsForm(data, takes=takes)


def problems(**values):
    return {name: list(found) for name, found in form(**values).errors.items()}


def kept(**values):
    checked = form(**values)
    assert checked.errors == {}
    return checked.parameters()


def test_what_is_empty_is_not_asked():
    assert kept(temperature="", stop="", response_format="", schema="nonsense") == {}


def test_every_parameter():
    asked = kept(
        temperature="0", top_p="0.9", top_k="40", max_tokens="64", stop=["END", "\\n\\n"], seed="0",
        frequency_penalty="-2", presence_penalty="1.5",
    )  # fmt: skip
    assert asked == {
        "temperature": 0.0, "top_p": 0.9, "top_k": 40, "max_tokens": 64, "stop": ["END", "\n\n"], "seed": 0,
        "frequency_penalty": -2.0, "presence_penalty": 1.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("top_p", "0"), ("top_p", "1.01"), ("top_k", "0"), ("top_k", "1.5"), ("seed", "-1"), ("seed", "2147483648"),
        ("frequency_penalty", "2.1"), ("presence_penalty", "nan"), ("response_format", "xml"), ("temperature", "inf"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_at_its_field(field, value):
    assert list(problems(**{field: value})) == [field]


@pytest.mark.parametrize("stop", ["END", " a b ", "\n\n", "\t", "\\", "\\n", "a\\b\nc", "안녕"])
def test_a_stop_sequence_comes_back_as_it_was(stop):
    assert (unescape(escape(stop)), kept(stop=escape(stop))) == (stop, {"stop": [stop]})


def test_stop_sequences_may_come_as_lines_and_once_each():
    assert kept(stop="END\r\n\nSTOP\nEND") == {"stop": ["END", "STOP"]}


def test_a_backslash_before_any_other_letter_is_one():
    assert [unescape(line) for line in ("\\d", "a\\", "\\\\n")] == ["\\d", "a\\", "\\n"]


def test_five_stop_sequences_are_the_most_and_each_is_short():
    assert kept(stop=list("abcde")) == {"stop": list("abcde")}
    assert problems(stop=list("abcdef")) == {"stop": ["Use at most 5 stop sequences."]}
    assert problems(stop="x" * 101) == {"stop": ["A stop sequence has at most 100 characters."]}


def test_the_button_of_a_stop_sequence_takes_it_out():
    assert kept(**{"stop": ["a", "b"], "stop-remove": "a"}) == {"stop": ["b"]}


def test_json_and_json_by_a_schema():
    assert kept(response_format="json_object") == {"response_format": {"type": "json_object"}}
    by_schema = kept(response_format="json_schema", schema=json.dumps(SCHEMA))
    inner = {"name": "answer", "schema": SCHEMA}
    assert by_schema == {"response_format": {"type": "json_schema", "json_schema": inner}}


DEEP = '{"not":' * 22 + "{}" + "}" * 22


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("", "Enter a schema, or choose another output format."),
        ('{"type": }', "Invalid JSON at line 1, column 10."),
        ("[]", "A schema must be a JSON object, in braces."),
        ('{"minimum": NaN}', "Invalid JSON: a number isn't allowed, or values are nested too deeply."),
        ("[" * 5000, "Invalid JSON: a number isn't allowed, or values are nested too deeply."),
        ('{"minimum": 1e999}', "This contains characters that can't be stored."),
        ('{"const": "\\u0000"}', "This contains characters that can't be stored."),
        ('{"const": "\\ud800"}', "This contains characters that can't be stored."),
        ('{"type": "objekt"}', "type must be one of: object, array, string, number, integer, boolean, null."),
        ('{"properties": {"a": {"type": 1}}}', "properties.a.type must be one of"),
        ('{"properties": []}', "properties must be an object."),
        ('{"required": "a"}', "required must be a list of names."),
        ('{"enum": []}', "enum must be a list that is not empty."),
        ('{"items": 3}', "items must be a schema object."),
        ('{"anyOf": [{"type": "null"}, 4]}', "anyOf[1] must be a schema"),
        ('{"anyOf": {}}', "anyOf must be a list that is not empty."),
        ('{"$defs": 1}', "$defs must be an object."),
        ('{"$ref": "https://elsewhere/schema"}', "$ref must point into the schema"),
        (DEEP, "The schema is nested too deeply"),
        ('{"description": "' + "x" * 20_000 + '"}', "A schema has at most 20000 characters"),
    ],
)
def test_a_wrong_schema_says_where(schema, reason):
    (found,) = problems(response_format="json_schema", schema=schema)["schema"]
    assert found.startswith(reason)


def test_parameters_that_the_endpoint_does_not_take_have_no_field():
    fields = form(takes=TPU_PARAMETERS).fields
    assert [name for name in PARAMETERS if name in fields] == list(TPU_PARAMETERS)
    assert ("schema" in fields, set(PLAIN) | {"response_format", "tools"}) == (False, set(PARAMETERS))


def test_what_is_saved_is_in_the_fields_and_marked():
    inner = {"name": "answer", "schema": SCHEMA}
    parameters = {"stop": ["a\n"], "seed": 7, "response_format": {"type": "json_schema", "json_schema": inner}}
    shown = OptionsForm.of(factories.conversation(parameters=parameters), PARAMETERS)
    assert [shown[name].value() for name in ("stop", "seed", "response_format")] == ["a\\n", 7, "json_schema"]
    assert json.loads(shown["schema"].value()) == SCHEMA
    assert [field.name for field, _slider, is_changed in shown.rows if is_changed] == ["stop", "seed"]


def test_defaults_are_shown_and_not_sent():
    talk = factories.conversation(parameters={})
    shown = OptionsForm.of(talk, TPU_PARAMETERS, QueryDict(), defaults={"temperature": 0.2, "top_k": 40, "seed": 1})
    places = [str(shown.fields[name].widget.attrs["placeholder"]) for name in ("temperature", "top_p", "top_k")]
    assert places == ["Default: 0.2", "Default", "Default: 40"]
    assert (shown.is_valid(), shown.parameters()) == (True, {})


def test_a_preset_needs_a_name_on_one_line():
    assert PresetForm({"name": " "}).errors == {"name": ["Enter a name for the preset."]}
    named = PresetForm({"name": " Short \n answers "})
    assert (named.is_valid(), named.cleaned_data) == (True, {"name": "Short answers"})
