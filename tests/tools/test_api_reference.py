import json
import re
from pathlib import Path
from typing import Any

import pytest

from tools.api_reference import METHODS, limits_of, render_operations, type_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def api() -> dict[str, Any]:
    return dict(json.loads(DOCUMENT.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def page() -> str:
    return render_operations(DOCUMENT)


def test_every_operation_has_one_heading(api: dict[str, Any], page: str) -> None:
    wanted = {f"{method.upper()} {path}" for path, methods in api["paths"].items() for method in methods}
    headings = re.findall(rf"^### `((?:{'|'.join(METHODS)}) .*?)`", page, re.MULTILINE | re.IGNORECASE)
    assert sorted(headings) == sorted(wanted)


def test_every_parameter_and_every_status_is_in_the_section_of_its_operation(api: dict[str, Any], page: str) -> None:
    sections = {part.partition("`")[0]: part for part in re.split(r"^### `", page, flags=re.MULTILINE)[1:]}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            section = sections[f"{method.upper()} {path}"]
            for name in [one["name"] for one in operation.get("parameters", [])] + list(operation["responses"]):
                assert f"\n| `{name}` |" in section, f"{method} {path}: {name}"


def test_every_link_to_a_model_has_its_heading(page: str) -> None:
    assert set(re.findall(r"\(#(model-[\w-]+)\)", page)) <= set(re.findall(r"\{ #(model-[\w-]+) \}", page))


def test_every_row_of_a_table_has_as_many_cells_as_its_head(page: str) -> None:
    for table in re.findall(r"(?:^\|.*\|\n?)+", page, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/Vote"}, "[Vote](#model-vote)"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "integer or null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Vote"}}, "list of [Vote](#model-vote)"),
        ({"enum": ["rle", "none"]}, "`rle`, `none`"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of number by name"),
        ({"type": "string", "format": "binary"}, "file"),
        ({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, "[integer, text]"),
        ({"const": "Flat"}, '`"Flat"`'),
        ({}, "any"),
    ],
)
def test_a_type_is_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_of(schema) == words


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"minimum": 0, "maximum": 1}, ">= 0, <= 1"),
        ({"anyOf": [{"exclusiveMinimum": 0}, {"type": "null"}]}, "> 0"),
        ({"type": "array", "maxItems": 10, "items": {"maxLength": 5}}, "at most 10 items, at most 5 characters"),
        ({"maximum": 2**62}, ""),
    ],
)
def test_limits_are_in_words(schema: dict[str, Any], words: str) -> None:
    assert limits_of(schema) == words


def test_a_file_without_operations_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="has no `paths`"):
        render_operations(tmp_path / "other.json")
