import json

import pytest

from jobs.localvertex.instant.answers import SAID, answer, fill_schema

USER = [{"role": "user", "content": "Hello you"}]


def test_it_says_that_it_says_nothing():
    said = answer({"messages": [{"role": "system", "content": "Be kind"}, *USER]})
    assert "".join(said.words) == f'{SAID} You wrote: "Hello you"'
    assert (said.finish_reason, said.prompt_tokens) == ("stop", 4)
    assert said.usage == {
        "completion_tokens": len(said.words), "prompt_tokens": 4, "total_tokens": len(said.words) + 4,
        "prompt_tokens_details": {"cached_tokens": 0},
    }  # fmt: skip


def test_parts_are_read_and_a_long_message_is_not_repeated_whole():
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    assert "".join(answer({"messages": [{"role": "user", "content": parts}]}).words).endswith('You wrote: "see "')
    assert "".join(answer({"prompt": "word " * 50}).words).endswith('word word…"')


@pytest.mark.parametrize(
    ("wish", "text", "reason"),
    [
        ({"max_tokens": 3}, "The local Vertex", "length"),
        ({"max_tokens": 1000}, f'{SAID} You wrote: "Hello you"', "stop"),
        ({"stop": "Vertex"}, "The local", "stop"),
        ({"stop": ["nowhere", " local"]}, "The", "stop"),
    ],
)
def test_it_is_held_to_the_request(wish, text, reason):
    said = answer({"messages": USER, **wish})
    assert ("".join(said.words), said.finish_reason) == (text, reason)


def test_json_is_json():
    plain = answer({"messages": USER, "response_format": {"type": "json_object"}})
    assert json.loads("".join(plain.words)) == {"said": SAID}
    schema = {
        "type": "object",
        "properties": {"name": {"$ref": "#/$defs/Name"}, "age": {"type": ["integer", "null"], "minimum": 3}},
        "$defs": {"Name": {"type": "string"}},
    }
    held = answer({"messages": USER, "response_format": {"type": "json_schema", "json_schema": {"schema": schema}}})
    assert json.loads("".join(held.words)) == {"name": SAID, "age": 3}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": ["b", "a"]}, "b"),
        ({"const": 4}, 4),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, False),
        ({"type": "array", "items": {"type": "number"}, "minItems": 2}, [0, 0]),
        ({"type": "array"}, []),
        ({"properties": {}}, {}),
    ],
)
def test_a_schema_is_kept_by_the_smallest_value(schema, value):
    assert fill_schema(schema, schema) == value


def test_a_schema_that_names_itself_ends():
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert json.dumps(fill_schema(schema, schema)).count("next") == 5
