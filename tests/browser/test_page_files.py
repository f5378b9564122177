"""How the browser loads the files of the page: few requests, a cache, and what an upgrade of the service does."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, Route, expect

HASH = re.compile(r"\.[0-9a-f]{12}\.")
LATER = "() => { const now = performance.now.bind(performance); performance.now = () => now() + 3600000; }"
RETURNED = "() => document.dispatchEvent(new Event('visibilitychange'))"


@pytest.fixture
def requested() -> list[str]:
    return []


def with_other_hashes(route: Route) -> None:
    """The page of another release: its files have other addresses."""
    answer = route.fetch()
    route.fulfill(response=answer, body=HASH.sub(".0123456789ab.", answer.text()))


def test_scripts_and_styles_are_one_request_each_and_come_from_the_cache_later(
    chromium: Browser, address: str, requested: list[str]
) -> None:
    context = chromium.new_context()
    for _ in range(2):
        requested.clear()
        page = context.new_page()
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        network.on(
            "Network.responseReceived",
            lambda event: event["response"].get("fromDiskCache") or requested.append(event["response"]["url"]),
        )
        page.goto(f"{address}/")
        expect(page.get_by_role("button", name="Choose images")).to_be_visible()
        page.close()
        files = [one for one in requested if re.search(r"\.(js|css)$", one)]
        if not _:
            assert len(files) == 2
            assert all(HASH.search(one) for one in files)
    assert files == []
    context.close()


def test_a_page_of_before_an_upgrade_still_loads(visit: Callable[..., Page], address: str) -> None:
    page = visit(address)
    page.route(f"{address}/", with_other_hashes)
    page.reload()
    expect(page.get_by_role("button", name="Choose images")).to_be_visible()
    assert "app.0123456789ab.js" in page.content()


def test_an_open_page_offers_to_load_the_page_of_after_an_upgrade(visit: Callable[..., Page], address: str) -> None:
    page = visit(address)
    offered = page.get_by_role("button", name="Load again")
    page.evaluate(LATER)
    with page.expect_response(f"{address}/"):
        page.evaluate(RETURNED)
    expect(offered).to_have_count(0)
    page.route(f"{address}/", with_other_hashes)
    page.evaluate(LATER)
    page.evaluate(RETURNED)
    expect(page.get_by_text("The service was updated")).to_be_visible()
    page.unroute_all()
    with page.expect_navigation():
        offered.click()
    expect(page.get_by_role("button", name="Choose images")).to_be_visible()
