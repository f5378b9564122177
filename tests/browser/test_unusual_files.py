"""Files that browsers cannot show: deep TIFFs, TIFFs of several pages, JPEG 2000."""

import re
from pathlib import Path

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image
from playwright.sync_api import Page, expect


@pytest.mark.parametrize("name", ["deep.tif", "floats.tif", "image.jp2"])
def test_files_that_the_browser_cannot_decode_are_shown(page: Page, tmp_path: Path, name: str) -> None:
    steps = np.repeat(np.arange(0, 4000, 40, dtype=np.uint16)[None, :], 80, 0)
    if name.endswith("jp2"):
        Image.fromarray((steps / 16).astype(np.uint8)).save(tmp_path / name)
    else:
        tifffile.imwrite(tmp_path / name, steps if name == "deep.tif" else (steps / 4000).astype(np.float32))
    page.get_by_role("link", name="Image", exact=True).click()
    page.get_by_label("Images to segment").set_input_files(tmp_path / name)
    expect(page).to_have_url(re.compile("#/s/"))
    note = page.locator(".canvas-note")
    expect(note).to_contain_text("copy made by the service")
    if name == "deep.tif":
        expect(note).to_contain_text("12 bits")
    page.get_by_label("Opacity").fill("0")
    page.get_by_role("button", name="Outlines").click()
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector("canvas.layer");
          const view = canvas.parentElement;
          const scale = Math.min((view.clientWidth - 32) / 100, (view.clientHeight - 32) / 80, 8);
          const [left, right] = [10, 90].map((at) => {
            const x = view.clientWidth / 2 + (at - 50) * scale, y = view.clientHeight / 2;
            return canvas.getContext("2d").getImageData(x * devicePixelRatio, y * devicePixelRatio, 1, 1).data[0];
          });
          return right - left > 60;  // the image is drawn under the labels
        }"""
    )
    page.reload()
    expect(page.locator(".canvas-note")).to_contain_text("copy made by the service")


def test_the_pages_of_a_tiff_are_chosen(page: Page, tmp_path: Path, address: str) -> None:
    stack = np.stack([np.full((60, 80), 60 * n, dtype=np.uint8) for n in (1, 2, 3)])
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    page.get_by_role("link", name="Image", exact=True).click()
    page.get_by_label("Images to segment").set_input_files(tmp_path / "stack.tif")
    selector = page.get_by_role("group", name="Pages of the file")
    expect(selector.get_by_label("Page of the file")).to_have_value("0")
    expect(selector.get_by_role("button", name="Previous page")).to_be_disabled()
    expect(page).to_have_url(re.compile("#/s/"))
    first = page.url
    selector.get_by_role("button", name="Next page").click()
    expect(selector.get_by_label("Page of the file")).to_have_value("1")
    selector.get_by_label("Page of the file").select_option("2")
    expect(selector.get_by_role("button", name="Next page")).to_be_disabled()
    assert page.url != first
    answer = httpx.get(f"{address}/segmentations/{page.url.rpartition('/')[2]}").json()
    assert (answer["page"], answer["pages"]) == (2, 3)
    page.reload()
    expect(selector).to_contain_text("Page 3 of 3")
