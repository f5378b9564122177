"""The source of the web page: imports from lib up to pages, without circles, and its words."""

import re
from pathlib import Path

import pytest

from service.routes.pages import STATIC

LAYERS = ("lib", "parts", "pages")  # each may import itself and the earlier ones
IMPORT = re.compile(
    r"""(?:\bfrom\s+|\bimport\s+|\bimport\(\s*)["']([^"']+)["']"""
)  # types are imported by import("...")
SCRIPTS = sorted(STATIC.rglob("*.js"))
TEXTS = sorted(path for path in STATIC.rglob("*.*") if path.suffix in (".css", ".html", ".js", ".svg"))


def imports(script: Path) -> set[Path]:
    """The scripts that a script imports, with those of which it imports types alone."""
    return {(script.parent / name).resolve() for name in IMPORT.findall(script.read_text())}


def statically_imported(script: Path) -> set[Path]:
    """The scripts that run before a script does, because it imports them."""
    text = re.sub(r"/\*.*?\*/", "", script.read_text(), flags=re.DOTALL)
    return {(script.parent / name).resolve() for name in IMPORT.findall(text)}


def layer(script: Path) -> int:
    return LAYERS.index(script.relative_to(STATIC.resolve()).parts[0])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(STATIC)))
def test_a_script_imports_scripts_of_its_own_layer_and_of_those_below(script: Path) -> None:
    for imported in imports(script):
        assert imported.is_file(), f"{imported} does not exist"
        assert layer(imported) <= layer(script.resolve()), f"imports {imported.relative_to(STATIC.resolve())}"


def test_no_script_imports_itself_through_others() -> None:
    """A part may name the type of the page that it belongs to, but not import it."""
    left = {script.resolve(): statically_imported(script) for script in SCRIPTS}
    while ready := [script for script, imported in left.items() if not imported & left.keys()]:
        for script in ready:
            del left[script]
    assert not left, f"these import each other: {sorted(path.name for path in left)}"


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(STATIC)))
def test_no_address_begins_at_the_root_of_the_host(file: Path) -> None:
    """A proxy may publish the service below a path. Scripts send requests by `url` of lib/http.js, which adds it."""
    text = file.read_text()
    assert not re.findall(r"""(?:href|src)="/|@import ["']/""", text)
    if file.name not in ("api.js", "types.js"):
        assert not re.findall(
            r"""(?<!url\()["'`]/(?:segment|explain|exemplars|classes|edits|docs|openapi|static)""", text
        )


def test_every_script_is_loaded_by_a_page_or_imported() -> None:
    named = {name for file in STATIC.glob("*.html") for name in re.findall(r'src="static/([^"]+)"', file.read_text())}
    known = {(STATIC / name).resolve() for name in named if name.endswith(".js")}.union(
        *(imports(script) for script in SCRIPTS)
    )
    assert {script.resolve() for script in SCRIPTS} == known


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: str(file.relative_to(STATIC)))
def test_the_page_says_image_and_fix_as_the_documents_do(file: Path) -> None:
    words = re.findall(r"picture|mend(?:ed)?\b", file.read_text(), re.IGNORECASE)
    assert not words
