"""A service with keys: the page asks for one and lets only curators edit."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service
from service.http.keys import new_key
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


def test_a_wrong_key_is_refused_and_a_reader_cannot_edit(
    visit: Callable[..., Page], locked: str, street: Street
) -> None:
    page = visit(locked)
    sign_in(page, "guessed")
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    sign_in(page, SECRETS["reader"][0])
    expect(page.get_by_text("rita")).to_be_visible()
    rows = segment(page, street(0))
    explain(page, rows.first)
    expect(page.get_by_label("This is a …")).to_have_count(0)
    expect(page.get_by_role("button", name="Remove")).to_have_count(0)
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()


def test_a_curator_may_edit_until_signing_out(visit: Callable[..., Page], locked: str, street: Street) -> None:
    page = visit(locked)
    sign_in(page, SECRETS["curator"][0])
    rows = segment(page, street(1))
    explain(page, rows.first)
    expect(page.get_by_label("This is a …")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
