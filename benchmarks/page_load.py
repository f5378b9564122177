"""First and second visit of the web page over a slow network: requests, bytes, and time until the page can be used.

    python -m benchmarks.page_load [--rounds 5] [--rate 200] [--latency 150] [--address URL]

Chromium emulates the network: a latency for each request, and a rate in each direction. It opens six connections at
most to one host, as browsers do over HTTP/1.1. "Usable" is the first frame in which a button of the page's content is
visible, enabled, and not covered. The second visit uses the cache of the first one. It needs Chromium.
"""

import argparse
import os
import shutil
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from benchmarks.common import report
from benchmarks.running_service import running_service

PROBE = """
(() => {
  const usable = (button) => {
    const box = button.getBoundingClientRect();
    const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
    return box.width > 0 && !button.disabled && button.contains(top);
  };
  const look = () => {
    if ([...document.querySelectorAll("main button")].some(usable)) window.usableAfter = performance.now();
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})()
"""


@dataclass
class Visit:
    """One load of the page.

    Attributes:
        usable_s: seconds from the start of the navigation until the page can be used.
        requests: number of requests that reached the service.
        received: bytes of their answers, headers included.
    """

    usable_s: float = 0.0
    requests: int = 0
    received: float = 0.0
    _cached: set[str] = field(default_factory=set)

    def answered(self, event: dict[str, Any]) -> None:
        """Count an answer, unless it came from the browser's cache."""
        response = event["response"]
        if response.get("fromDiskCache") or not response["url"].startswith("http"):
            self._cached.add(event["requestId"])
        else:
            self.requests += 1

    def loaded(self, event: dict[str, Any]) -> None:
        """Count the bytes of an answer."""
        if event["requestId"] not in self._cached:
            self.received += event["encodedDataLength"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that SEGSORT_CHROMIUM names, or the one on the path."""
    with sync_playwright() as playwright:
        path = shutil.which(os.environ.get("SEGSORT_CHROMIUM", "chromium"))
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def visit(context: BrowserContext, address: str, rate: float, latency_ms: float) -> Visit:
    """Load the page in a new tab.

    Args:
        context: holds the cache of earlier visits.
        address: of the service.
        rate: kilobytes per second in each direction.
        latency_ms: of each request, milliseconds.
    """
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    speed = {"downloadThroughput": rate * 1000, "uploadThroughput": rate * 1000}
    network.send("Network.emulateNetworkConditions", {"offline": False, "latency": latency_ms, **speed})
    seen = Visit()
    network.on("Network.responseReceived", seen.answered)
    network.on("Network.loadingFinished", seen.loaded)
    page.add_init_script(PROBE)
    page.goto(f"{address}/")
    while page.evaluate("window.usableAfter") is None:  # the page's policy forbids `wait_for_function`, which uses eval
        page.wait_for_timeout(50)
    page.wait_for_load_state("networkidle")
    seen.usable_s = page.evaluate("window.usableAfter") / 1000
    page.close()
    return seen


def measure(browser: Browser, address: str, rounds: int, rate: float, latency_ms: float) -> list[dict[str, Any]]:
    """Medians of the first and the second visit over `rounds` new browser profiles."""
    visits: dict[str, list[Visit]] = {"first": [], "second": []}
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        for which in visits.values():
            which.append(visit(context, address, rate, latency_ms))
        context.close()
    return [
        {
            "visit": name,
            "usable after, s": statistics.median(one.usable_s for one in of_kind),
            "slowest, s": max(one.usable_s for one in of_kind),
            "requests": of_kind[0].requests,
            "received, KB": statistics.median(one.received for one in of_kind) / 1000,
        }
        for name, of_kind in visits.items()
    ]


def main() -> None:
    """Measure, print a table and write out/benchmarks/page_load.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=float, default=200, help="kilobytes per second")
    parser.add_argument("--latency", type=float, default=150, help="milliseconds")
    parser.add_argument("--address", help="of a running service; default: start one")
    options = parser.parse_args()
    with TemporaryDirectory() as folder, ExitStack() as opened:
        address = options.address or opened.enter_context(running_service(Path(folder), patience=300))
        browser = opened.enter_context(chromium())
        rows = measure(browser, address, options.rounds, options.rate, options.latency)
    report("page_load", rows, vars(options))


if __name__ == "__main__":
    main()
