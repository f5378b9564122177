"""The page of images: queue, states, selection, export and deletion."""

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect
from pycocotools.coco import COCO
from pycocotools.mask import decode

from benchmarks.running_service import running_service
from service.http.keys import new_key

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service of these tests alone, without images."""
    with running_service(tmp_path_factory.mktemp("images"), patience=240) as address:
        yield address


@pytest.fixture
def page(visit: Callable[..., Page], address: str) -> Page:
    """The page of images, without any."""
    for one in httpx.get(f"{address}/segmentations?limit=1000").json():
        httpx.delete(f"{address}/segmentations/{one['segmentation_id']}")
    return visit(address, "#/images", color_scheme="light")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 small images in two folders, a broken one, and a file that is no image."""
    folder = tmp_path / "mine"
    (folder / "deeper").mkdir(parents=True)
    for n in range(29):
        blocks = RNG.integers(0, 255, (4, 5, 3), dtype=np.uint8).repeat(24, 0).repeat(24, 1)
        place = folder if n % 2 else folder / "deeper"
        Image.fromarray(blocks).save(place / f"image{n:02}.{('jpg', 'png', 'webp')[n % 3]}")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    (folder / "notes.txt").write_text("no image")
    return folder


def add_folder(page: Page, folder: Path) -> None:
    page.get_by_label("A folder to add").set_input_files(folder)


def stored(page: Page) -> Locator:
    return page.get_by_role("list", name="Stored images").get_by_role("listitem")


def queued(page: Page) -> Locator:
    return page.locator(".tile.queued")


def segmented(page: Page, files: list[Path]) -> None:
    page.get_by_label("Images to add").set_input_files(files)
    expect(stored(page)).to_have_count(len(files))
    expect(queued(page)).to_have_count(0)
    expect(page.get_by_role("list", name="Stored images")).not_to_have_attribute("aria-busy", "true")


def test_a_folder_is_segmented_and_one_broken_file_says_why(page: Page, folder: Path) -> None:
    most = 0
    requests: set[str] = set()
    page.on("request", lambda one: requests.add(one.url) if "/segment?" in one.url else None)
    add_folder(page, folder)
    expect(page.locator(".toast", has_text="1 file was left out")).to_be_visible()
    while queued(page).count() > 1:
        most = max(most, page.locator(".queued:is([data-state=sending], [data-state=segmenting])").count())
        page.wait_for_timeout(20)
    assert 1 <= most <= 2
    expect(page.locator(".batch-bar[aria-label=Queue]")).to_contain_text("29 of 30 images segmented")
    expect(page.locator(".batch-bar[aria-label=Queue]")).to_contain_text("1 failed")
    [broken] = queued(page).all()
    expect(broken).to_contain_text("mine/broken.jpg")
    expect(broken).to_contain_text("damaged")
    expect(stored(page)).to_have_count(29)
    expect(stored(page).first.locator("img")).to_have_js_property("complete", True)
    assert all("size=320" in one.get_attribute("src") for one in stored(page).locator("img").all())  # type: ignore[operator]
    (folder / "broken.jpg").unlink()
    broken.get_by_role("button", name="Remove").click()
    expect(page.locator(".batch-bar[aria-label=Queue]")).to_be_hidden()


def test_a_queue_pauses_goes_on_and_is_cancelled(page: Page, folder: Path) -> None:
    passing = iter(range(6))
    held: list[Route] = []

    def hold(route: Route) -> None:
        if next(passing, None) is None:
            held.append(route)
        else:
            route.continue_()

    page.route("**/segment?**", hold)
    add_folder(page, folder)
    expect(stored(page).nth(3)).to_be_visible()
    wait_for(page, lambda: len(held) == 2)
    page.get_by_role("button", name="Pause").click()
    for route in held:
        route.continue_()
    expect(page.locator(".queued:is([data-state=sending], [data-state=segmenting])")).to_have_count(0)
    resting = stored(page).count()
    page.wait_for_timeout(700)
    assert len(held) == 2, "nothing more is sent"
    assert stored(page).count() == resting < 25
    page.get_by_role("link", name="Image", exact=True).click()
    expect(page.locator(".tabs a[data-page=images]")).to_have_attribute("data-badge", f"{resting} of 30")
    page.locator(".tabs a[data-page=images]").click()
    passing = iter(range(5))
    page.get_by_role("button", name="Continue").click()
    expect(stored(page).nth(resting + 3)).to_be_visible()
    wait_for(page, lambda: len(held) == 4)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".queued:not([data-state=failed])")).to_have_count(0)
    ended = stored(page).count()
    page.wait_for_timeout(500)
    assert len(held) == 4, "nothing more is sent"
    assert stored(page).count() == ended


