"""Building a release from labelled images on the page: what was found, classes, progress, result, reload, refusals."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service
from tests.conftest import BLOCK_CLASSES, Blocks
from tests.service.conftest import encoded

pytestmark = pytest.mark.timeout(900)

BLOCKS = Blocks("train", count=6)
PATIENCE_MS = 240_000


@pytest.fixture
def service(chromium: Browser, tiny_release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SEGSORT_ADAPT_NICE", "0")
    monkeypatch.setenv("SEGSORT_ADAPT_BUDGET_S", "1")
    data = tmp_path / "data"
    data.mkdir()
    with running_service(data, "--release", str(tiny_release), patience=240) as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of images and masks, with a file that is not used and leftovers of a file manager."""
    place = tmp_path / "my blocks"
    for part in ("images", "masks"):
        (place / part).mkdir(parents=True)
    classes = [{"name": info.name, "color": list(info.color)} for info in BLOCK_CLASSES]
    (place / "classes.json").write_text(json.dumps({"classes": classes, "ignore": 255}))
    for number in range(6):
        image, labels, _ = BLOCKS[number]
        (place / "images" / f"blöck {number}.png").write_bytes(encoded(image))
        (place / "masks" / f"blöck {number}.png").write_bytes(encoded(labels))
    (place / "images" / "bare.png").write_bytes(encoded(BLOCKS[0].image))
    (place / ".DS_Store").write_bytes(b"leftover")
    return place


def build(page: Page) -> None:
    page.get_by_label("What describes the images").select_option("filters")
    page.get_by_role("button", name="Build the release").click()


def test_a_folder_becomes_a_release_that_is_measured_and_served(
    visit: Callable[..., Page], service: str, folder: Path
) -> None:
    page = visit(service, "#/releases", color_scheme="light")
    page.get_by_role("link", name="Build from labelled images").click()
    page.get_by_label("Folder of labelled images to build from").set_input_files(folder)
    form = page.get_by_role("form", name="What was found")
    expect(form.get_by_role("heading", name="6 labelled images found")).to_be_visible()
    expect(form).to_contain_text("Format: folders of images and masks.")
    expect(form).to_contain_text("1 of 6 images at equal distances")
    form.get_by_text("1 file will not be used").click()
    expect(form).to_contain_text("images/bare.png: no mask")
    page.reload()
    expect(form.get_by_role("heading", name="6 labelled images found")).to_be_visible()
    expect(form.get_by_label("Name of the new release")).to_have_value("my-blocks")
    form.get_by_label(f"New name of {BLOCK_CLASSES[0].name}", exact=True).fill("first")
    form.get_by_label(f"Use {BLOCK_CLASSES[2].name}", exact=True).uncheck()
    form.get_by_label("Name of the new release").fill("tiny")
    build(page)
    expect(form.get_by_role("alert")).to_contain_text("The new release cannot have this name.")
    form.get_by_label("Name of the new release").fill("two of three")
    build(page)
    expect(page.get_by_role("region", name="Progress of the build").get_by_role("progressbar")).to_be_visible()
    page.reload()
    result = page.get_by_role("region", name="Result of the build")
    expect(result.get_by_role("heading", name="two-of-three is built")).to_be_visible(timeout=PATIENCE_MS)
    found = httpx.get(f"{service}/jobs").json()[0]["result"]
    expect(result.locator(".score-bars")).to_contain_text(f"{found['miou']:.2f}")
    expect(result).to_contain_text("mIoU on 1 image that the build did not see")
    assert httpx.get(f"{service}/readyz").json()["release"] == "tiny"
    page.reload()
    result.get_by_role("button", name="Serve it").click()
    expect(page.locator(".release.active")).to_contain_text("two-of-three")
    names = [one["name"] for one in httpx.get(f"{service}/classes").json()]
    assert names == ["first", BLOCK_CLASSES[1].name]
    expect(page.get_by_role("article", name="tiny")).to_contain_text("given by its path")


def test_what_cannot_be_built_is_refused_with_the_reason(
    visit: Callable[..., Page], service: str, folder: Path, tmp_path: Path
) -> None:
    page = visit(service, "#/releases/build", color_scheme="dark", viewport={"width": 390, "height": 844})
    (tmp_path / "text.zip").write_bytes(b"no archive")
    archive = page.get_by_label("ZIP archive of labelled images to build from")
    archive.set_input_files(tmp_path / "text.zip")
    expect(page.get_by_role("alert")).to_contain_text("The archive is not a complete ZIP archive.")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                opened.write(file, file.relative_to(folder.parent))
    (tmp_path / "labelled.zip").write_bytes(content.getvalue())
    archive.set_input_files(tmp_path / "labelled.zip")
    form = page.get_by_role("form", name="What was found")
    expect(form).to_be_visible()
    for info in BLOCK_CLASSES[1:]:
        form.get_by_label(f"Use {info.name}", exact=True).uncheck()
    build(page)
    expect(form.get_by_role("alert")).to_contain_text("A release needs two classes at least.")
    form.get_by_label(f"Use {BLOCK_CLASSES[1].name}", exact=True).check()
    build(page)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped. Nothing was changed.")).to_be_visible()
    expect(form.get_by_role("heading", name="6 labelled images found")).to_be_visible()
    form.get_by_role("button", name="Choose other images").click()
    expect(page.get_by_role("heading", name="Choose labelled images")).to_be_visible()
    assert len(httpx.get(f"{service}/releases").json()) == 3, "general, streets and tiny"


def test_the_zip_that_the_page_writes_is_read_by_others(page: Page, tmp_path: Path) -> None:
    """The oracle is Python's zipfile, which checks the checksums."""
    contents = {"a/ä.txt": "one", "a/b/empty": "", "c": "x" * 200_000}
    script = """async (contents) => {
      const { zipped } = await import("/static/lib/zip.js");
      const entries = Object.entries(contents).map(([name, text]) => ({ name, file: new Blob([text]) }));
      return Array.from(new Uint8Array(await (await zipped(entries)).arrayBuffer()));
    }"""
    written = bytes(page.evaluate(script, contents))
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name).decode() for name in archive.namelist()} == contents
