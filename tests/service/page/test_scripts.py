import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.page.scripts import bundle
from service.routes.pages import STATIC

DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def write(folder: Path, **modules: str) -> Path:
    """Write modules, named like `pages_app` for pages/app.js."""
    for name, source in modules.items():
        path = folder / f"{name.replace('_', '/')}.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return folder


def decoded(mappings: str) -> Iterator[tuple[int, int, int]]:
    """Line of the script, number of the module and line of the module, of each mapped line."""
    module = line = 0
    for number, row in enumerate(mappings.split(";")):
        if row:
            values, value, shift = [], 0, 0
            for digit in map(DIGITS.index, row):
                value += (digit & 31) << shift
                shift += 5
                if digit < 32:
                    values.append(-(value >> 1) if value & 1 else value >> 1)
                    value = shift = 0
            assert (values[0], values[3]) == (0, 0)  # columns
            module, line = module + values[1], line + values[2]
            yield number, module, line


def test_a_module_follows_those_that_it_imports_and_is_there_once(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        pages_app='import { b } from "../lib/b.js";\nimport { a } from "../lib/a.js";\na(b);\n',
        lib_a="export const a = (x) => x;\n",
        lib_b='import { a } from "./a.js";\nexport const b = a(1);\n',
    )
    assert bundle(root, "pages/app.js").modules == ("lib/a.js", "lib/b.js", "pages/app.js")


def test_imports_become_constants_and_exports_are_returned(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        pages_app=(
            'import * as all from "../lib/a.js";\nimport {\n  f,\n  c as d,\n} from "../lib/a.js";\n'
            'import "../lib/b.js";\n'
        ),
        lib_a="export async function f() {}\nexport class c {}\nconst hidden = 1;\nexport { hidden as shown };\n",
        lib_b='export { f as g } from "./a.js";\n',
    )
    script = bundle(root, "pages/app.js").script
    assert "const all = module0;" in script
    assert "const { f, c: d } = module0;" in script
    assert "\nasync function f() {}\nclass c {}\n" in script
    assert "return { shown: hidden, f, c };" in script
    assert "return { g: module0.f };" in script
    assert "import" not in script
    assert "export" not in script


def test_the_address_of_a_module_stays_its_own(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        pages_app='import { here } from "../lib/a.js";\nconst mine = import.meta.url;\n',
        lib_a="export const here = import.meta.url;\n",
    )
    script = bundle(root, "pages/app.js").script
    assert 'const here = new URL("../lib/a.js", import.meta.url).href;' in script
    assert "const mine = import.meta.url;" in script


def test_comments_between_code_are_left_out_and_nothing_else_is(tmp_path: Path) -> None:
    root = write(tmp_path, app='/**\n * import { x } from "nowhere";\n */\nconst a = /** @type {b} */ (`/* c */`);\n')
    assert bundle(root, "app.js").script == (
        "const module0 = (() => {\n\n\n\nconst a = /** @type {b} */ (`/* c */`);\n\nreturn {  };\n})();\n"
    )


@pytest.mark.parametrize(
    "statement",
    [
        'import a from "./lib/a.js";',
        "export default 1;",
        "export let a = 1;",
        'export * from "./lib/a.js";',
        "import { a } from './lib/a.js';",
        "export const { a } = b;",
    ],
)
def test_a_form_that_is_not_supported_is_named(tmp_path: Path, statement: str) -> None:
    root = write(tmp_path, app=f"const b = 1;\n{statement}\n", lib_a="export const a = 1;\n")
    with pytest.raises(ValueError, match=r"app\.js: .* is not supported\. Allowed: import"):
        bundle(root, "app.js")


def test_modules_that_import_each_other_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path, app='import "./lib/a.js";\n', lib_a='import "./b.js";\n', lib_b='import "./a.js";\n')
    with pytest.raises(ValueError, match=r"lib/a\.js imports itself through lib/b\.js"):
        bundle(root, "app.js")


def test_a_missing_module_is_named_with_the_one_that_imports_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"app\.js: there is no script lib/a\.js"):
        bundle(write(tmp_path, app='import "./lib/a.js";\n'), "app.js")


def test_nothing_outside_the_folder_is_imported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside of the page's files"):
        bundle(write(tmp_path, app='import "../secret.js";\n'), "app.js")


def test_the_source_map_leads_each_line_of_the_page_to_its_module() -> None:
    made = bundle(STATIC, "pages/app.js")
    lines, found = made.script.split("\n"), json.loads(made.source_map)
    assert (found["version"], found["sources"]) == (3, [f"../{module}" for module in made.modules])
    modules = [(STATIC / module).read_text().split("\n") for module in made.modules]
    mapped = list(decoded(found["mappings"]))
    assert {(module, line) for _, module, line in mapped} == {
        (number, line) for number, module in enumerate(modules) for line in range(len(module))
    }
    same = [(lines[line], modules[module][there]) for line, module, there in mapped if lines[line]]
    assert len(same) > 1000
    for made_line, line in same:  # statements of import and export are written differently, all other lines are kept
        assert made_line in line or made_line.startswith("const {") or "import" in line or "module" in made_line