def wait_for(page: Page, happened: Callable[[], bool]) -> None:
    """Let the page go on until something has happened that only the test sees."""
    while not happened():
        page.wait_for_timeout(50)


def test_a_busy_service_and_a_lost_connection_are_waited_for(page: Page, folder: Path) -> None:
    """The first requests are refused, the next ones lost; every image is segmented in the end."""
    hindrance = "busy"
    met: list[str] = []

    def sometimes(route: Route) -> None:
        met.append(hindrance)
        if hindrance == "busy":
            body = json.dumps({"status": 503, "detail": "The queue is full.", "fix": "Wait."})
            route.fulfill(
                status=503, body=body, headers={"Retry-After": "2", "Content-Type": "application/problem+json"}
            )
        elif hindrance == "lost":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/segment?**", sometimes)
    files = sorted(folder.glob("image*"))[:5]
    page.get_by_label("Images to add").set_input_files(files)
    expect(page.locator(".batch-bar[aria-label=Queue]")).to_contain_text("The service is busy; next try in")
    hindrance = "lost"
    expect(page.locator(".batch-bar[aria-label=Queue]")).to_contain_text("The service cannot be reached; next try in")
    hindrance = ""
    expect(stored(page)).to_have_count(5)
    expect(page.locator(".batch-bar[aria-label=Queue]")).to_be_hidden()
    assert met.count("") == 5, "each image is segmented once"


def test_a_failed_image_is_tried_again(page: Page, folder: Path) -> None:
    page.route("**/segment?**", lambda route: route.fulfill(status=500, body="{}"))
    page.get_by_label("Images to add").set_input_files(sorted(folder.glob("image*"))[:2])
    expect(page.locator('.queued[data-state="failed"]')).to_have_count(2)
    page.unroute("**/segment?**")
    page.get_by_role("button", name="Try 2 failed ones again").click()
    expect(stored(page)).to_have_count(2)


def test_images_keep_their_places_when_the_list_is_loaded_again(page: Page, folder: Path) -> None:
    """Answers may arrive in another order than the service records them; here, its list is the other way round."""
    held: list[Route] = []
    page.route("**/segmentations?**", lambda route: held.append(route))
    page.get_by_label("Images to add").set_input_files(sorted(folder.glob("image*"))[:4])
    expect(stored(page)).to_have_count(4)
    expect(queued(page)).to_have_count(0)
    expect(page.locator(".batch-bar[aria-label=Queue]")).to_be_hidden()
    shown = ids_of(page)
    stored(page).evaluate_all("tiles => tiles.forEach((tile) => (tile.isOld = true))")
    wait_for(page, lambda: bool(held))  # the list is loaded again at the end of a queue
    for route in held:
        listed = {one["segmentation_id"]: one for one in route.fetch().json()}
        route.fulfill(json=[listed[key] for key in shown[::-1]])
    expect(page.get_by_role("list", name="Stored images")).not_to_have_attribute("aria-busy", "true")
    assert ids_of(page) == shown
    assert stored(page).evaluate_all("tiles => tiles.every((tile) => tile.isOld)"), "a click during this is not lost"
    page.unroute("**/segmentations?**")
    page.route("**/segmentations?**", lambda route: route.fulfill(json=[listed[key] for key in shown[::-1]]))
    page.reload()
    expect(stored(page)).to_have_count(4)
    assert ids_of(page) == shown[::-1]


def test_the_first_image_stays_where_it_is_when_the_recent_images_are_listed(
    page: Page, street: Callable[[int], Path]
) -> None:
    page.get_by_role("link", name="Image", exact=True).click()
    expect(page.get_by_role("button", name="Choose images")).to_be_visible()
    held: list[Route] = []
    page.route("**/segmentations?**", lambda route: held.append(route))
    page.get_by_label("Images to segment").set_input_files(street(1))
    expect(page.locator(".segment-row").first).to_be_visible()
    before = page.locator(".canvas-view").bounding_box()
    wait_for(page, lambda: bool(held))
    while held:
        held.pop().continue_()
    expect(page.locator(".strip [aria-current]")).to_be_visible()
    assert page.locator(".canvas-view").bounding_box() == before


