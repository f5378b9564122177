"""Joins the page's ES modules into one script, so that a browser loads them with one request.

The modules stay what they are: nothing is renamed, and every line of the result is one line of a module. Each module
becomes a function that returns its exports. JSDoc blocks are left out; their lines stay, empty.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_IMPORT = re.compile(r'^import (?:(?:\* as (?P<all>\w+)|\{(?P<names>[^}]*)\}) from )?"(?P<path>[^"]+)";?', re.MULTILINE)
_REEXPORT = re.compile(r'^export \{(?P<names>[^}]*)\} from "(?P<path>[^"]+)";?', re.MULTILINE)
_EXPORTED_NAMES = re.compile(r"^export \{(?P<names>[^}]*)\};?", re.MULTILINE)
_EXPORTED = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (?P<name>\w+))", re.MULTILINE)
_JSDOC = re.compile(r"^[ \t]*/\*\*.*?\*/", re.MULTILINE | re.DOTALL)
_LEFT = re.compile(r"^(?:import|export)\b(?!\().*", re.MULTILINE)
_OWN_ADDRESS = "import.meta.url"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Bundle(NamedTuple):
    """One script made of several.

    Attributes:
        script: the source of an ES module without imports.
        source_map: JSON of a source map (revision 3), with which the developer tools show the modules themselves.
        modules: the paths of the modules below the root, each after those that it imports.
    """

    script: str
    source_map: str
    modules: tuple[str, ...]


def bundle(root: Path, entry: str) -> Bundle:
    """Join a module with all that it imports.

    Args:
        root: folder of all modules.
        entry: path of the module below `root`, such as "pages/app.js". The script is served from this folder.

    Raises:
        ValueError: for a form of import or export that is not supported, for modules that import each other, and for a
            module that does not exist.
    """
    sources: dict[str, str] = {}
    _collect(root, entry, sources, ())
    names = {path: f"module{number}" for number, path in enumerate(sources)}
    lines: list[str] = []
    origins: list[tuple[int, int] | None] = []  # of each line: number of its module and line there
    for number, (path, source) in enumerate(sources.items()):
        body, exports = _as_function(path, source, names)
        if path != entry:
            body = body.replace(_OWN_ADDRESS, f'new URL("{_relative(path, entry)}", {_OWN_ADDRESS}).href')
        own = body.split("\n")
        lines += [f"const {names[path]} = (() => {{", *own, f"return {{ {', '.join(exports)} }};", "})();"]
        origins += [None, *((number, line) for line in range(len(own))), None, None]
    found = {"version": 3, "sources": [_relative(path, entry) for path in sources], "names": []}
    return Bundle("\n".join(lines) + "\n", json.dumps(found | {"mappings": _mappings(origins)}), tuple(sources))


def _collect(root: Path, path: str, sources: dict[str, str], importing: tuple[str, ...]) -> None:
    """Read a module after those that it imports, in the order of their imports, as a browser runs them."""
    if path in importing:
        raise ValueError(f"{path} imports itself through {', '.join(importing[importing.index(path) + 1 :]) or path}")
    if path in sources:
        return
    try:
        source = (root / path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ValueError(f"{importing[-1] if importing else root}: there is no script {path}") from error
    for found in _imports(source):
        _collect(root, _resolve(path, found["path"]), sources, (*importing, path))
    sources[path] = source


def _imports(source: str) -> Iterator[re.Match[str]]:
    yield from sorted((*_IMPORT.finditer(source), *_REEXPORT.finditer(source)), key=lambda found: found.start())


def _as_function(path: str, source: str, names: dict[str, str]) -> tuple[str, list[str]]:
    """The body of the function that a module becomes, with the lines of the module, and what it returns."""
    exports: list[str] = []

    def imported(found: re.Match[str]) -> str:
        module = names[_resolve(path, found["path"])]
        if found["all"]:
            return f"const {found['all']} = {module};"
        return _keeping_lines(found, f"const {{ {_renamed(found['names'])} }} = {module};" if found["names"] else "")

    def reexported(found: re.Match[str]) -> str:
        module = names[_resolve(path, found["path"])]
        exports.extend(f"{outside}: {module}.{inside}" for inside, outside in _pairs(found["names"]))
        return _keeping_lines(found, "")

    def named(found: re.Match[str]) -> str:
        exports.extend(f"{outside}: {inside}" for inside, outside in _pairs(found["names"]))
        return _keeping_lines(found, "")

    def declared(found: re.Match[str]) -> str:
        exports.append(found["name"])
        return ""

    text = _JSDOC.sub(lambda found: _keeping_lines(found, ""), source)
    for pattern, change in (
        (_IMPORT, imported), (_REEXPORT, reexported), (_EXPORTED_NAMES, named), (_EXPORTED, declared),
    ):  # fmt: skip
        text = pattern.sub(change, text)
    if left := _LEFT.search(text):
        raise ValueError(
            f"{path}: {left[0][:80]!r} is not supported. Allowed: import {{ a, b as c }}, import * as a, export "
            "function, class, const and {{ a }}, each at the start of a line, with double quotes around the path."
        )
    return text, exports


def _keeping_lines(found: re.Match[str], text: str) -> str:
    return text + "\n" * found[0].count("\n")


def _pairs(names: str) -> list[tuple[str, str]]:
    """ "a, b as c" as pairs of a name and its new name."""
    parts = [part.split() for part in names.split(",") if part.strip()]
    return [(part[0], part[-1]) for part in parts]


def _renamed(names: str) -> str:
    """ "a, b as c" as a destructuring pattern: "a, b: c"."""
    return ", ".join(old if old == new else f"{old}: {new}" for old, new in _pairs(names))


def _resolve(path: str, imported: str) -> str:
    """The path below the root of what a module imports by a relative path."""
    parts: list[str] = []
    for part in (PurePosixPath(path).parent / imported).parts:
        if part != "..":
            parts.append(part)
        elif not parts:
            raise ValueError(f"{path} imports {imported}, which is outside of the page's files")
        else:
            parts.pop()
    return "/".join(parts)


def _relative(path: str, entry: str) -> str:
    """A path below the root as seen from the folder of the entry."""
    return "../" * (len(PurePosixPath(entry).parts) - 1) + path


def _mappings(origins: list[tuple[int, int] | None]) -> str:
    """The lines' origins in the format of source maps: differences to the last mapped line, in base 64."""
    rows, last = [], (0, 0)
    for origin in origins:
        rows.append("" if origin is None else _mapping(origin[0] - last[0], origin[1] - last[1]))
        last = origin or last
    return ";".join(rows)


def _mapping(module: int, line: int) -> str:
    """One segment: column 0, and the differences of module, line and column."""
    return f"A{_variable_length(module)}{_variable_length(line)}A"


def _variable_length(value: int) -> str:
    """An integer in digits of 5 bits, lowest first; the lowest bit of all is the sign, a sixth bit says "more"."""
    left = (-value << 1) | 1 if value < 0 else value << 1
    digits = ""
    while left > 31:
        digits += _BASE64[left & 31 | 32]
        left >>= 5
    return digits + _BASE64[left]
