"""The service in its own process, over the bundled release."""

import io
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from benchmarks.running_service import ServiceStartError, running_service, start_service, stop
from index_builder.datasets import open_dataset
from tests.service.conftest import encoded


@pytest.fixture(scope="module")
def street() -> bytes:
    """A painted street that is not an exemplar, as a JPEG of 480x360."""
    return encoded(open_dataset("streets", None, "val", count=1)[0].image, "JPEG", quality=92)


def test_a_kill_loses_no_answer_and_changes_no_explanation(
    tmp_path: Path, street: bytes, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGSORT_DATABASE_URL", database_url)
    process, address = start_service(tmp_path)
    segments = httpx.post(f"{address}/segment", content=street, timeout=60).json()["segments"]
    before = [httpx.get(f"{address}/explain/{s['segment_id']}", timeout=60).content for s in segments]
    process.send_signal(signal.SIGKILL)
    process.wait()
    process, address = start_service(tmp_path)
    try:
        after = [httpx.get(f"{address}/explain/{s['segment_id']}", timeout=60).content for s in segments]
        exemplar = segments[0]["exemplars"][0]["exemplar_id"]
        image = httpx.get(f"{address}/exemplars/{exemplar}/image", timeout=60)
    finally:
        stop(process)
    assert before == after
    assert Image.open(io.BytesIO(image.content)).size == (480, 360)


def test_concurrent_valid_and_invalid_requests_each_get_their_own_answer(tmp_path: Path, street: bytes) -> None:
    widths = [64, 200, 333, 480]
    resized = {w: Image.open(io.BytesIO(street)).resize((w, 120)) for w in widths}
    bodies = {w: encoded(np.asarray(p), "PNG") for w, p in resized.items()}
    with running_service(tmp_path) as address, ThreadPoolExecutor(8) as pool, httpx.Client(timeout=120) as client:

        def ask(n: int) -> bool:
            if n % 5 == 4:
                return client.post(f"{address}/segment", content=bodies[64][: 100 + n]).status_code in (415, 422)
            width = widths[n % 5]
            answer = client.post(f"{address}/segment", content=bodies[width]).raise_for_status().json()
            return answer["width"] == width and sum(s["area"] for s in answer["segments"]) == width * 120

        assert all(pool.map(ask, range(25)))


def test_a_missing_release_stops_the_start_with_a_message_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ServiceStartError, match="no-such-release"):
        start_service(tmp_path, "--release", "no-such-release")