def ids_of(page: Page) -> list[str | None]:
    """Of the stored images, in the order of the page."""
    return [one.get_attribute("data-id") for one in stored(page).all()]


def test_a_selection_is_exported_as_coco_and_deleted(page: Page, folder: Path, tmp_path: Path) -> None:
    """From dropped images to a COCO file that pycocotools loads."""
    segmented(page, sorted(folder.glob("image*"))[:6])
    boxes = page.get_by_role("checkbox", name="Select the image")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    expect(page.get_by_text("4 selected")).to_be_visible()
    boxes.nth(2).click()
    chosen = [stored(page).nth(n).get_attribute("data-id") for n in (1, 3, 4)]
    coco = COCO(exported(page, "For COCO (JSON)", tmp_path / "coco.json"))
    names = {stored(page).nth(n).locator(".name").inner_text() for n in (1, 3, 4)}
    assert {one["file_name"] for one in coco.dataset["images"]} == names
    assert names < {path.name for path in folder.iterdir()}
    assert {one["name"] for one in coco.dataset["categories"]} >= {"road", "sky"}
    page.locator(".images-page .tray summary").click()
    page.get_by_label("Also the image files").check()
    with page.expect_download() as download:
        page.get_by_role("button", name="For COCO (JSON)").click()
    download.value.save_as(tmp_path / "coco.zip")
    with zipfile.ZipFile(tmp_path / "coco.zip") as archive:
        assert sum(name.endswith((".jpg", ".jpeg", ".png", ".webp")) for name in archive.namelist()) == 3
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete 3 images?")
    page.get_by_role("button", name="Keep").click()
    expect(stored(page)).to_have_count(6)
    page.keyboard.press("Delete")
    page.get_by_role("button", name="Delete 3 images").click()
    expect(stored(page)).to_have_count(3)
    expect(page.get_by_text("3 images deleted")).to_be_visible()
    page.reload()
    expect(stored(page)).to_have_count(3)
    assert not {stored(page).nth(n).get_attribute("data-id") for n in range(3)} & set(chosen)


def exported(page: Page, name: str, path: Path) -> Path:
    page.locator(".images-page .tray summary").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    download.value.save_as(path)
    return path


