"""Marking with the tools of the image page: what is drawn is what the service stores."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.browser.marking import Stage, apply, inside, marks, near, sent, start, stored, under_line, use
from tests.browser.test_page import Street

ROUNDING = 0.6  # pixels of the page: mouse positions are whole ones


@pytest.fixture
def stage(page: Page, unedited: str, street: Street) -> Stage:
    return start(page, unedited, street(4))


def edits(address: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = httpx.get(f"{address}/edits?limit=200").raise_for_status().json()
    return found


def test_strokes_of_two_classes_split_one_segment_by_one_edit(page: Page, stage: Stage) -> None:
    segment = stage.largest()
    (x1, y1), (x2, y2) = stage.inner(segment)
    before = len(edits(stage.address))
    use(page, "Brush", 2)
    stage.drag((x1 - 4, y1), (x1 + 4, y1))
    page.keyboard.press("3")
    stage.drag((x2 - 4, y2), (x2 + 4, y2))
    expect(page.locator(".mark-status")).to_contain_text("2 marks")
    expect(page.locator(".mark-bar")).to_contain_text(re.compile(r"Changes \d+ segments? here"))
    assert len(edits(stage.address)) == before, "a draft and its preview write nothing"
    body, added = apply(page)
    assert len(edits(stage.address)) == before + 1
    classes = httpx.get(f"{stage.address}/classes").json()
    for stroke, line in zip(body["strokes"], [((x1 - 4, y1), (x1 + 4, y1)), ((x2 - 4, y2), (x2 + 4, y2))], strict=True):
        assert near(stroke["points"], list(line), ROUNDING / stage.scale)
        name = next(one["name"] for one in classes if one["class_id"] == stroke["class_id"])
        assert (stored(stage.address, added, name) == under_line(stroke["points"], stroke["width"], stage.size)).all()
        labels = label_map(Stage.of(page, stage.address))
        assert set(labels[under_line(stroke["points"], stroke["width"], stage.size)]) == {stroke["class_id"]}
    expect(page.get_by_role("region", name="What the edit changed")).to_contain_text("changed in this image")
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_disabled()


def label_map(stage: Stage) -> np.ndarray:
    """[H, W] class id of each pixel."""
    labels = np.full(stage.size, -1)
    for n, segment in enumerate(stage.answer["segments"]):
        labels[stage.mask(n)] = segment["class_id"]
    return labels


RING = [(100, 60), (180, 70), (170, 140), (110, 150)]


def draw_lasso(page: Page, stage: Stage) -> None:
    stage.drag(*RING, RING[0])


def draw_polygon(page: Page, stage: Stage) -> None:
    for point in RING:
        stage.click(*point)
    page.keyboard.press("Enter")


def draw_box(page: Page, stage: Stage) -> None:
    stage.drag((100, 60), (180, 150))


@pytest.mark.parametrize(
    ("tool", "draw", "corners"),
    [
        ("Lasso", draw_lasso, RING),
        ("Polygon", draw_polygon, RING),
        ("Box", draw_box, [(100, 60), (180, 60), (180, 150), (100, 150)]),
    ],
)
def test_an_area_is_stored_as_it_was_drawn(
    page: Page, stage: Stage, tool: str, draw: Callable[[Page, Stage], None], corners: list[tuple[float, float]]
) -> None:
    use(page, tool, 2)
    draw(page, stage)
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    body, added = apply(page)
    (ring,) = body["strokes"][0]["polygon"]
    assert near(ring, corners, ROUNDING / stage.scale)
    name = added["exemplars"][0]["class_name"]
    assert (stored(stage.address, added, name) == inside(ring, stage.size)).all()


def test_a_double_click_and_the_first_corner_close_a_polygon(page: Page, stage: Stage) -> None:
    use(page, "Polygon", 2)
    for point in RING[:3]:
        stage.click(*point)
    page.keyboard.press("Backspace")
    stage.click(*RING[2])
    stage.click(*RING[0])
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    expect(page.locator(".mark-bar")).to_have_attribute("aria-busy", "false")  # nothing delays the double click
    stage.click(300, 60)
    stage.click(330, 60)
    page.mouse.dblclick(*stage.at(330, 90))
    expect(page.locator(".mark-status")).to_contain_text("2 marks")
    body, _ = apply(page)
    assert [len(one["polygon"][0]) for one in body["strokes"]] == [3, 3]


def test_the_eraser_removes_exactly_the_pixels_under_it_from_marks(page: Page, stage: Stage) -> None:
    use(page, "Brush", 2)
    stage.drag((100, 100), (200, 100))
    stage.drag((100, 200), (110, 200))
    use(page, "Eraser")
    stage.drag((150, 80), (150, 120))
    stage.drag((95, 200), (115, 200))  # all of the second mark
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+Shift+z")
    expect(page.locator(".mark-status")).to_contain_text("2 marks")
    body, added = apply(page)
    width = body["strokes"][1]["width"]
    line = under_line([tuple(point) for point in [(100, 100), (200, 100)]], width, stage.size)
    erased = under_line([(150, 80), (150, 120)], width, stage.size)
    whole = under_line(body["strokes"][1]["points"], width, stage.size)
    found = stored(stage.address, added, added["exemplars"][0]["class_name"])
    part = found & ~whole
    assert not (part & under_line([(150, 80), (150, 120)], width - 2, stage.size)).any()
    wanted = line & ~erased
    edge = under_line([(100, 100), (200, 100)], width + 2, stage.size) & ~under_line(
        [(100, 100), (200, 100)], width - 2, stage.size
    ) | under_line([(150, 80), (150, 120)], width + 2, stage.size) & ~under_line(
        [(150, 80), (150, 120)], width - 2, stage.size
    )
    assert (part == wanted)[~edge].all()


def test_several_segments_are_selected_by_shift_and_get_one_class(page: Page, stage: Stage) -> None:
    first, second = (0, len(stage.answer["segments"]) - 1)
    page.keyboard.down("Shift")
    for index in (first, second, second):
        ys, xs = np.nonzero(stage.mask(index))
        stage.click(float(xs[len(xs) // 2]) + 0.5, float(ys[len(xs) // 2]) + 0.5)
    expect(page.locator(".mark-status")).to_contain_text("1 segment selected")
    stage.drag((20, 250), (420, 350))
    page.keyboard.up("Shift")
    box = np.zeros(stage.size, dtype=bool)
    box[250:350, 20:420] = True
    masks = [stage.mask(n) for n in range(len(stage.answer["segments"]))]
    shares = [(mask & box).sum() / mask.sum() for mask in masks]
    surely = {n for n, share in enumerate(shares) if share > 0.52} | {first}
    perhaps = {n for n, share in enumerate(shares) if share > 0.48} | {first}
    page.keyboard.press("4")
    body, _ = apply(page)
    found = {int(one["segment_id"].rpartition("-")[2]) for one in body["labels"]}
    assert surely <= found <= perhaps
    assert not body["strokes"]
    labelled = Stage.of(page, stage.address).answer["segments"]
    assert {labelled[n]["class_id"] for n in found} == {body["labels"][0]["class_id"]}


def test_pieces_of_one_segment_are_corrected_separately(page: Page, stage: Stage, unedited: str) -> None:
    index, pieces = next(
        (n, found)
        for n in range(len(stage.answer["segments"]))
        if len(found := pieces_of(stage.mask(n))) >= 4 and found[3].sum() > 0.05 * stage.mask(n).sum()
    )
    ys, xs = np.nonzero(pieces[0])
    stage.click(float(xs[len(xs) // 2]) + 0.5, float(ys[len(xs) // 2]) + 0.5)
    expect(page.get_by_role("region", name="Pieces")).to_contain_text("separate pieces")
    page.get_by_role("button", name="Label each piece").click()
    for digit in (1, 2, 3):
        page.keyboard.press(str(digit))
    expect(page.locator(".mark-status")).to_contain_text("piece selected")
    page.keyboard.press("Escape")
    expect(page.locator(".mark-status")).to_contain_text("3 marks")
    body, added = apply(page)
    assert index >= 0
    names = {one["class_id"]: one["name"] for one in httpx.get(f"{unedited}/classes").json()}
    for stroke, piece in zip(body["strokes"], pieces, strict=False):
        assert (stored(unedited, added, names[stroke["class_id"]]) == piece).all()


def pieces_of(mask: np.ndarray) -> list[np.ndarray]:
    """The connected pieces of a mask by flooding, those that touch at corners as one; the largest first."""
    left, found = mask.copy(), []
    while left.any():
        piece = np.zeros_like(mask)
        piece[tuple(np.argwhere(left)[0])] = True
        while True:
            padded = np.pad(piece, 1)
            grown = (
                mask
                & np.any([np.roll(padded, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)], axis=0)[1:-1, 1:-1]
            )
            if (grown == piece).all():
                break
            piece = grown
        found.append(piece)
        left &= ~piece
    return sorted(found, key=lambda one: -one.sum())


def test_marks_are_undone_before_edits_and_both_are_redone(page: Page, stage: Stage) -> None:
    use(page, "Brush", 2)
    stage.drag((100, 100), (120, 100))
    apply(page)
    expect(page.get_by_role("region", name="What the edit changed")).to_be_visible()
    stage.drag((100, 200), (120, 200))
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    page.keyboard.press("Control+z")
    expect(page.locator(".mark-status")).not_to_contain_text("mark:")
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_disabled()
    assert edits(stage.address)[0]["kind"] != "revert"
    page.keyboard.press("Control+z")
    expect(page.get_by_role("button", name="Redo").first).to_be_enabled()
    expect(page.locator(".outcome")).to_contain_text("Edit")
    assert edits(stage.address)[0]["kind"] == "revert"
    page.keyboard.press("Control+Shift+z")
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    page.keyboard.press("Control+Shift+z")
    expect(page.locator(".outcome strong").first).to_contain_text("Restored")
    latest = edits(stage.address)
    assert [one["kind"] for one in latest[:2]] == ["revert", "revert"]
    assert latest[0]["reverts"] == latest[1]["revision"]


def test_an_edit_for_this_image_only_leaves_its_twin(page: Page, unedited: str, street: Street, tmp_path: Path) -> None:
    Image.open(street(5)).save(tmp_path / "twin.png")
    twin = start(page, unedited, tmp_path / "twin.png")
    stage = start(page, unedited, street(5))
    page.keyboard.down("Shift")
    stage.click(*stage.inner(stage.largest())[0])
    page.keyboard.up("Shift")
    page.get_by_label("Find a class, or name a new one").fill("kerb")
    page.keyboard.press("Enter")
    expect(page.locator(".mark-effect")).to_contain_text(re.compile(r"in \d other recent image"))
    page.locator(".mark-effect").click()
    expect(page.locator(".effect-card img").first).to_be_visible()
    page.get_by_role("button", name="This image only").click()
    expect(page.locator(".mark-effect-text")).to_contain_text("none in other recent images")
    body, _ = apply(page)
    assert body["scope"] == "image"
    again = httpx.post(f"{unedited}/segmentations/{twin.answer['segmentation_id']}/relabel", timeout=60).json()
    assert not again["changed"]
    assert "kerb" in {one["class_name"] for one in Stage.of(page, unedited).answer["segments"]}


def test_changes_elsewhere_count_each_segment_of_an_image_once(
    page: Page, unedited: str, street: Street, tmp_path: Path
) -> None:
    Image.open(street(7)).save(tmp_path / "twin.png")
    twin = start(page, unedited, tmp_path / "twin.png")
    httpx.post(f"{unedited}/segmentations/{twin.answer['segmentation_id']}/segment", timeout=60).raise_for_status()
    stage = start(page, unedited, street(7))
    page.keyboard.down("Shift")
    stage.click(*stage.inner(stage.largest())[0])
    page.keyboard.up("Shift")
    page.get_by_label("Find a class, or name a new one").fill("lane")
    page.keyboard.press("Enter")
    _, added = apply(page)
    segments = httpx.get(f"{unedited}/edits/{added['edit']['revision']}/effect?recent=50", timeout=60).json()[
        "segments"
    ]
    of_twin = [one["segment_id"] for one in segments if one["image_id"] == twin.answer["image_id"]]
    answers = {one.rpartition("-")[0] for one in of_twin}
    assert len(answers) == 2, "both answers of the twin change"
    others = {one["image_id"] for one in segments} - {stage.answer["image_id"]}
    found = page.locator(".elsewhere p").first
    expect(found).to_contain_text("changed in")
    words = found.inner_text().split()
    assert int(words[words.index("in") + 1]) == len(others)
    assert int(words[0]) <= len([one for one in segments if one["image_id"] in others]) - len(of_twin) / 2


def test_each_mark_is_applied_at_once_if_asked_for(page: Page, stage: Stage) -> None:
    use(page, "Brush", 2)
    page.get_by_label("Apply at once").check()
    with page.expect_response("**/marks*") as found:
        stage.drag((100, 100), (120, 100))
    assert found.value.status == 201
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_disabled()
    with page.expect_response("**/marks*") as found:
        stage.drag((100, 200), (120, 200))
    assert len(sent(found.value.request)["strokes"]) == 1
    expect(page.locator(".outcome")).to_contain_text(f"Edit {found.value.json()['edit']['revision']}")
    page.keyboard.press("Control+z")
    expect(page.locator(".outcome")).to_contain_text("evert")


def test_a_stroke_that_is_drawn_while_the_one_before_is_applied_is_kept(page: Page, stage: Stage) -> None:
    use(page, "Brush", 2)
    page.get_by_label("Apply at once").check()
    held: list[Route] = []
    page.route("**/marks*", lambda route: held.append(route))
    stage.drag((100, 100), (120, 100))
    while not held:
        page.wait_for_timeout(50)
    page.mouse.move(*stage.at(100, 200))
    page.mouse.down()
    page.mouse.move(*stage.at(110, 200))
    held[0].continue_()
    page.unroute("**/marks*")
    expect(page.locator(".outcome")).to_be_visible()
    with page.expect_response("**/marks*") as found:
        page.mouse.move(*stage.at(120, 200))
        page.mouse.up()
    (stroke,) = sent(found.value.request)["strokes"]
    assert near(stroke["points"], [(100, 200), (110, 200), (120, 200)], ROUNDING / stage.scale)


def test_marks_survive_a_refusal(page: Page, stage: Stage) -> None:
    use(page, "Brush", 2)
    stage.drag((100, 100), (120, 100))
    problem = '{"detail": "Too busy.", "fix": "Wait."}'

    def refuse(route: Route) -> None:
        route.fulfill(status=503, content_type="application/problem+json", body=problem)

    page.route("**/marks*", refuse)
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.locator(".toast.problem")).to_contain_text("Too busy.")
    assert "1 mark" in marks(page)
    page.unroute("**/marks*")
    body, _ = apply(page)
    assert len(body["strokes"]) == 1


def test_marks_survive_a_visit_to_another_image_and_leaving_warns(page: Page, stage: Stage, street: Street) -> None:
    use(page, "Brush", 2)
    stage.drag((100, 100), (120, 100))
    here = page.url
    start(page, stage.address, street(6))
    expect(page.locator(".toast")).to_contain_text("1 mark of the other image kept")
    assert "1 mark" not in marks(page)
    page.goto(here)
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()


def test_a_new_class_asks_for_its_name_and_gets_a_colour_of_its_own(page: Page, stage: Stage) -> None:
    use(page, "Brush")
    stage.drag((100, 100), (120, 100))
    expect(page.locator(".palette-question")).to_have_text("What is this? Choose its class.")
    for name in ("moss", "rust"):
        page.get_by_label("Find a class, or name a new one").fill(name)
        page.keyboard.press("Enter")
        stage.drag((100, 200), (120, 200))
    body, added = apply(page)
    assert [one["class_name"] for one in body["strokes"]] == ["moss", "moss", "rust"]
    colors = [one["color"] for one in httpx.get(f"{stage.address}/classes").json()]
    assert len(set(colors)) == len(colors)
    assert {one["name"]: one["color"] for one in added["classes"]} == {
        one["class_name"]: one["color"] for one in body["strokes"]
    }


def test_a_correction_of_the_open_segment_joins_the_marks(page: Page, stage: Stage) -> None:
    use(page, "Brush", 2)
    stage.drag((100, 100), (120, 100))
    page.keyboard.press("v")
    before = len(edits(stage.address))
    ys, xs = np.nonzero(stage.mask(stage.largest()))
    stage.click(float(xs[len(xs) // 2]) + 0.5, float(ys[len(xs) // 2]) + 0.5)
    expect(page.get_by_text("The correction joins your marks")).to_be_visible()
    page.locator(".chip:not(.current) .name >> visible=true").last.click()
    expect(page.locator(".mark-status")).to_contain_text("2 marks")
    assert len(edits(stage.address)) == before
