"""Marking by mouse wheel, finger, pen and keyboard."""

import re
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.marking import Stage, apply, marks, near, sent, start, stored, under_line, use
from tests.browser.test_marking import ROUNDING
from tests.browser.test_page import Street


@pytest.fixture
def stage(page: Page, unedited: str, street: Street) -> Stage:
    return start(page, unedited, street(4))


def test_the_size_of_the_brush_follows_keys_wheel_and_slider(page: Page, stage: Stage) -> None:
    use(page, "Brush", 2)
    slider = page.get_by_role("slider", name="Size of the brush")
    usual = pixels(page)
    page.keyboard.press("]")
    page.keyboard.press("]")
    larger = pixels(page)
    assert larger > usual
    page.keyboard.press("[")
    assert usual < pixels(page) < larger
    page.mouse.move(*stage.at(100, 100))
    page.keyboard.down("Alt")
    page.mouse.wheel(0, -120)
    page.keyboard.up("Alt")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(rf"^({larger}|{larger + 1}) pixels"))
    slider.fill("0")
    assert pixels(page) == 1
    stage.click(100.5, 100.5)
    body, added = apply(page)
    assert body["strokes"][0]["width"] == 1
    assert stored(stage.address, added, added["exemplars"][0]["class_name"]).sum() == 1


def pixels(page: Page) -> int:
    text = page.get_by_role("slider", name="Size of the brush").get_attribute("aria-valuetext") or ""
    return int(text.split()[0])


def test_a_finger_draws_and_two_fingers_zoom(visit: Callable[..., Page], unedited: str, street: Street) -> None:
    page = visit(unedited, has_touch=True, viewport={"width": 1024, "height": 768})
    stage = start(page, unedited, street(4))
    page.get_by_role("radio", name="Brush", exact=True).tap()
    page.locator(".palette-chip").nth(1).tap()
    touch = page.context.new_cdp_session(page)

    def fingers(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    line = [(100.0, 100.0), (130.0, 110.0), (160.0, 100.0)]
    fingers("touchStart", stage.at(*line[0]))
    for point in line[1:]:
        fingers("touchMove", stage.at(*point))
    fingers("touchEnd")
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    body, added = apply(page)
    stroke = body["strokes"][0]
    assert near(stroke["points"], line, ROUNDING / stage.scale)
    found = stored(unedited, added, added["exemplars"][0]["class_name"])
    assert (found == under_line(stroke["points"], stroke["width"], stage.size)).all()
    x, y = stage.at(200, 150)
    fingers("touchStart", (x, y))
    fingers("touchStart", (x, y), (x + 60, y))
    for gap in (90, 150, 220):
        fingers("touchMove", (x, y), (x + gap, y))
    fingers("touchEnd")
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_disabled()


def test_a_pen_draws_while_the_hand_rests_on_the_screen(
    visit: Callable[..., Page], unedited: str, street: Street
) -> None:
    page = visit(unedited, has_touch=True, viewport={"width": 1024, "height": 768})
    stage = start(page, unedited, street(4))
    use(page, "Brush", 2)
    device = page.context.new_cdp_session(page)

    def pen(kind: str, place: tuple[float, float]) -> None:
        x, y = stage.at(*place)
        held = {"button": "left", "buttons": 0 if kind == "mouseReleased" else 1, "clickCount": 1}
        device.send("Input.dispatchMouseEvent", {"type": kind, "x": x, "y": y, "pointerType": "pen", **held})

    def hand(kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(places)]
        device.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    pen("mousePressed", (100, 100))
    pen("mouseMoved", (120, 100))
    hand("touchStart", stage.at(200, 200))
    hand("touchMove", stage.at(220, 210))
    pen("mouseMoved", (140, 110))
    hand("touchEnd")
    pen("mouseReleased", (140, 110))
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    body, _ = apply(page)
    assert near(body["strokes"][0]["points"], [(100, 100), (120, 100), (140, 110)], ROUNDING / stage.scale)


def test_everything_works_with_the_keyboard_alone(page: Page, stage: Stage) -> None:
    view = page.get_by_role("group", name="Image with labels")
    view.focus()
    page.keyboard.press("b")
    page.keyboard.press("2")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    page.keyboard.press("p")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        for _ in range(4):
            page.keyboard.press(key)
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.locator(".mark-status")).to_contain_text("2 marks")
    page.keyboard.press("v")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    expect(page.locator(".mark-status")).to_contain_text("1 segment selected")
    page.keyboard.press("3")
    with page.expect_response("**/marks*") as found:
        page.keyboard.press("Control+Enter")
    body = sent(found.value.request)
    assert [len(body["labels"]), len(body["strokes"])] == [1, 2]
    stroke = body["strokes"][0]
    added = found.value.json()
    names = {one["class_id"]: one["name"] for one in httpx.get(f"{stage.address}/classes").json()}
    drawn = under_line(stroke["points"], stroke["width"], stage.size)
    assert (stored(stage.address, added, names[stroke["class_id"]])[drawn]).all()


def test_space_and_the_middle_button_pan_while_a_tool_is_active(page: Page, stage: Stage) -> None:
    use(page, "Brush", 2)
    page.keyboard.down("Space")
    stage.drag((200, 200), (240, 200))
    page.keyboard.up("Space")
    assert "mark" not in marks(page).split()
    page.mouse.move(*stage.at(200, 200))
    page.mouse.down(button="middle")
    page.mouse.move(*stage.at(240, 200))
    page.mouse.up(button="middle")
    expect(page.get_by_role("button", name="Apply", exact=True)).to_be_disabled()
    page.keyboard.press("0")
    stage.drag((100, 100), (110, 100))
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
