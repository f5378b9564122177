"""docs/settings.md and `service.settings.Settings` name the same settings, defaults and ranges."""

import re
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le
from pydantic.fields import FieldInfo

from service.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = "SEGSORT_SETTINGS_FILE"  # names the settings file, so it is no field of Settings
ROW = re.compile(r"^\| `(SEGSORT_\w+)` \| (.*?) \| (.*?) \| (.+) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[str, str]]:
    """Default and range of each documented setting."""
    rows = ROW.findall((ROOT / "docs" / "settings.md").read_text(encoding="utf-8"))
    assert len(rows) == len({name for name, *_ in rows}), "a setting has two rows"
    return {name: (default, allowed) for name, default, allowed, _ in rows}


def default(field: FieldInfo) -> str:
    """The default of a field as an environment variable says it."""
    value = field.default
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value != "" else '`""`'


def allowed(field: FieldInfo) -> str:
    """The range of a field in words."""
    kind: Any = field.annotation
    if kind is bool:
        return "`true`, `false`"
    if get_origin(kind) is not None and all(isinstance(value, str) for value in get_args(kind)):
        return ", ".join(f"`{value}`" for value in get_args(kind))
    bounds = {type(bound): bound for bound in field.metadata}
    if Ge in bounds and Le in bounds:
        return f"{bounds[Ge].ge}..{bounds[Le].le}"
    if Ge in bounds:
        return f">= {bounds[Ge].ge}"
    return f"> {bounds[Gt].gt}" if Gt in bounds else "any"


def test_the_page_names_every_setting_and_no_other() -> None:
    assert set(documented()) == {f"SEGSORT_{name.upper()}" for name in Settings.model_fields} | {FILE}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_page_has_the_default_and_the_range_of_a_setting(name: str) -> None:
    field = Settings.model_fields[name]
    assert documented()[f"SEGSORT_{name.upper()}"] == (default(field), allowed(field))


@pytest.mark.parametrize("package", ["command_line", "index_builder", "model_store", "segsort", "service"])
def test_every_variable_that_a_package_names_is_on_the_page(package: str) -> None:
    sources = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / package).rglob("*.py"))
    assert set(re.findall(r"SEGSORT_[A-Z_]*[A-Z](?![A-Z_])", sources)) <= set(documented())
