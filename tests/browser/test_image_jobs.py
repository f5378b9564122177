"""Jobs of many images on the page of images: made from a large drop, followed, downloaded, stopped and deleted."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from benchmarks.running_service import running_service

COUNT = 104
RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of these tests alone."""
    with running_service(tmp_path_factory.mktemp("jobs"), patience=240) as address:
        yield address


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """More images than are sent one by one without a question, and a broken one."""
    folder = tmp_path_factory.mktemp("many")
    for n in range(COUNT - 1):
        blocks = RNG.integers(0, 255, (2, 2, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        Image.fromarray(blocks).save(folder / f"image{n:03}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return sorted(folder.iterdir())


def test_a_large_drop_can_be_segmented_in_the_background(
    visit: Callable[..., Page], address: str, files: list[Path], tmp_path: Path
) -> None:
    page = visit(address, "#/images", color_scheme="light")
    page.get_by_label("Images to add").set_input_files(files)
    expect(page.get_by_role("region", name="Many images")).to_contain_text(f"{COUNT} images")
    assert page.locator(".tile.queued").count() == 0
    page.get_by_role("button", name="Segment in the background").click()
    job = page.get_by_role("region", name="Job of images")
    expect(job.get_by_role("progressbar")).to_be_visible()
    page.reload()
    expect(job).to_contain_text(f"{COUNT - 1} images segmented in the background, 1 failed", timeout=120_000)
    with page.expect_download() as started:
        job.get_by_role("link", name="Download the export").click()
    started.value.save_as(tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        document = json.loads(archive.read("annotations/instances_default.json"))
    assert len(document["images"]) == COUNT - 1
    assert len(httpx.get(f"{address}/segmentations?limit=1000").json()) == COUNT - 1
    expect(page.get_by_role("list", name="Stored images").get_by_role("listitem").first).to_be_visible()
    job.get_by_role("button", name="Delete the export").click()
    expect(job).to_have_count(0)
    assert httpx.get(f"{address}/jobs").json() == []


def test_a_job_of_images_can_be_stopped_and_does_not_keep_others_from_teaching(
    visit: Callable[..., Page], address: str, files: list[Path]
) -> None:
    page = visit(address, "#/images", color_scheme="light")
    page.get_by_label("Images to add").set_input_files(files)
    page.get_by_role("button", name="Segment in the background").click()
    job = page.get_by_role("region", name="Job of images")
    job.get_by_role("button", name="Stop").click()
    expect(job).to_contain_text("Stopped after")
    job.get_by_role("button", name="Dismiss").click()
    expect(job).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="Images")).to_be_visible()
    expect(job).to_have_count(0)


def test_a_large_drop_can_be_segmented_on_the_page(visit: Callable[..., Page], address: str, files: list[Path]) -> None:
    before = len(httpx.get(f"{address}/jobs").json())
    page = visit(address, "#/images", color_scheme="light")
    page.get_by_label("Images to add").set_input_files(files)
    page.get_by_role("button", name="Segment on this page").click()
    expect(page.get_by_role("region", name="Queue")).to_contain_text(f"of {COUNT} images segmented")
    assert len(httpx.get(f"{address}/jobs").json()) == before
