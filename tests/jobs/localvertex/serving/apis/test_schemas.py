from jobs.localvertex.serving.apis.schemas import to_json_schema


def test_properties_have_one_order():
    properties = {name: {"type": "STRING"} for name in "cbad"}
    schema = {"type": "OBJECT", "properties": properties, "propertyOrdering": ["d", "none", "b"]}
    assert [*to_json_schema(schema)["properties"]] == ["d", "b", "a", "c"]


def test_counts_and_types_are_json_schemas():
    schema = {
        "type": "ARRAY",
        "nullable": True,
        "minItems": "1",
        "items": {"anyOf": [{"type": "NUMBER", "minimum": 0.5}]},
    }
    assert to_json_schema(schema) == {
        "type": ["array", "null"],
        "minItems": 1,
        "items": {"anyOf": [{"type": "number", "minimum": 0.5}]},
    }
