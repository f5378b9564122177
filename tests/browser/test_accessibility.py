"""Every state of the page under axe-core, by keyboard, without motion, and in narrow windows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.axe import DESKTOP, PHONE, SETTLED, small_controls, violations_in_all_windows
from tests.browser.page_states import STATES, Scene, State, image

Street = Callable[[int], Path]
MOVING = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
LOST = """() => {
  const controls = "a[href], button, input, select, textarea, summary, h1, h2, h3, [role=option]";
  const seen = (one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const outside = (one) => {
    one.scrollIntoView({ block: "nearest", inline: "nearest" });
    const box = one.getBoundingClientRect();
    const x = box.left + box.width / 2, y = box.top + box.height / 2;
    return box.width > 1 && (box.left < -1 || x > innerWidth || y < 0 || y > innerHeight);
  };
  return [...document.querySelectorAll(controls)]
    .filter((one) => !one.matches(".skip") && seen(one) && outside(one))
    .map((one) => one.outerHTML.slice(0, 160));
}"""
TOO_WIDE = "() => Math.max(document.documentElement.scrollWidth - innerWidth, 0)"


@pytest.fixture(scope="module")
def scene(address: str, street: Street, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A segmented street."""
    answer = httpx.post(f"{address}/segment", content=street(0).read_bytes(), timeout=60).raise_for_status().json()
    text = tmp_path_factory.mktemp("text") / "notes.txt"
    text.write_text("not an image")
    return Scene(address, answer["segmentation_id"], street(1), text)


@pytest.fixture(scope="module")
def shared_page(chromium: Browser) -> Iterator[Page]:
    """One page for all states. Script errors fail the test that is running."""
    context = chromium.new_context(viewport=DESKTOP, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.fixture
def page(shared_page: Page, unedited: str) -> Iterator[Page]:
    faults: list[str] = []
    note = lambda error: faults.append(str(error))  # noqa: E731
    shared_page.on("pageerror", note)
    shared_page.set_viewport_size(DESKTOP)
    shared_page.emulate_media(color_scheme="light", reduced_motion="reduce")
    yield shared_page
    shared_page.remove_listener("pageerror", note)
    assert not faults


@pytest.fixture
def fingers(page: Page) -> Iterator[Page]:
    """The page on a phone, used by fingers."""
    developer_tools = page.context.new_cdp_session(page)
    developer_tools.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.set_viewport_size(PHONE)
    yield page
    developer_tools.send("Emulation.setTouchEmulationEnabled", {"enabled": False})
    developer_tools.detach()


states = pytest.mark.parametrize("reach", STATES.values(), ids=STATES.keys())


@states
def test_no_rule_of_accessibility_is_broken_and_nothing_moves(page: Page, scene: Scene, reach: State) -> None:
    reach(page, scene)
    assert page.evaluate(MOVING) == 0
    assert violations_in_all_windows(page) == []


@states
def test_controls_are_large_enough_for_fingers(fingers: Page, scene: Scene, reach: State) -> None:
    reach(fingers, scene)
    assert fingers.evaluate("matchMedia('(pointer: coarse)').matches")
    fingers.evaluate(SETTLED)
    assert small_controls(fingers, 44) == []


@states
def test_a_narrow_window_and_a_zoom_of_200_percent_lose_nothing(page: Page, scene: Scene, reach: State) -> None:
    """A window of 1280x800 has 640x400 CSS pixels at a zoom of 200 %."""
    reach(page, scene)
    for width, height in ((320, 568), (640, 400)):
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(SETTLED)
        assert page.evaluate(TOO_WIDE) == 0, width
        assert page.evaluate(LOST) == [], width


def test_the_segments_are_reached_within_ten_tabs(page: Page, scene: Scene) -> None:
    image(page, scene)
    for _ in range(10):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.get_attribute("class") == "skip to-list":
            page.keyboard.press("Enter")
            break
    expect(page.get_by_role("listbox", name="Segments")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#explained")).to_be_focused()


def test_the_way_to_the_segments_is_offered_beside_an_image_only(page: Page, scene: Scene) -> None:
    STATES["start"](page, scene)
    expect(page.locator(".skip.to-list")).to_be_hidden()
    image(page, scene)
    expect(page.locator(".skip.to-list")).to_be_attached()
    assert page.locator(".skip.to-list").evaluate("(link) => link.checkVisibility()")
