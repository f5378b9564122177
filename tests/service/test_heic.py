"""HEIC files over HTTP: workers decode them, the process of the service never loads the library."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from benchmarks.running_service import start_service, stop
from tests import hostile_images as hostile

pytest.importorskip("pi_heif", reason="the extra heic is not installed")

COLOURS = (Path(__file__).parents[1] / "model_store" / "images" / "files" / "colours.heic").read_bytes()  # 64x48
REFUSED = (413, 415, 422)


def libraries(pid: int) -> set[str]:
    """Names of the libraries that a process has loaded."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except OSError:  # it has ended
        return set()
    return {line.rpartition("/")[2] for line in maps.splitlines() if ".so" in line}


def children(pid: int) -> list[int]:
    """Processes that any thread of a process has started."""
    found = list[int]()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found += map(int, file.read_text(encoding="ascii").split())
    return found


def test_a_heic_is_segmented_and_shown_and_only_workers_load_its_library(tiny_release: Path, tmp_path: Path) -> None:
    process, address = start_service(tmp_path, "--release", str(tiny_release), patience=200)
    try:
        with httpx.Client(base_url=address, timeout=60) as client:
            answer = client.post("/segment", content=COLOURS).raise_for_status().json()
            assert (answer["width"], answer["height"]) == (64, 48)
            image = client.get(answer["image_url"])
            assert (image.content, image.headers["content-type"]) == (COLOURS, "image/heic")
            shown = client.get(answer["image_url"], params={"size": 64}).raise_for_status()
            assert shown.headers["content-type"] in ("image/webp", "image/jpeg", "image/png")
            crop = client.get(f"/segments/{answer['segments'][0]['segment_id']}/crop").raise_for_status()
            assert crop.content.startswith(b"\x89PNG")
        assert not [name for name in libraries(process.pid) if "heif" in name or "265" in name]
        assert [pid for pid in children(process.pid) if any("heif" in name for name in libraries(pid))]
    finally:
        stop(process)


def test_damaged_heics_are_refused_and_the_next_image_is_answered(client: TestClient) -> None:
    random = np.random.default_rng(0)
    found = [client.post("/segment", content=COLOURS[:length]).status_code for length in (12, 40, 300, 600)]
    assert set(found) <= set(REFUSED), found
    for _ in range(60):
        damaged = bytearray(COLOURS)
        for place in random.integers(12, len(COLOURS), 3).tolist():
            damaged[place] = int(random.integers(256))
        answer = client.post("/segment", content=bytes(damaged))
        assert answer.status_code in (200, *REFUSED), answer.text
        found.append(answer.status_code)
    assert found.count(200) < len(found) - 10
    assert client.post("/segment", content=COLOURS).status_code == 200


def test_a_huge_heic_is_refused_by_its_header(start: Callable[..., TestClient]) -> None:
    huge = hostile.heic_grid(COLOURS, 31, 32)  # 2048x1984, in 45 kB
    with start(max_pixels=10_000_000) as client:
        answer = client.post("/segment?segments=4", content=huge).raise_for_status().json()
        assert (answer["width"], answer["height"]) == (2048, 1984)
    with start(max_pixels=1_000_000) as client:
        refused = client.post("/segment", content=huge)
        assert refused.status_code == 413
        assert "too many pixels" in refused.json()["detail"]
        many = client.post("/segment", content=hostile.heic_grid(COLOURS, 97, 103))  # more parts than its library reads
        assert many.status_code in REFUSED
        assert client.post("/segment", content=COLOURS).status_code == 200
