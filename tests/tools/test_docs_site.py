"""The website of the documentation builds without a warning and needs no other host."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.exceptions import PluginError

from tools.docs_site import external_resources, repository_path, rewrite_links, source_page

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it: a warning, such as a broken link, ends the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_the_site_has_a_page_for_every_document(site: Path) -> None:
    documents = {file.relative_to(ROOT / "docs").with_suffix(".html") for file in (ROOT / "docs").rglob("*.md")}
    assert documents <= {file.relative_to(site) for file in site.rglob("*.html")}


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    assert external_resources(site) == []


def test_the_references_are_filled_in(site: Path) -> None:
    assert "POST /segment" in (site / "api-reference.html").read_text()
    assert 'id="segsort.segment_sorting.vmf_nca_loss"' in (site / "python-reference.html").read_text()


def test_a_link_to_a_source_file_leads_to_a_page_with_its_text(site: Path) -> None:
    page = (site / "how-it-works.html").read_text()
    assert 'href="source/segsort/retrieval.py.html"' in page
    text = re.sub(r"<[^>]*>", "", (site / "source" / "segsort" / "retrieval.py.html").read_text())
    assert "def flip_set(" in text


@pytest.mark.parametrize(
    ("element", "found"),
    [
        ('<script src="https://host/x.js"></script>', ["https://host/x.js"]),
        ('<link rel="stylesheet" href="//host/x.css">', ["//host/x.css"]),
        ('<a href="https://host/">a link to follow</a>', []),
        ('<img src="own.png">', []),
    ],
)
def test_what_a_page_loads_from_another_host_is_found(element: str, found: list[str], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(element)
    assert [address for _, address in external_resources(tmp_path)] == found


def test_a_font_that_a_style_sheet_loads_is_found(tmp_path: Path) -> None:
    (tmp_path / "x.css").write_text("@font-face { src: url(https://host/font.woff2) }")
    assert external_resources(tmp_path) == [("x.css", "https://host/font.woff2")]


@pytest.mark.parametrize(
    ("link", "path"),
    [("../segsort/sphere.py", "segsort/sphere.py"), ("performance", "docs/performance"), ("settings.md", None)],
)
def test_only_files_outside_the_documents_get_pages(link: str, path: str | None) -> None:
    assert repository_path(link, "index.md") == path


def test_links_to_other_hosts_and_to_headings_stay() -> None:
    text = "[a](https://host/x) [b](#start) [c](settings.md#range) [d](../README.md)"
    assert rewrite_links(text, "index.md") == text.replace("../README.md", "source/README.md.md")


def test_a_link_to_a_file_that_does_not_exist_ends_the_build() -> None:
    with pytest.raises(PluginError, match=re.escape("links to segsort/no_such_file.py")):
        source_page(ROOT / "segsort" / "no_such_file.py")
