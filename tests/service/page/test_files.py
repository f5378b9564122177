import gzip
import json
import logging
import os
import re
from pathlib import Path

import pytest

from service.page.files import PageFiles

PAGE = """<head>
<script type="application/json" id="files">{}</script>
<link rel="icon" href="static/icon.svg">
<link rel="stylesheet" href="static/lib/base.css">
<link rel="stylesheet" href="static/pages/pages.css">
<script type="module" src="static/pages/app.js"></script>
</head>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small page."""
    for name in ("lib", "pages"):
        (tmp_path / name).mkdir()
    (tmp_path / "index.html").write_text(PAGE)
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "lib/base.css").write_text("a { color: red }")
    (tmp_path / "pages/pages.css").write_text("b { color: blue }")
    (tmp_path / "lib/a.js").write_text("export const a = 1;\n")
    (tmp_path / "pages/app.js").write_text('import { a } from "../lib/a.js";\nconsole.log(a);\n')
    return tmp_path


@pytest.fixture
def files(folder: Path) -> PageFiles:
    return PageFiles({"static": folder})


def named(files: PageFiles) -> list[str]:
    """The addresses that the page names."""
    return re.findall(r'(?:href|src)="([^"]+)"', files.page("index.html").content.decode())


def test_a_page_names_one_style_sheet_and_one_script_by_their_content(files: PageFiles) -> None:
    icon, styles, script = named(files)
    assert re.fullmatch(r"static/icon\.[0-9a-f]{12}\.svg", icon)
    assert re.fullmatch(r"static/index\.[0-9a-f]{12}\.css", styles)
    assert re.fullmatch(r"static/pages/app\.[0-9a-f]{12}\.js", script)
    found = files.find(styles)
    assert found is not None
    assert found[0].content == b"a { color: red }\nb { color: blue }"


def test_a_page_lists_the_addresses_of_its_images_for_scripts(files: PageFiles) -> None:
    listed = re.search(r"<script [^>]+>(\{.*?\})</script>", files.page("index.html").content.decode())
    assert listed is not None
    ((path, address),) = json.loads(listed[1]).items()
    assert path == "icon.svg"
    found = files.find(f"static/{address}")
    assert found is not None
    assert (found[0].content, found[1]) == (b"<svg/>", True)


def test_only_an_address_with_the_hash_of_its_content_never_changes(files: PageFiles) -> None:
    for address in named(files):
        found = files.find(address)
        assert found is not None
        assert found[1]
        assert found[0].digest[:12] in address
    plain = files.find("static/lib/base.css")
    assert plain is not None
    assert (plain[0].content, plain[1]) == (b"a { color: red }", False)


@pytest.mark.parametrize(("changed", "position"), [("icon.svg", 0), ("pages/pages.css", 1), ("lib/a.js", 2)])
def test_a_changed_file_gets_a_new_address_and_the_old_one_gives_the_new_content(
    files: PageFiles, folder: Path, changed: str, position: int
) -> None:
    before = named(files)
    path = folder / changed
    path.write_text(path.read_text().replace("1", "2").replace("blue", "lime").replace("<svg/>", "<svg></svg>"))
    os.utime(path, ns=(1, 1))
    after = named(files)
    assert [old == new for old, new in zip(before, after, strict=True)] == [at != position for at in range(3)]
    stale, new = files.find(before[position]), files.find(after[position])
    assert stale is not None
    assert new is not None
    assert (stale[0].content, stale[1], new[1]) == (new[0].content, False, True)


def test_a_change_that_cannot_be_used_leaves_the_page_as_it_was(
    files: PageFiles, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = files.page("index.html").content
    (folder / "lib/a.js").write_text("export default 1;\n")
    with caplog.at_level(logging.WARNING):
        assert files.page("index.html").content == before
    assert "lib/a.js" in caplog.text


@pytest.mark.parametrize(("name", "text"), [("pages/app.js", 'import "./no.js";'), ("lib/base.css", "a{b:url(c.png)}")])
def test_a_page_that_cannot_be_made_is_refused(files: PageFiles, folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(ValueError, match=r"no\.js|relative|url\("):
        files.page("index.html")


def test_a_page_that_names_a_missing_file_is_refused(files: PageFiles, folder: Path) -> None:
    (folder / "icon.svg").unlink()
    with pytest.raises(ValueError, match=r"static/icon\.svg, which does not exist"):
        files.page("index.html")


def test_text_is_compressed_once_and_small_files_and_images_are_not(files: PageFiles, folder: Path) -> None:
    (folder / "large.js").write_text("const number = 1;\n" * 100)
    (folder / "large.png").write_bytes(bytes(2000))
    large = files.read("static/large.js")
    assert large is not None
    assert large.gzipped is not None
    assert gzip.decompress(large.gzipped) == large.content
    again = files.read("static/large.js")
    assert again is not None
    assert again.gzipped is large.gzipped
    assert all((file := files.read(f"static/{name}")) and file.gzipped is None for name in ("large.png", "icon.svg"))


def test_the_source_map_of_a_script_lies_beside_it(files: PageFiles) -> None:
    script = named(files)[2]
    found = files.find(script)
    assert found is not None
    link = re.search(r"//# sourceMappingURL=(\S+)\n$", found[0].content.decode())
    assert link is not None
    source_map = files.find(f"static/pages/{link[1]}")
    assert source_map is not None
    assert source_map[0].media_type == "application/json"


def test_a_folder_may_serve_some_of_its_files_only(folder: Path) -> None:
    files = PageFiles({"static": folder, "docs": folder / "lib"}, only={"docs": ("base.css",)})
    assert files.find("docs/base.css") is not None
    assert files.find("docs/a.js") is None
    assert files.find("elsewhere/base.css") is None
