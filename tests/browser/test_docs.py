"""The API reference at /docs renders without internet and under the page's Content-Security-Policy."""

import httpx
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import SCREENSHOTS


def test_the_api_reference_renders_with_every_other_host_blocked(chromium: Browser, address: str) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 1600})
    elsewhere, faults = [], []

    def only_local(route: Route) -> None:
        if route.request.url.startswith((f"{address}/", "data:", "blob:")):
            route.continue_()
        else:
            elsewhere.append(route.request.url)
            route.abort()

    context.route("**/*", only_local)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.add_init_script(
        "window.violations = []; addEventListener('securitypolicyviolation', "
        "(event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`))"
    )
    try:
        answer = page.goto(f"{address}/docs")
        assert answer is not None
        assert answer.header_value("content-security-policy") == httpx.get(address).headers["content-security-policy"]
        expect(page.locator(".opblock")).to_have_count(_operations(address))
        page.locator("#operations-segmentations-segment .opblock-summary-control").click()
        opened = page.locator("#operations-segmentations-segment")
        expect(opened).to_contain_text("label map")
        expect(opened.locator(".responses-table").first).to_contain_text("segmentation_id")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "api_reference.png")
        assert page.evaluate("window.violations") == []
        assert (elsewhere, faults) == ([], [])
    finally:
        context.close()


def _operations(address: str) -> int:
    document = httpx.get(f"{address}/openapi.json").raise_for_status().json()
    return sum(len(methods) for methods in document["paths"].values())
