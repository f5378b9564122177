"""The page below a path of a proxy: all its requests go through that path, and it may edit and sign in."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.running_service import running_service
from service.http.keys import new_key
from tests.browser.test_page import Street, explain, other_class, segment, title
from tests.browser.test_sign_in import enter
from tests.service.proxying import Publishing, small_proxy

KEY, LINE = new_key("carl", "curator")


@pytest.fixture(scope="module")
def published(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service with a key, below a path of a proxy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGSORT_ROOT_PATH", "/sub")
        patch.setenv("SEGSORT_API_KEYS", LINE.line)
        with (
            running_service(tmp_path_factory.mktemp("published"), patience=240) as service,
            small_proxy(service, Publishing("/sub")) as proxy,
        ):
            yield f"{proxy}/sub"


def test_an_image_is_segmented_explained_and_corrected_below_a_path(
    visit: Callable[..., Page], published: str, street: Street
) -> None:
    page = visit(published)  # the test fails if the page asks for anything that is not below this address
    enter(page, KEY)
    rows = segment(page, street(0))
    before = explain(page, rows.first)
    crop = page.locator(".why .card img").first
    expect(crop).to_have_js_property("complete", True)
    assert crop.evaluate("image => image.naturalWidth") > 0
    page.locator(".chip", has_text=other_class(page, before)).click()
    expect(title(page)).not_to_have_text(before)
    page.reload()
    expect(title(page)).not_to_have_text(before)  # read again from the service
    page.get_by_role("link", name="Edits").click()
    expect(page.get_by_text(re.compile("corrected a segment", re.I)).first).to_be_visible()


def test_the_api_reference_is_read_below_a_path(visit: Callable[..., Page], published: str) -> None:
    page = visit(published, "docs")
    expect(page.locator(".opblock").first).to_be_visible()
    expect(page.locator(".servers")).to_contain_text("/sub")
