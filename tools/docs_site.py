"""Hooks of MkDocs: pages for linked source files, the API references, and a check that no page needs another host.

Documents link to source files by relative paths, which a code host follows. The site gets a page for each linked file.
"""

import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.api_reference import render_operations

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"(!?\[[^\]]*\])\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")  # a relative link of Markdown
FENCE = re.compile(r"^(`{3,}).*?^\1`*$", re.MULTILINE | re.DOTALL)
OPERATIONS, REFERENCE = "<!-- operations -->", "<!-- reference -->"
LANGUAGES = {".py": "python", ".js": "javascript", ".json": "json", ".toml": "toml", ".yml": "yaml", ".md": "markdown"}
MODULES = (
    "segsort.sphere",
    "segsort.network",
    "segsort.pixel_sorting",
    "segsort.segments",
    "segsort.segment_sorting",
    "segsort.memory_bank",
    "segsort.retrieval",
    "segsort.masks",
    "model_store.release",
    "model_store.store",
    "model_store.predictor",
    "model_store.embedder",
    "model_store.index",
    "model_store.card",
    "segsort_client.clients",
    "segsort_client.operations.segmenting",
    "segsort_client.operations.batching",
    "segsort_client.operations.editing",
    "segsort_client.operations.exemplars",
    "segsort_client.operations.exporting",
    "segsort_client.operations.releases",
    "segsort_client.operations.webhooks",
    "segsort_client.strokes",
    "segsort_client.many",
    "segsort_client.results.answers",
    "segsort_client.results.explanations",
    "segsort_client.results.edits",
    "segsort_client.results.additions",
    "segsort_client.results.jobs",
    "segsort_client.results.batches",
    "segsort_client.errors",
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for every source file that a document links to."""
    for target in sorted(_linked(Path(config.docs_dir))):
        files.append(File.generated(config, _page_of(target), content=source_page(ROOT / target)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links at the pages of the site, and fill in what is made from the sources."""
    if page.file.src_uri.startswith("source/"):
        return markdown
    if OPERATIONS in markdown:
        markdown = markdown.replace(OPERATIONS, render_operations(Path(config.docs_dir) / "openapi.json"))
    if REFERENCE in markdown:
        markdown = markdown.replace(REFERENCE, "\n\n".join(f"::: {module}" for module in MODULES))
    return rewrite_links(markdown, page.file.src_uri).replace("<details>", "<details markdown>")


def on_post_build(config: MkDocsConfig) -> None:
    """Refuse a site whose pages load anything from another host."""
    found = sorted({f"{page}: {address}" for page, address in external_resources(Path(config.site_dir))})
    if found:
        raise PluginError("the pages load from other hosts:\n" + "\n".join(found))


def rewrite_links(markdown: str, src_uri: str) -> str:
    """Replace links to files outside docs/ by links to their pages on the site."""

    def link(found: re.Match[str]) -> str:
        target = repository_path(found[2], src_uri)
        if target is None:
            return found[0]
        page = posixpath.relpath(_page_of(target), posixpath.dirname(src_uri) or ".")
        return f"{found[1]}({page})"

    return LINK.sub(link, markdown)


def repository_path(link: str, src_uri: str) -> str | None:
    """The path, from the root of the repository, of a linked folder or file outside docs/; None for files of docs/."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(src_uri), link))
    return None if path.startswith("docs/") and not (ROOT / path).is_dir() else path


def source_page(file: Path) -> str:
    """The page of a source file or folder, as Markdown.

    Raises:
        PluginError: if there is no such file.
    """
    name = file.relative_to(ROOT).as_posix()
    if file.is_dir():
        names = sorted(entry.name for entry in file.iterdir() if entry.name[0] not in "._")
        return "\n".join([f"# {name}/", "", *(f"- `{entry}`" for entry in names)])
    if not file.is_file():
        raise PluginError(f"a document links to {name}, which does not exist")
    text = file.read_text(encoding="utf-8")
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`{3,}", text))])
    return f'# {name}\n\n{fence}{{.{LANGUAGES.get(file.suffix, "text")} linenums="1"}}\n{text}\n{fence}\n'


def external_resources(site: Path) -> list[tuple[str, str]]:
    """(page, address) of everything that a browser would load from another host to show a page."""
    found: list[tuple[str, str]] = []
    for page in site.rglob("*.html"):
        parser = _Resources()
        parser.feed(page.read_text(encoding="utf-8"))
        found += [(page.relative_to(site).as_posix(), address) for address in parser.addresses]
    for sheet in site.rglob("*.css"):
        addresses = re.findall(r"(?:url\(|@import )[\"']?((?:https?:)?//[^\"')]+)", sheet.read_text(encoding="utf-8"))
        found += [(sheet.relative_to(site).as_posix(), address) for address in addresses]
    return found


class _Resources(HTMLParser):
    """Addresses on other hosts that a page loads: links that a reader may follow are not among them."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        loaded = [values.get("src"), values.get("srcset"), values.get("data"), values.get("poster")]
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            loaded.append(values.get("href"))
        self.addresses += [value for value in loaded if value and re.match(r"(https?:)?//", value)]


def _linked(docs: Path) -> set[str]:
    """Repository paths of all files outside docs/ that documents link to."""
    found: set[str] = set()
    for document in docs.rglob("*.md"):
        uri = document.relative_to(docs).as_posix()
        text = FENCE.sub("", document.read_text(encoding="utf-8"))
        found |= {path for link in LINK.finditer(text) if (path := repository_path(link[2], uri)) is not None}
    return found


def _page_of(path: str) -> str:
    """The page of a source file, below the folder of the documents."""
    return f"source/{path}.md"
