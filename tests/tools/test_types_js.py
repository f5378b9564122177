"""JSDoc types of JSON schemas."""

from typing import Any

import pytest

from tools.types_js import jsdoc_type, types_js

TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (TEXT, "string"),
        ({"type": "integer"}, "number"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "null"}, "null"),
        ({}, "unknown"),
        ({"$ref": "#/components/schemas/Segment"}, "Segment"),
        ({"const": "ok", "type": "string"}, '"ok"'),
        ({"enum": [16, 32]}, "16|32"),
        ({"anyOf": [TEXT, {"type": "null"}]}, "string|null"),
        ({"type": "array", "items": TEXT}, "string[]"),
        ({"type": "array"}, "unknown[]"),
        ({"type": "array", "items": {"anyOf": [TEXT, {"type": "null"}]}}, "(string|null)[]"),
        ({"type": "array", "items": {"type": "array", "items": TEXT}}, "string[][]"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}, "[number, number]"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2}, "number[]"),
        ({"type": "array", "prefixItems": [TEXT, {"type": "boolean"}]}, "[string, boolean]"),
        ({"type": "object"}, "Record<string, any>"),
        ({"type": "object", "additionalProperties": TEXT}, "Record<string, string>"),
        ({"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a"]}, "{a: string, b?: string}"),
    ],
    ids=str,
)
def test_a_schema_has_its_jsdoc_type(schema: dict[str, Any], expected: str) -> None:
    assert jsdoc_type(schema) == expected


def test_a_type_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'date' has no JSDoc type; allowed: array, object, string"):
        jsdoc_type({"type": "date"})


def test_a_module_has_a_typedef_for_each_schema_with_optional_properties_in_brackets() -> None:
    size = {"type": "array", "items": {"type": "integer"}, "description": "Pairs @ the\n end */ of it."}
    mask = {"description": "A mask.", "properties": {"size": size, "counts": TEXT}, "required": ["size"]}
    module = types_js({"components": {"schemas": {"Mask": mask, "Name": TEXT}}})
    assert module == (
        "/** Types of the service's JSON. Generated from docs/openapi.json by `make openapi`. */\n\n"
        "/**\n * A mask.\n *\n * @typedef {object} Mask\n"
        " * @property {number[]} size Pairs (at) the end * / of it.\n"
        " * @property {string} [counts]\n */\n\n"
        "/**\n * @typedef {string} Name\n */\n\n"
        "export {};\n"
    )
