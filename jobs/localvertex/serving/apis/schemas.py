"""Google's Schema, a part of OpenAPI's, as JSON Schema."""

from typing import Any

from jobs.localvertex.api.wire import Json

SAME = ("description", "enum", "required", "pattern", "minimum", "maximum", "title", "default", "format")
COUNTS = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")


def to_json_schema(schema: Json) -> Json:
    """`schema` is the JSON of the message, in which counts are texts and types have capital letters."""
    found: Json = {key: schema[key] for key in SAME if key in schema}
    found |= {key: int(schema[key]) for key in COUNTS if key in schema}
    if kind := schema.get("type"):
        found["type"] = [kind.lower(), "null"] if schema.get("nullable") else kind.lower()
    if "items" in schema:
        found["items"] = to_json_schema(schema["items"])
    if "anyOf" in schema:
        found["anyOf"] = [to_json_schema(one) for one in schema["anyOf"]]
    if "properties" in schema:
        found["properties"] = _in_order(schema)
    return found


def _in_order(schema: Json) -> dict[str, Any]:
    """An answer has its properties in the order of the schema: that of `propertyOrdering`, then by name, since the
    message keeps no other."""
    properties = schema["properties"]
    named = [name for name in schema.get("propertyOrdering", ()) if name in properties]
    return {name: to_json_schema(properties[name]) for name in dict.fromkeys([*named, *sorted(properties)])}
