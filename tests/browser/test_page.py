"""The page in use: segment, explain, correct, undo."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from segsort.masks import decode_rle
from tests.browser.axe import SETTLED

Street = Callable[[int], Path]
CONTROLS = {"button", "checkbox", "combobox", "DisclosureTriangle", "link", "listbox", "searchbox", "slider", "textbox"}
INTERNAL = re.compile(r"\b(GET|POST|DELETE)\b|b'|exemplar_id|segment_id|index.revision|undefined|NaN|\bnull\b|\[object")


def segment(page: Page, image: Path) -> Locator:
    """Give the page an image and wait for its labels; returns the rows of its segments."""
    page.get_by_label("Images to segment").set_input_files(image)
    expect(page).to_have_url(re.compile("#/s/"))
    return page.locator(".segment-row")


def explain(page: Page, row: Locator) -> str:
    """Open the explanation of a segment; returns its class."""
    row.click()
    expect(page.get_by_role("heading", name="The vote")).to_be_visible()
    return title(page).inner_text()


def title(page: Page) -> Locator:
    return page.locator("#explained .class-name, #explained .name:not(:has(.class-name))")  # without "nearest:"


def other_class(page: Page, name: str) -> str:
    """A class that is neither the label of the explained segment nor second in its vote."""
    chips = page.locator(".chip:not(.current):not(.second) .name").all_inner_texts()
    return next(chip for chip in chips if chip != name)


def test_a_photograph_is_segmented_and_each_label_names_its_exemplars(page: Page, street: Street) -> None:
    rows = segment(page, street(0))
    assert rows.count() > 20
    assert page.locator(".legend-row").count() > 4
    shares = [float(text.split()[0]) for text in page.locator(".legend-row .figure").all_inner_texts()]
    assert 97 < sum(shares) < 103
    name = explain(page, rows.first)
    cards = page.locator(".why .card")
    expect(cards.first.get_by_text("similarity")).to_be_visible()
    assert name in page.locator(".why .bars .bar-name").first.inner_text()
    expect(page.get_by_role("heading", name="What would change")).to_be_visible()
    cards.first.get_by_role("button", name="show the whole image").click()
    expect(page.get_by_role("dialog")).to_contain_text("streets/train/")


def test_labels_are_drawn_where_the_segments_are(page: Page, street: Street) -> None:
    segment(page, street(0))
    stage = page.get_by_role("group", name="Image with labels")
    box = stage.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.9)
    expect(title(page)).to_have_text("road")  # in front of the camera in every street
    page.keyboard.press("Escape")
    expect(page.locator(".legend")).to_be_visible()


def test_a_correction_changes_the_label_at_once_and_undo_restores_it(page: Page, street: Street) -> None:
    rows = segment(page, street(1))
    before = explain(page, rows.first)
    after = other_class(page, before)
    page.locator(".chip", has_text=after).click()  # the second click, and the last
    expect(title(page)).to_have_text(after)
    outcome = page.get_by_role("region", name="What the edit changed")
    expect(outcome).to_contain_text(after)
    expect(outcome).to_contain_text("changed in this image")
    outcome.get_by_role("button", name="Before").click()
    expect(page.get_by_text("Labels before the edit")).to_be_visible()
    outcome.get_by_role("button", name="After").click()
    expect(page.get_by_text("Labels before the edit")).to_be_hidden()
    page.keyboard.press("Control+z")
    expect(title(page)).to_have_text(before)
    outcome.get_by_role("button", name="Redo").click()
    expect(title(page)).to_have_text(after)
    expect(outcome.get_by_role("button", name="Undo")).to_be_visible()  # not "Redo": the edit is in effect again
    page.get_by_role("link", name="Edits", exact=True).click()
    restored = page.locator(".log-item").first
    expect(restored).to_contain_text("Restored edit")
    expect(restored.get_by_role("button", name="Revert")).to_be_visible()


def test_a_new_class_needs_only_a_name(page: Page, street: Street) -> None:
    rows = segment(page, street(2))
    explain(page, rows.first)
    page.get_by_label("This is a …").fill("kerb")
    page.get_by_role("option", name="New class “kerb”").click()
    expect(title(page)).to_have_text("kerb")
    expect(page.locator(".chip.current")).to_contain_text("kerb")
    page.get_by_role("button", name="All segments").click()
    expect(page.locator(".legend")).to_contain_text("kerb")


def test_a_correction_is_seen_in_the_other_recent_images_it_changes(page: Page, street: Street, tmp_path: Path) -> None:
    Image.open(street(3)).save(tmp_path / "twin.png")  # other bytes of the same street
    segment(page, tmp_path / "twin.png")
    twin = page.url
    page.get_by_label("Images to segment").set_input_files(street(3))
    expect(page).not_to_have_url(twin)
    page.get_by_label("Sort by").select_option("Largest")
    before = explain(page, page.locator(".segment-row").first)
    after = other_class(page, before)
    page.locator(".chip", has_text=after).click()
    outcome = page.get_by_role("region", name="What the edit changed")
    expect(outcome).to_contain_text(re.compile(r"changed in \d+ other recent image"))
    outcome.get_by_role("button", name=f"{before} became {after}: open it").first.click()
    expect(page.get_by_text("1 edit made since this image was labelled")).to_be_visible()
    page.get_by_role("button", name="Update labels").click()
    expect(title(page)).to_have_text(after)


def test_a_removed_exemplar_does_not_vote_any_more(page: Page, street: Street) -> None:
    rows = segment(page, street(3))
    explain(page, rows.first)
    card = page.locator(".why .cards .card").first
    gone = card.get_attribute("data-exemplar")
    card.hover()
    card.get_by_role("button", name="Remove this exemplar").click()
    expect(page.get_by_role("region", name="What the edit changed")).to_contain_text(re.compile("removed", re.I))
    expect(page.locator(".why .cards .card").first).not_to_have_attribute("data-exemplar", str(gone))
    page.get_by_role("link", name="Exemplars").click()
    page.get_by_label("Show removed exemplars").check()
    expect(page.get_by_role("status").filter(has_text=re.compile("removed exemplars?$"))).to_be_visible()
    shown, more = page.locator(".wide-cards [data-exemplar]"), page.get_by_role("button", name="Show more").first
    while more.is_visible() and gone not in shown.evaluate_all("cards => cards.map(card => card.dataset.exemplar)"):
        before = shown.count()  # those that other tests removed are there too
        more.click()
        expect(shown).not_to_have_count(before)
    expect(page.locator(f'.wide-cards [data-exemplar="{gone}"]')).to_be_visible()


def test_a_file_that_is_not_an_image_is_refused_with_what_is_allowed(
    page: Page, tmp_path: Path, street: Street
) -> None:
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no more")
    chooser = page.get_by_label("Images to segment")
    chooser.set_input_files(tmp_path / "notes.txt")
    expect(page.get_by_role("alert")).to_contain_text("notes.txt: This file is not an image.")
    expect(page.get_by_role("alert")).to_contain_text("JPEG, PNG, WebP")
    chooser.set_input_files(tmp_path / "broken.jpg")
    expect(page.get_by_role("alert")).to_contain_text("broken.jpg")
    (tmp_path / "unnamed.tiff").write_bytes(b"neither a TIFF file nor anything else")
    chooser.set_input_files(tmp_path / "unnamed.tiff")
    expect(page.get_by_role("alert")).to_contain_text("unnamed.tiff")
    expect(page.get_by_role("alert")).not_to_contain_text("b'")  # no bytes of the file
    segment(page, street(0))
    expect(page.get_by_role("alert")).to_have_count(0)


def test_everything_can_be_done_with_the_keyboard_alone(page: Page, street: Street) -> None:
    segment(page, street(5))
    page.get_by_role("listbox", name="Segments").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".segment-row[aria-selected=true]")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("#explained")).to_be_focused()
    before = title(page).inner_text()
    digit = next(n for n, chip in enumerate(page.locator(".chip .name").all_inner_texts(), 1) if chip != before)
    page.keyboard.press(str(digit))
    expect(title(page)).not_to_have_text(before)
    expect(page.get_by_role("region", name="What the edit changed")).to_be_visible()
    page.keyboard.press("Control+z")
    expect(title(page)).to_have_text(before)
    page.keyboard.type("quay")  # letters find a class, or name one
    page.keyboard.press("Enter")
    expect(title(page)).to_have_text("quay")
    page.keyboard.press("Escape")
    expect(page.locator(".legend")).to_be_visible()
    page.get_by_role("group", name="Image with labels").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The vote")).to_be_visible()


def test_the_page_fits_a_phone(visit: Callable[..., Page], unedited: str, street: Street) -> None:
    page = visit(unedited, viewport={"width": 390, "height": 844}, has_touch=True, device_scale_factor=2)
    segment(page, street(6))
    stage = page.get_by_role("group", name="Image with labels").bounding_box()
    assert stage is not None
    assert stage["width"] == 390
    tools = page.get_by_role("group", name="Tools")
    assert tools.evaluate("element => element.scrollWidth <= element.clientWidth")
    page.touchscreen.tap(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] * 0.6)
    expect(page.get_by_role("heading", name="The vote")).to_be_visible()
    page.evaluate(SETTLED)  # the sheet slides in
    sheet = page.locator(".panel.open").bounding_box()
    assert sheet is not None
    assert sheet["y"] > stage["y"] + 100
    assert round(sheet["y"] + sheet["height"]) == 844
    before = title(page).inner_text()
    after = other_class(page, before)
    page.locator(".chip", has_text=after).tap()
    expect(title(page)).to_have_text(after)
    for path in ("#/images", "#/unknown", "#/exemplars", "#/edits", "#/releases"):
        page.goto(f"{unedited}/{path}")
        expect(page.locator(".page:visible h1").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_an_address_opens_the_same_explanation_again(page: Page, street: Street, visit: Callable[..., Page]) -> None:
    rows = segment(page, street(7))
    name = explain(page, rows.nth(4))
    origin, _, path = page.url.partition("/#")
    again = visit(origin, f"#{path}")
    expect(title(again)).to_have_text(name)
    again.go_back()
    page.go_back()
    expect(page.locator(".legend")).to_be_visible()


def test_the_labels_that_are_downloaded_have_each_pixel_in_the_colour_of_its_class(
    page: Page, street: Street, unedited: str
) -> None:
    segment(page, street(2))
    answer = httpx.get(f"{unedited}/segmentations/{page.url.rsplit('/', 1)[1]}").json()
    page.get_by_title("Download").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Labels only (PNG)").click()
    colors = {info["class_id"]: bytes.fromhex(info["color"][1:]) for info in answer["classes"]}
    expected = np.zeros((360, 480, 3), dtype=np.uint8)
    for one in answer["segments"]:
        color = colors[one["class_id"]] if one["known"] else bytes((136, 136, 136))
        expected[decode_rle(one["mask"]["counts"], (360, 480))] = list(color)
    assert (np.asarray(Image.open(download.value.path()).convert("RGB")) == expected).all()


def test_an_example_can_be_tried_without_an_image_of_ones_own(page: Page) -> None:
    page.get_by_role("button", name="Try an example").click()
    expect(page.locator(".segment-row").first).to_be_visible()


def test_an_edit_is_reverted_from_the_log(page: Page, street: Street, unedited: str) -> None:
    rows = segment(page, street(1))
    explain(page, rows.first)
    page.get_by_label("This is a …").fill("<img src=x onerror=alert(1)>")
    page.keyboard.press("Enter")
    expect(title(page)).to_have_text("<img src=x onerror=alert(1)>")  # a name is text, whatever it says
    page.get_by_role("link", name="Edits").click()
    expect(page.locator(".log-item").first).to_contain_text("<img src=x onerror=alert(1)>")
    revision = page.locator(".log-item").first.get_attribute("data-revision")
    entry = page.locator(f'.log-item[data-revision="{revision}"]')
    entry.get_by_role("button", name="Revert").click()
    expect(entry).to_have_class(re.compile("undone"))
    names = [one["name"] for one in httpx.get(f"{unedited}/classes").json()]
    assert "<img src=x onerror=alert(1)>" not in names


def test_exemplars_are_browsed_by_class_and_several_removed_at_once(page: Page, unedited: str) -> None:
    page.goto(f"{unedited}/#/exemplars")
    page.get_by_role("link", name=re.compile("^fence")).click()
    expect(page.get_by_role("heading", name="fence")).to_be_visible()
    expect(page.locator(".wide-cards .card-name").first).to_have_text("fence")
    for n in (0, 1):
        page.locator(".wide-cards .card-pick").nth(n).check()
    before = httpx.get(f"{unedited}/exemplars?class_id=7").json()["total"]
    page.get_by_role("button", name="Remove 2").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove 2 exemplars").click()
    expect(page.get_by_text(f"of {before - 2} exemplars")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"of {before} exemplars")).to_be_visible()


def test_releases_say_what_is_served_and_how_good_it_is(page: Page, unedited: str) -> None:
    page.goto(f"{unedited}/#/releases")
    served = page.locator(".release.active")
    expect(served).to_contain_text("streets")
    expect(served.locator(".metrics").first).to_contain_text("mIoU")


def open_each_page(page: Page, address: str, image: Path) -> Iterator[str]:
    """Opens one page after another, and yields what is open."""
    yield "welcome"
    page.get_by_label("Images to segment").set_input_files(image)
    page.locator(".segment-row").first.wait_for()
    yield "labels"
    explain(page, page.locator(".segment-row").first)
    chosen = page.locator(".chip:not(.current)").first
    name = chosen.locator(".name").inner_text()
    chosen.click()
    expect(page.get_by_role("region", name="What the edit changed")).to_be_visible()
    expect(title(page)).to_have_text(name)
    expect(page.get_by_role("heading", name="The vote")).to_be_visible()
    yield "explanation of a corrected segment"
    page.locator(".why .cards .card-view").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Area")
    yield "exemplar"
    page.keyboard.press("Escape")
    for name in ("exemplars", "edits", "releases"):
        page.goto(f"{address}/#/{name}")
        page.wait_for_load_state("networkidle")
        yield name


def test_every_control_has_a_name_for_screen_readers(page: Page, street: Street, unedited: str) -> None:
    tree = page.context.new_cdp_session(page)
    for shown in open_each_page(page, unedited, street(4)):
        nodes = tree.send("Accessibility.getFullAXTree")["nodes"]
        controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in CONTROLS]
        assert controls, shown
        assert [node for node in controls if not node.get("name", {}).get("value")] == [], shown


def test_nothing_that_a_person_reads_is_written_for_programs(page: Page, street: Street, unedited: str) -> None:
    for shown in open_each_page(page, unedited, street(4)):
        found = INTERNAL.search(page.locator("body").inner_text())
        assert not found, f"{shown}: {found[0]!r}" if found else ""
    page.goto(f"{unedited}/#/s/0123456789abcdef")  # no such segmentation: the API names requests that help
    problem = page.get_by_role("alert").filter(visible=True)
    expect(problem).to_contain_text("This image is not stored.")
    assert not INTERNAL.search(problem.inner_text())


def test_detail_changes_the_number_of_segments(page: Page, street: Street) -> None:
    few = segment(page, street(5)).count()
    address = page.url
    page.get_by_label("Detail").select_option("Highest detail")
    expect(page).not_to_have_url(address)
    assert page.locator(".segment-row").count() > few


def test_the_explanation_stays_until_that_of_the_corrected_segment_is_loaded(page: Page, street: Street) -> None:
    rows = segment(page, street(6))
    explain(page, rows.first)
    held: list[Route] = []
    page.route("**/explain/*", lambda route: held.append(route))
    page.locator(".chip:not(.current)").first.click()
    expect(page.get_by_role("region", name="What the edit changed")).to_be_visible()
    while not held:
        page.wait_for_timeout(50)
    page.wait_for_timeout(300)  # longer than the page waits before it shows grey bars
    expect(page.get_by_role("heading", name="The vote")).to_be_visible()
    before = title(page).inner_text()
    held[0].continue_()
    expect(title(page)).not_to_have_text(before)
