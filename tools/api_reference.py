"""Renders docs/openapi.json as Markdown: operations by tag, then the models that they name."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
PROBLEM = "application/problem+json"
BOUNDS = {
    "minimum": ">= {}",
    "exclusiveMinimum": "> {}",
    "maximum": "<= {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "pattern": "matches `{}`",
}


def render_operations(document: Path) -> str:
    """The operations and models of an OpenAPI document, as Markdown with headings from level 2.

    Raises:
        ValueError: if the file is no OpenAPI document.
    """
    api = json.loads(document.read_text(encoding="utf-8"))
    if "paths" not in api:
        raise ValueError(f"{document} has no `paths`; expected is an OpenAPI document, as `make openapi` writes it")
    parts: list[str] = []
    for tag, operations in _by_tag(api).items():
        parts.append(f"## {tag.capitalize()}")
        for method, path, operation in operations:
            parts += _operation(method, path, operation, api)
    models = api.get("components", {}).get("schemas", {})
    if models:
        parts.append("## Models")
        for name in sorted(models):
            parts += _model(name, models[name])
    return "\n\n".join(parts) + "\n"


def type_of(schema: Json) -> str:
    """The type of a schema in words, with a link to each model that it names."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(type_of(one) for one in schema[key]))
    if "allOf" in schema:
        return " and ".join(type_of(one) for one in schema["allOf"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    return _plain_type(schema)


def limits_of(schema: Json) -> str:
    """The bounds of a schema in words; those of each alternative, where it has several."""
    alternatives: Sequence[Json] = schema.get("anyOf", schema.get("oneOf", ()))
    own = [
        text.format(_number(schema[key])) for key, text in BOUNDS.items() if key in schema and not _huge(schema[key])
    ]
    own += [limits_of(schema["items"])] if "items" in schema else []
    return ", ".join(dict.fromkeys(text for text in (*own, *map(limits_of, alternatives)) if text))


def _by_tag(api: Json) -> dict[str, list[tuple[str, str, Json]]]:
    found: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in api["paths"].items():
        for method in METHODS:
            if method in methods:
                operation = methods[method]
                found.setdefault(operation.get("tags", ["other"])[0], []).append((method.upper(), path, operation))
    return found


def _operation(method: str, path: str, operation: Json, api: Json) -> Iterator[str]:
    anchor = re.sub(r"[^a-z0-9]+", "-", f"{method} {path}".lower()).strip("-")
    yield f"### `{method} {path}` {{ #{anchor} }}"
    yield str(operation.get("description") or operation.get("summary") or "")
    needed = operation.get("security", api.get("security"))
    if needed is not None:
        yield f"**Access:** {_access(needed)}"
    if operation.get("parameters"):
        yield "**Parameters**"
        yield _parameters(operation["parameters"])
    body = operation.get("requestBody", {}).get("content", {})
    if body:
        yield "**Body**"
        yield _contents(body)
        yield from _fields_of_inline(body)
        yield from _examples(body)
    yield "**Answers**"
    yield _answers(operation["responses"])
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            yield from _fields_of_inline(answer.get("content", {}))
            yield from _examples(answer.get("content", {}))


def _access(needed: Sequence[Json]) -> str:
    schemes = [" and ".join(f"`{name}`" for name in one) or "nobody is asked for a key" for one in needed]
    return " or ".join(schemes) if schemes else "open to everyone"


def _parameters(parameters: Sequence[Json]) -> str:
    rows = []
    for one in parameters:
        schema = one.get("schema", {})
        place = f"{one['in']}, required" if one.get("required") else str(one["in"])
        rows.append([f"`{one['name']}`", place, *_described(schema, one.get("description"))])
    return _table(["name", "in", "type", "default", "limits", "meaning"], rows)


def _contents(contents: Json) -> str:
    """Media types; those with equal schemas share a row."""
    kinds: dict[str, list[str]] = {}
    for media, content in contents.items():
        kinds.setdefault(_content_type(media, content.get("schema", {})), []).append(f"`{media}`")
    return _table(["media type", "content"], [[", ".join(names), kind] for kind, names in kinds.items()])


def _content_type(media: str, schema: Json) -> str:
    if media == PROBLEM:
        return "[problem](#problems)"
    if schema:
        return type_of(schema)
    return "text" if media.startswith("text/") else "image" if media.startswith("image/") else "any"


def _answers(responses: Json) -> str:
    rows = []
    for status, answer in responses.items():
        kinds: dict[str, list[str]] = {}
        for media, content in answer.get("content", {}).items():
            kinds.setdefault(_content_type(media, content.get("schema", {})), []).append(f"`{media}`")
        content = "; ".join(f"{', '.join(names)}: {kind}" for kind, names in kinds.items())
        rows.append([f"`{status}`", str(answer.get("description", "")), content or "empty"])
    return _table(["status", "meaning", "content"], rows)


def _fields_of_inline(contents: Json) -> Iterator[str]:
    """Tables of the fields of schemas that are not models of their own."""
    for media, content in contents.items():
        if content.get("schema", {}).get("properties"):
            yield f"Fields of `{media}`:"
            yield _fields(content["schema"])


def _examples(contents: Json) -> Iterator[str]:
    for media, content in contents.items():
        examples = {"": content["example"]} if "example" in content else {}
        examples |= {f": {name}": one["value"] for name, one in content.get("examples", {}).items() if "value" in one}
        for name, example in examples.items():
            text = example if isinstance(example, str) else json.dumps(example, indent=2)
            yield f'??? example "Example, `{media}`{name}"\n\n' + "\n".join(
                f"    {line}" for line in ("```json", *text.splitlines(), "```")
            )


def _model(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name} {{ #{_anchor(name)} }}"
    if schema.get("description"):
        yield str(schema["description"])
    if schema.get("properties"):
        yield _fields(schema)
    else:
        yield f"Type: {type_of(schema)}"
    for example in [schema["example"]] if "example" in schema else schema.get("examples", [])[:1]:
        yield '??? example "Example"\n\n' + "\n".join(
            f"    {line}" for line in ("```json", *json.dumps(example, indent=2).splitlines(), "```")
        )


def _fields(schema: Json) -> str:
    required = set(schema.get("required", ()))
    rows = []
    for name, field in schema["properties"].items():
        label = f"`{name}`" if name in required else f"`{name}`, optional"
        rows.append([label, *_described(field, field.get("description"))])
    return _table(["field", "type", "default", "limits", "meaning"], rows)


def _described(schema: Json, description: str | None) -> list[str]:
    default = f"`{json.dumps(schema['default'])}`" if schema.get("default") is not None else ""
    return [type_of(schema), default, limits_of(schema), description or ""]


def _plain_type(schema: Json) -> str:
    kind = schema.get("type")
    if kind == "array":
        if "prefixItems" in schema:
            return f"[{', '.join(type_of(one) for one in schema['prefixItems'])}]"
        return f"list of {type_of(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of {type_of(schema['additionalProperties'])} by name"
    if kind == "string" and schema.get("format"):
        return {"binary": "file", "byte": "base64 text"}.get(schema["format"], f"text ({schema['format']})")
    return {"string": "text", None: "any"}.get(kind, str(kind))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table without its empty columns."""
    kept = [n for n in range(len(head)) if any(row[n] for row in rows)]
    lines = [[head[n] for n in kept], ["---"] * len(kept), *([row[n] for n in kept] for row in rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _number(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _huge(value: Any) -> bool:
    """Whether a bound only keeps a number in 64 bits, which tells a reader nothing."""
    return isinstance(value, int | float) and abs(value) > 2**53


def _anchor(name: str) -> str:
    return "model-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