def test_all_images_are_selected_by_the_keyboard_and_more_are_loaded_on_scrolling(
    page: Page, folder: Path, address: str
) -> None:
    content = sorted(folder.glob("image*"))[0].read_bytes()
    for n in range(70):
        grey = np.full((8, 8), n, dtype=np.uint8)
        Image.fromarray(grey).save(folder / "grey.png")
        content = (folder / "grey.png").read_bytes()
        httpx.post(f"{address}/segment", content=content, timeout=60).raise_for_status()
    page.reload()
    expect(stored(page).first).to_be_visible()
    stored(page).last.scroll_into_view_if_needed()
    expect(stored(page)).to_have_count(70)
    page.reload()
    stored(page).first.get_by_role("link").focus()
    page.keyboard.press("Control+a")
    expect(page.get_by_text("70 selected")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(stored(page).nth(1).get_by_role("link")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".images-page .tray")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/s/"))


def test_the_states_of_images_are_shown(page: Page, folder: Path, address: str) -> None:
    segmented(page, sorted(folder.glob("image*"))[:2])
    first = stored(page).first.get_attribute("data-id")
    httpx.post(f"{address}/segments/{first}-0/label", json={"class_name": "road"}, timeout=60).raise_for_status()
    page.reload()
    expect(page.get_by_text("marked", exact=True)).to_have_count(1)
    expect(page.get_by_text("outdated", exact=True)).to_have_count(1)


def test_the_labels_of_images_are_drawn_over_their_thumbnails(
    page: Page, street: Callable[[int], Path], address: str
) -> None:
    segmented(page, [street(1)])
    labels = stored(page).locator(".tile-labels")
    expect(labels).to_have_count(1)
    identity = stored(page).first.get_attribute("data-id")
    answer = httpx.get(f"{address}/segmentations/{identity}").json()
    expected = np.zeros((answer["height"], answer["width"], 3), dtype=np.uint8)
    for segment in answer["segments"]:
        if segment["known"]:
            [color] = [one["color"] for one in answer["classes"] if one["class_id"] == segment["class_id"]]
            mask = decode({"size": segment["mask"]["size"], "counts": segment["mask"]["counts"].encode()})
            expected[mask == 1] = [int(color[n : n + 2], 16) for n in (1, 3, 5)]
    shown = labels.evaluate("one => [...one.getContext('2d').getImageData(0, 0, one.width, one.height).data]")
    assert expected.any()
    assert expected.shape == (360, 480, 3)
    pixels = np.reshape(np.array(shown, dtype=np.uint8), (180, 240, 4))  # at most 320 pixels a side
    np.testing.assert_array_equal(pixels[..., :3], expected[::2, ::2])
    np.testing.assert_array_equal(pixels[..., 3] > 0, expected[::2, ::2].any(axis=-1))
    page.get_by_role("button", name="Show labels").click()
    expect(labels).to_have_count(0)
    page.reload()
    expect(stored(page)).to_have_count(1)
    expect(page.get_by_role("button", name="Show labels", pressed=False)).to_be_visible()
    page.get_by_role("button", name="Show labels").click()
    expect(labels).to_have_count(1)


def test_a_wrong_address_never_keeps_the_image_before(page: Page, folder: Path) -> None:
    segmented(page, sorted(folder.glob("image*"))[:1])
    stored(page).first.get_by_role("link").click()
    expect(page.locator(".segment-row").first).to_be_visible()
    page.evaluate("location.hash = '#/s/doesnotexist'")
    expect(page.get_by_role("alert")).to_contain_text("This image is not stored")
    expect(page.locator(".canvas-view")).to_be_hidden()


def test_the_image_that_is_shown_is_deleted(page: Page, folder: Path, address: str) -> None:
    segmented(page, sorted(folder.glob("image*"))[:2])
    stored(page).first.get_by_role("link").click()
    expect(page.locator(".segment-row").first).to_be_visible()
    page.get_by_role("button", name="Delete this image").click()
    page.get_by_role("button", name="Delete the image").click()
    expect(page.locator(".canvas-view")).to_be_hidden()
    expect(page).to_have_url(re.compile("#/$"))
    assert len(httpx.get(f"{address}/segmentations").json()) == 1
    page.locator(".tabs a[data-page=images]").click()
    expect(stored(page)).to_have_count(1)


def test_a_reader_sees_and_deletes_its_own_images_alone(
    visit: Callable[..., Page], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {name: new_key(name, "reader") for name in ("bo", "cy")}
    monkeypatch.setenv("SEGSORT_API_KEYS", ",".join(key.line for _, key in keys.values()))
    with running_service(tmp_path, patience=240) as address:
        contents = [one.read_bytes() for one in sorted(folder.glob("image*"))[:2]]
        for content, (key, _) in zip(contents, keys.values(), strict=True):
            headers = {"X-API-Key": key}
            httpx.post(f"{address}/segment", content=content, headers=headers, timeout=60).raise_for_status()
        page = visit(address, "#/images")
        page.get_by_label("API key").fill(keys["bo"][0])
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("You see the images of your key.")).to_be_visible()
        expect(stored(page)).to_have_count(1)
        page.get_by_role("checkbox", name="Select the image").click()
        page.get_by_role("button", name="Delete", exact=True).click()
        page.get_by_role("button", name="Delete the image").click()
        expect(stored(page)).to_have_count(0)
        expect(page.get_by_text("No images yet")).to_be_visible()
        others = httpx.get(f"{address}/segmentations", headers={"X-API-Key": keys["cy"][0]}).json()
        assert len(others) == 1
        page.goto("about:blank")


def test_images_are_pinned_and_unpinned(page: Page, folder: Path, address: str) -> None:
    segmented(page, sorted(folder.glob("image*"))[:3])
    first = stored(page).first.get_attribute("data-id")  # the service may list the images in another order

    def pinned() -> list[str]:
        return [one["segmentation_id"] for one in httpx.get(f"{address}/segmentations").json() if one["pinned"]]

    boxes = page.get_by_role("checkbox", name="Select the image")
    boxes.nth(0).click()
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_text("1 image pinned")).to_be_visible()
    expect(stored(page).nth(0).get_by_text("pinned", exact=True)).to_be_visible()
    assert pinned() == [first]
    boxes.nth(1).click()  # of two, one is pinned already
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.locator(".tile .tag", has_text="pinned")).to_have_count(2)
    page.get_by_role("button", name="Unpin", exact=True).click()
    expect(page.locator(".tile .tag", has_text="pinned")).to_have_count(0)
    assert pinned() == []
