"""A service with keys: the page asks for one and lets only curators edit."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service
from service.http.keys import new_key
from tests.browser.axe import violations_in_all_windows
from tests.browser.marking import Stage, apply, marks, use
from tests.browser.test_page import Street, explain, segment

SECRETS = {"reader": new_key("rita", "reader"), "curator": new_key("carl", "curator")}


@pytest.fixture(scope="module")
def locked(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that has keys of one reader and one curator."""
    data = tmp_path_factory.mktemp("locked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGSORT_API_KEYS", ",".join(key.line for _, key in SECRETS.values()))
        with running_service(data, patience=240) as address:
            yield address


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def enter(page: Page, key: str) -> None:
    """Sign in, and wait until the service has accepted the key: before that, it refuses what is sent."""
    sign_in(page, key)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_a_wrong_key_is_refused_and_a_reader_cannot_edit(
    visit: Callable[..., Page], locked: str, street: Street
) -> None:
    page = visit(locked)
    sign_in(page, "guessed")
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    enter(page, SECRETS["reader"][0])
    expect(page.get_by_text("rita")).to_be_visible()
    rows = segment(page, street(0))
    explain(page, rows.first)
    expect(page.get_by_label("This is a …")).to_have_count(0)
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()
    page.keyboard.press("Escape")
    for hidden in (".rail", ".palette", ".mark-bar"):
        expect(page.locator(hidden).first).to_be_hidden()
    page.keyboard.press("b")
    view = page.get_by_role("group", name="Image with labels")
    expect(view).not_to_have_attribute("data-tool", "brush")


def test_a_curator_may_edit_until_signing_out(visit: Callable[..., Page], locked: str, street: Street) -> None:
    page = visit(locked)
    enter(page, SECRETS["curator"][0])
    rows = segment(page, street(1))
    explain(page, rows.first)
    expect(page.get_by_label("This is a …")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_signing_in_and_reading_break_no_rule_of_accessibility(
    visit: Callable[..., Page], locked: str, street: Street
) -> None:
    page = visit(locked, reduced_motion="reduce")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert violations_in_all_windows(page) == []
    sign_in(page, "guessed")
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    assert violations_in_all_windows(page) == []
    enter(page, SECRETS["reader"][0])
    explain(page, segment(page, street(0)).first)
    assert violations_in_all_windows(page) == []


def end_session(page: Page, address: str) -> None:
    """End the session of a page elsewhere, as time or a revoked key do."""
    name, value = next((one["name"], one["value"]) for one in page.context.cookies() if "session" in one["name"])
    httpx.delete(f"{address}/session", headers={"Cookie": f"{name}={value}"}).raise_for_status()


def test_a_session_that_ended_is_begun_again_without_losing_marks(
    visit: Callable[..., Page], locked: str, street: Street
) -> None:
    page = visit(locked)
    enter(page, SECRETS["curator"][0])
    segment(page, street(2))
    key = {"Authorization": f"Bearer {SECRETS['curator'][0]}"}
    found = httpx.get(f"{locked}/segmentations/{page.url.split('/s/')[1].split('/')[0]}", headers=key, timeout=60)
    stage = Stage(page, locked, found.raise_for_status().json())
    use(page, "Brush", 1)
    stage.drag(*stage.inner(stage.largest()))
    expect(page.locator(".mark-status")).to_contain_text("1 mark")
    end_session(page, locked)
    # The dialog may be open before the click: the page asks for the newest edits by itself.
    page.locator(".mark-bar").get_by_role("button", name="Apply", exact=True).dispatch_event("click")
    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_contain_text("What is on this page stays")
    assert violations_in_all_windows(page) == []
    enter(page, SECRETS["curator"][0])
    expect(dialog).to_be_hidden()
    assert "1 mark" in marks(page)
    _, edited = apply(page)
    assert edited["edit"]["author"] == "carl"


def test_another_person_who_signs_in_does_not_see_the_page_of_the_one_before(
    visit: Callable[..., Page], locked: str, street: Street
) -> None:
    page = visit(locked)
    enter(page, SECRETS["curator"][0])
    segment(page, street(0))
    expect(page.locator(".strip [aria-current]")).to_be_attached()  # the page asks for nothing more by itself
    page.evaluate("window.before = true")
    end_session(page, locked)
    page.get_by_role("link", name="Edits").click()
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    sign_in(page, SECRETS["reader"][0])
    expect(page.get_by_text("rita")).to_be_visible()
    assert page.evaluate("window.before") is None, "the page was loaded anew"


def test_a_limit_that_is_reached_is_said_in_words(
    visit: Callable[..., Page], chromium: Browser, tmp_path: Path, street: Street
) -> None:
    secret, key = new_key("lim", "reader", [("images_per_day", 1)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGSORT_API_KEYS", key.line)
        with running_service(tmp_path, patience=240) as address:
            page = visit(address)
            for n in range(12):
                page_key = f"guessed {n}"
                sign_in(page, page_key)
                expect(page.get_by_role("alert")).not_to_be_empty()
            expect(page.get_by_role("alert")).to_contain_text("Too many wrong keys were sent. Check the key.")
            enter(page, secret)
            segment(page, street(0))
            page.get_by_label("Images to segment").set_input_files(street(1))
            problem = page.get_by_role("alert").filter(has_text="The limit of 1 image in a day is reached")
            expect(problem).to_contain_text("then try again")
