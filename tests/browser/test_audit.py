"""The page of exemplars as an audit: each list with its reasons, several exemplars edited at once, and undo."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.page_states import add_duplicates

Street = Callable[[int], Path]


@pytest.fixture
def planted(unedited: str) -> list[str]:
    """Four exemplars of sky that are labelled bicyclist: their ids."""
    names = {one["name"]: one["class_id"] for one in httpx.get(f"{unedited}/classes").json()}
    sky = httpx.get(f"{unedited}/exemplars?class_id={names['sky']}&limit=400").json()["exemplars"][::100]
    labels = [{"exemplar_id": one["exemplar_id"], "class_name": "bicyclist"} for one in sky]
    made = httpx.post(f"{unedited}/exemplars/labels", json={"labels": labels}, timeout=60).raise_for_status().json()
    return [one["exemplar_id"] for one in made["exemplars"]]


def open_list(page: Page, address: str, path: str) -> Locator:
    """Opens a list of the audit, and returns its rows."""
    page.goto(f"{address}/#/exemplars/{path}")
    expect(page.locator(".audit [role=status]")).to_contain_text("compared")
    return page.locator(".audit-row")


def test_contradicted_exemplars_are_listed_with_the_reason_and_their_neighbours(
    page: Page, unedited: str, planted: list[str]
) -> None:
    rows = open_list(page, unedited, "10/contradicted")
    found = [rows.nth(n).get_attribute("data-exemplar") for n in range(len(planted))]
    assert len(set(found) & set(planted)) >= 3
    row = page.locator(f'.audit-row[data-exemplar="{planted[0]}"]')
    expect(row).to_contain_text(re.compile("Labelled bicyclist, but .* nearest exemplars in other images are sky"))
    expect(row).to_contain_text("very doubtful")
    expect(row.locator(".audit-crops li")).to_have_count(5)
    for image in row.locator("img").all():
        expect(image).to_have_class(re.compile("loaded"))
    row.locator(".audit-crops button").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Area")


def test_several_exemplars_are_relabelled_as_suggested_after_a_preview_and_this_is_undone(
    page: Page, unedited: str, planted: list[str], street: Street
) -> None:
    httpx.post(f"{unedited}/segment", content=street(2).read_bytes(), timeout=120).raise_for_status()
    rows = open_list(page, unedited, "10/contradicted")
    chosen = [rows.nth(n).get_attribute("data-exemplar") for n in range(4)]
    listed = page.locator(", ".join(f'.audit-row[data-exemplar="{name}"]' for name in chosen))
    rows.nth(0).get_by_role("checkbox").check()
    rows.nth(3).get_by_role("checkbox").click(modifiers=["Shift"])
    expect(page.get_by_text("4 exemplars selected")).to_be_visible()
    page.get_by_role("button", name="Relabel as suggested").click()
    dialog = page.get_by_role("dialog", name="Relabel 4 exemplars")
    expect(dialog).to_contain_text("Each gets the class of its neighbours")
    expect(dialog.locator(".change-preview")).to_contain_text(re.compile("segments? of .* recent images?"))
    assert httpx.get(f"{unedited}/edits?limit=1").json()[0]["summary"].endswith("of sky to bicyclist")
    dialog.get_by_role("button", name="Relabel 4 exemplars").click()
    expect(listed).to_have_count(0)
    assert httpx.get(f"{unedited}/edits?limit=1").json()[0]["summary"].startswith("relabelled 4 exemplars")
    page.get_by_role("button", name="Undo").click()
    expect(listed).to_have_count(4)
    alive = {name: httpx.get(f"{unedited}/exemplars/{name}").json()["removed_in"] for name in planted}
    assert set(alive.values()) == {None}


def test_a_class_is_chosen_for_the_selected_exemplars_and_the_preview_follows_it(
    page: Page, unedited: str, planted: list[str]
) -> None:
    rows = open_list(page, unedited, "10/contradicted")
    rows.first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Relabel …").click()
    dialog = page.get_by_role("dialog", name="Relabel 1 exemplar")
    confirm = dialog.get_by_role("button", name=re.compile("^Relabel"))
    expect(confirm).to_be_disabled()
    dialog.get_by_label("Their right class").select_option(label="New class …")
    dialog.get_by_label("Name of the new class").fill("awning")
    expect(dialog.get_by_role("button", name="Relabel to awning")).to_be_enabled()
    dialog.get_by_role("button", name="Cancel").click()
    assert "awning" not in [one["name"] for one in httpx.get(f"{unedited}/classes").json()]
    page.get_by_role("button", name="Relabel …").click()
    dialog.get_by_label("Their right class").select_option("sky")
    dialog.get_by_role("button", name="Relabel to sky").click()
    expect(page.get_by_text("Relabelled an exemplar of bicyclist to sky")).to_be_visible()


def test_one_exemplar_is_removed_only_after_the_question(page: Page, unedited: str, planted: list[str]) -> None:
    rows = open_list(page, unedited, "10/contradicted")
    listed = page.locator(f'.audit-row[data-exemplar="{rows.first.get_attribute("data-exemplar")}"]')
    rows.first.get_by_role("checkbox").check()
    page.get_by_role("button", name="Remove 1").click()
    dialog = page.get_by_role("dialog", name="Remove 1 exemplar")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(listed).to_have_count(1)
    page.get_by_role("button", name="Remove 1").click()
    dialog.get_by_role("button", name="Remove 1 exemplar").click()
    expect(listed).to_have_count(0)


def test_groups_of_duplicates_with_different_labels_come_first(page: Page, unedited: str, street: Street) -> None:
    add_duplicates(unedited, street(1), "fence", "fence")
    add_duplicates(unedited, street(2), "car", "sky")
    open_list(page, unedited, "all/duplicates")
    page.get_by_label("How alike").select_option(label="Very alike")
    first = page.locator(".audit-group").first
    expect(first).to_contain_text("Different labels")
    page.get_by_label("How alike").select_option(label="Nearly identical")
    page.get_by_role("link", name=re.compile("^fence")).click()  # groups with different labels may fill the page
    expect(page.get_by_role("heading", name="fence")).to_be_visible()
    group = page.locator(".audit-group:not(.conflict)").first
    expect(group).to_be_visible()
    members = group.locator("[data-exemplar]").count()
    group.get_by_role("button", name="Select all but the first").click()
    expect(page.get_by_text(f"{members - 1} exemplar")).to_be_visible()
    expect(group.get_by_role("checkbox").first).not_to_be_checked()


def test_thin_classes_are_a_table_that_says_what_it_means(page: Page, unedited: str) -> None:
    httpx.post(f"{unedited}/classes", json={"name": "kerb"}, timeout=60).raise_for_status()
    open_list(page, unedited, "all/thin")
    row = page.get_by_role("row", name=re.compile("kerb"))
    expect(row).to_contain_text("no segment can get this label")
    expect(page.get_by_role("columnheader", name="What this means")).to_be_visible()
    row.get_by_role("link", name="kerb").click()
    expect(page.get_by_role("heading", name="kerb")).to_be_visible()


def test_exemplars_that_caused_a_correction_are_shown_with_the_segment(
    page: Page, unedited: str, street: Street
) -> None:
    open_list(page, unedited, "all/corrections")
    expect(page.locator(".audit .empty")).to_contain_text("No label has been corrected")
    answer = httpx.post(f"{unedited}/segment", content=street(1).read_bytes(), timeout=120).json()
    segment = max(answer["segments"], key=lambda one: one["area"])
    httpx.post(f"{unedited}/segments/{segment['segment_id']}/label", json={"class_name": "fence"}, timeout=60)
    page.reload()
    row = page.locator(".audit-row").first
    expect(row).to_contain_text(f"It voted for {segment['class_name']} on 1 segment that was corrected to fence.")
    row.get_by_role("link", name=re.compile("was corrected to fence")).click()
    expect(page).to_have_url(re.compile(re.escape(answer["segmentation_id"])))


def test_an_audit_that_is_not_finished_is_asked_for_again(page: Page, unedited: str) -> None:
    late = iter([True, True])

    def answer(route: Route) -> None:
        if next(late, False):
            route.fulfill(status=504, json={"detail": "The audit is not finished yet.", "status": 504})
        else:
            route.continue_()

    page.route("**/exemplars/audit**", answer)
    page.goto(f"{unedited}/#/exemplars/all/contradicted")
    expect(page.locator(".audit-row").first).to_be_visible()
    assert next(late, None) is None


def test_an_audit_that_fails_offers_to_try_again(page: Page, unedited: str) -> None:
    page.route("**/exemplars/audit**", lambda route: route.fulfill(status=503, json={"detail": "the disk is full"}))
    page.goto(f"{unedited}/#/exemplars/all/contradicted")
    again = page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    page.unroute("**/exemplars/audit**")
    again.click()
    expect(page.locator(".audit-row").first).to_be_visible()


def test_the_lists_work_by_keyboard(page: Page, unedited: str, planted: list[str]) -> None:
    rows = open_list(page, unedited, "10/contradicted")
    rows.nth(0).get_by_role("checkbox").focus()
    page.keyboard.press("Space")
    rows.nth(2).get_by_role("checkbox").focus()
    page.keyboard.press("Shift+Space")
    expect(page.get_by_text("3 exemplars selected")).to_be_visible()
    page.get_by_role("button", name="Clear").press("Enter")
    expect(page.locator(".audit-tray")).to_be_hidden()


def test_edits_have_columns_with_heads_and_say_which_exemplars_they_changed(
    page: Page, unedited: str, planted: list[str]
) -> None:
    page.goto(f"{unedited}/#/edits")
    heads = page.locator(".log-heads")
    for head in ("What changed", "By", "When"):
        expect(heads.get_by_text(head, exact=True)).to_be_visible()
    page.locator(".log-summary").first.click()
    expect(page.locator(".log-more").first).to_contain_text("4 exemplars with another label")
    expect(page.locator(".log-more").first.locator(".thumbs li")).to_have_count(4)
    with page.expect_response("**/edits?**"):
        page.evaluate("dispatchEvent(new HashChangeEvent('hashchange'))")  # the list is loaded again
    expect(page.locator(".log-more").first).to_be_visible()
