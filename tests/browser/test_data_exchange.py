"""Labelled images into the page, and labels out of it."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.test_page import segment

Street = Callable[[int], Path]


def archive(image: Path, folder: Path) -> Path:
    """A ZIP archive of an image whose left half is of a new class, and of an image without a mask."""
    with Image.open(image) as opened:
        labels = np.full((opened.height, opened.width), 255, np.uint8)
    labels[:, : labels.shape[1] // 2] = 0
    mask = io.BytesIO()
    Image.fromarray(labels).save(mask, "PNG")
    with zipfile.ZipFile(folder / "labelled.zip", "w") as files:
        files.writestr("export/images/a.jpg", image.read_bytes())
        files.writestr("export/images/bare.jpg", image.read_bytes())
        files.writestr("export/masks/a.png", mask.getvalue())
        classes = [{"name": "left side", "color": [200, 90, 10]}]
        files.writestr("export/classes.json", json.dumps({"classes": classes, "ignore": 255}))
    return folder / "labelled.zip"


def test_labelled_images_of_an_archive_are_imported(page: Page, street: Street, tmp_path: Path) -> None:
    page.get_by_role("link", name="Exemplars").first.click()
    expect(page.get_by_role("button", name="Import labelled images")).to_be_visible()
    page.get_by_label("ZIP archive of labelled images").set_input_files(archive(street(2), tmp_path))
    expect(page.get_by_text("exemplars added from 1 image, format folder.")).to_be_visible()
    expect(page.get_by_text("Not used: images/bare.jpg (no mask).")).to_be_visible()
    page.get_by_role("link", name="left side").click()
    expect(page.locator(".cards .card").first).to_contain_text("images/a.jpg")


def test_an_archive_that_cannot_be_read_is_explained(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.zip").write_bytes(b"no archive")
    page.get_by_role("link", name="Exemplars").first.click()
    page.get_by_label("ZIP archive of labelled images").set_input_files(tmp_path / "notes.zip")
    expect(page.get_by_text("The archive is not a complete ZIP archive.")).to_be_visible()


def test_labels_are_downloaded_in_the_format_of_another_tool(page: Page, street: Street) -> None:
    rows = segment(page, street(1))
    page.get_by_label("Download").first.click()
    with page.expect_download() as started:
        page.get_by_role("button", name="For COCO (JSON)").click()
    document = json.loads(Path(started.value.path()).read_text())
    assert started.value.suggested_filename.endswith(".json")
    assert len(document["images"]) == 1
    assert 0 < len(document["annotations"]) <= rows.count()
