"""JSDoc types of the page's scripts, generated from the schemas of the OpenAPI document."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TYPES = Path(__file__).parents[1] / "service" / "static" / "lib" / "types.js"
_PLAIN = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}
Schema = Mapping[str, Any]


def types_js(document: Schema) -> str:
    """A JavaScript module of one JSDoc typedef for each schema of an OpenAPI 3.1 document.

    Raises:
        ValueError: if a schema uses a keyword that has no JSDoc type.
    """
    blocks = ["/** Types of the service's JSON. Generated from docs/openapi.json by `make openapi`. */"]
    blocks += ["\n".join(_typedef(name, schema)) for name, schema in document["components"]["schemas"].items()]
    return "\n\n".join([*blocks, "export {};"]) + "\n"


def _typedef(name: str, schema: Schema) -> Iterator[str]:
    yield "/**"
    about = _one_line(schema)
    if about:
        yield f" * {about}"
        yield " *"
    if "properties" not in schema:
        yield f" * @typedef {{{jsdoc_type(schema)}}} {name}"
    else:
        yield f" * @typedef {{object}} {name}"
        required = schema.get("required", ())
        for field, value in schema["properties"].items():
            shown = field if field in required else f"[{field}]"
            yield f" * @property {{{jsdoc_type(value)}}} {shown} {_one_line(value)}".rstrip()
    yield " */"


def _one_line(schema: Schema) -> str:
    """The description of a schema, without what would end the comment."""
    return " ".join(str(schema.get("description", "")).split()).replace("*/", "* /").replace("@", "(at)")


def jsdoc_type(schema: Schema) -> str:
    """The JSDoc type of a JSON schema.

    Raises:
        ValueError: if it has none.
    """
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return "|".join(json.dumps(value) for value in schema["enum"])
    if "anyOf" in schema:
        return "|".join(jsdoc_type(kind) for kind in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        return _array(schema)
    if kind == "object":
        return _object(schema)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is None:
        return "unknown"
    raise ValueError(f"a schema of type {kind!r} has no JSDoc type; allowed: array, object, {', '.join(_PLAIN)}")


def _array(schema: Schema) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(jsdoc_type(item) for item in schema['prefixItems'])}]"
    item, least, most = jsdoc_type(schema.get("items", {})), schema.get("minItems"), schema.get("maxItems")
    if least is not None and least == most:
        return f"[{', '.join([item] * least)}]"
    return f"({item})[]" if "|" in item else f"{item}[]"


def _object(schema: Schema) -> str:
    if "properties" in schema:
        required = schema.get("required", ())
        fields = (
            f"{name}{'' if name in required else '?'}: {jsdoc_type(value)}"
            for name, value in schema["properties"].items()
        )
        return f"{{{', '.join(fields)}}}"
    values = schema.get("additionalProperties", True)
    return f"Record<string, {jsdoc_type(values) if isinstance(values, Mapping) else 'any'}>"
