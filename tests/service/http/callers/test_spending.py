"""Limits of callers: rates a minute, and quotas of a day that several processes share."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select

from service.http.budgets import kind_of
from service.http.callers import spending as module
from service.http.callers import usage
from service.http.callers.spending import LimitReached, Spending
from service.http.callers.usage import DAY
from service.http.keys import Access, Key, new_key
from service.records.tables import UsageRow
from service.settings import Settings

SECRET, ANNAS = new_key("anna", "curator", [("images_per_day", 3), ("pixels_per_day", 1000)])
OTHER, BOS = new_key("bo", "reader")
ACCESS = Access([ANNAS, BOS])
SEGMENT = ("10.0.0.1", "POST", "/segment")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The wall clock: one number that a test may change."""
    found = [20_000.0 * DAY + 100]
    monkeypatch.setattr(usage.time, "time", lambda: found[0])
    return found


def segment(spending: Spending, key: Key | None, pixels: int = 0, address: str = "10.0.0.1") -> None:
    charge = spending.begin(key, address, "POST", "/segment")
    assert charge is not None
    charge.spend_pixels(pixels)


def test_what_is_used_of_a_day_is_shared_by_processes_and_kept_over_restarts(
    database: Engine, clock: list[float]
) -> None:
    here, there = Spending(Settings(), database), Spending(Settings(), database)
    segment(here, ANNAS, 600)
    segment(there, ANNAS, 100)
    for process in (here, there, here):
        process.write(ACCESS)
    for process in (here, there, Spending(Settings(), database)):
        process.write(ACCESS)
        assert [one.remaining for one in process.standings(ANNAS, "")] == [1, 300]
        with pytest.raises(LimitReached, match="1,000 pixels in a day"):
            segment(process, ANNAS, 301)
    clock[0] += DAY
    assert [one.remaining for one in here.standings(ANNAS, "")] == [3, 1000]
    segment(here, ANNAS, 1000)
    here.write(ACCESS)
    there.write(ACCESS)
    with pytest.raises(LimitReached) as reached:
        segment(there, ANNAS)
    assert reached.value.headers["Retry-After"] == str(DAY - 100)
    clock[0] += 10 * DAY
    segment(here, ANNAS)
    here.write(ACCESS)
    with database.connect() as connection:
        assert len(connection.execute(select(UsageRow.day)).all()) == 1, "old days are deleted"


def test_nothing_is_counted_twice_where_the_database_fails(database: Engine, clock: list[float]) -> None:
    spending = Spending(Settings(), database)
    segment(spending, ANNAS, 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usage, "add_usage", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            spending.write(ACCESS)
        segment(spending, ANNAS, 20)
    for _ in range(3):
        spending.write(ACCESS)
        assert [one.remaining for one in spending.standings(ANNAS, "")] == [1, 970]


def test_a_key_without_limits_of_its_own_has_those_of_the_settings_and_one_may_lift_them(database: Engine) -> None:
    spending = Spending(Settings(images_per_day=2, reads_per_minute=1), database)
    _, free = new_key("cy", "reader", [("images_per_day", None), ("reads_per_minute", None)])
    for _ in range(9):
        spending.begin(free, *SEGMENT)
        spending.begin(free, "10.0.0.1", "GET", "/classes")
    spending.begin(BOS, *SEGMENT)
    spending.begin(BOS, *SEGMENT)
    with pytest.raises(LimitReached, match="2 images in a day"):
        spending.begin(BOS, *SEGMENT)
    spending.begin(BOS, "10.0.0.1", "GET", "/classes")
    with pytest.raises(LimitReached, match="1 request in a minute"):
        spending.begin(BOS, "10.0.0.1", "GET", "/classes")
    assert spending.refused == {"images_per_day": 1, "reads_per_minute": 1}


def test_a_new_limit_in_the_file_of_keys_counts_at_once(database: Engine) -> None:
    spending = Spending(Settings(), database)
    assert spending.begin(BOS, *SEGMENT) is None
    slower = Key(BOS.caller, BOS.digest, (("images_per_minute", 1),))
    assert spending.begin(slower, *SEGMENT) is not None
    with pytest.raises(LimitReached):
        spending.begin(slower, *SEGMENT)
    assert spending.begin(Key(BOS.caller, BOS.digest, (("images_per_minute", 2),)), *SEGMENT) is not None


def test_without_keys_each_address_has_its_own_limits_and_the_memory_is_bounded(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ACCOUNTS", 50)
    spending = Spending(Settings(images_per_day=1, images_per_minute=1), database)
    for n in range(200):
        segment(spending, None, address=f"10.0.0.{n}")
    assert len(spending._accounts) == 50
    with pytest.raises(LimitReached):
        segment(spending, None, address="10.0.0.199")
    segment(spending, None, address="2001:db8:0:1::1")
    with pytest.raises(LimitReached):  # the same subscriber
        segment(spending, None, address="2001:db8:0:1:9:9:9:9")
    spending.write(Access())
    with database.connect() as connection:
        assert connection.execute(select(UsageRow.name)).all() == [], "addresses are not stored"


def test_limits_cost_microseconds(database: Engine) -> None:
    """Without limits nearly nothing, with all of them less than a tenth of a millisecond."""
    free = Spending(Settings(), database)
    limited = Spending(Settings(images_per_day=10**9, images_per_minute=10**9), database)
    for spending, most in ((free, 50e-6), (limited, 500e-6)):
        started = time.thread_time()  # other processes do not count
        for _ in range(1000):
            spending.begin(BOS, *SEGMENT)
        assert (time.thread_time() - started) / 1000 < most


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_limits_over_http(start: Callable[..., TestClient], photo: bytes) -> None:
    keys = f"{ANNAS.line},{BOS.line}:reads_per_minute=2"
    with start(api_keys=keys) as client:
        answer = client.post("/segment", content=photo, headers=bearer(SECRET))
        assert answer.status_code == 429, "the image has more pixels than a day allows"
        problem = answer.json()
        assert problem["detail"] == "The limit of 1,000 pixels in a day is reached."
        assert 0 < int(answer.headers["retry-after"]) <= DAY
        mine = client.get("/me", headers=bearer(SECRET)).json()
        assert [(one["name"], one["remaining"]) for one in mine["limits"]] == [
            ("images_per_day", 3),
            ("pixels_per_day", 1000),
        ], "a refused image is given back"
        first = client.get("/classes", headers=bearer(OTHER))
        assert first.headers["ratelimit-policy"] == '"reads_per_minute";q=2;w=60'
        found = re.fullmatch(r'"reads_per_minute";r=1;t=(\d+)', first.headers["ratelimit"])
        assert found is not None
        assert 10 < int(found[1]) <= 30, "about half a minute, less what a busy machine took for the answer"
        client.get("/me", headers=bearer(OTHER))
        refused = client.get("/classes", headers=bearer(OTHER))
        assert (refused.status_code, refused.headers["ratelimit"][:22]) == (429, '"reads_per_minute";r=0')
        assert 0 < int(refused.headers["retry-after"]) <= 30
        assert client.post("/segment", content=photo, headers=bearer(OTHER)).status_code == 200, "images are apart"
        assert client.get("/livez", headers=bearer(OTHER)).status_code == 200
        assert 'segsort_limited_total{limit="reads_per_minute"} 1.0' in client.get("/metrics").text


def test_answered_images_count_and_failed_ones_do_not(start: Callable[..., TestClient], photo: bytes) -> None:
    with start(images_per_day=3, pixels_per_day=10 * 96 * 72) as client:
        assert client.post("/segment", content=b"no image").status_code == 415
        answer = client.post("/segment", content=photo)
        assert '"images_per_day";r=2' in answer.headers["ratelimit"]
        again = client.post(f"/segmentations/{answer.json()['segmentation_id']}/relabel")
        assert again.status_code < 300
        left = {one["name"]: one["remaining"] for one in client.get("/me").json()["limits"]}
        assert left["images_per_day"] == 1
        assert left["pixels_per_day"] <= 9 * 96 * 72


def test_every_route_counts_for_one_kind_of_limit(start: Callable[..., TestClient]) -> None:
    """What needs a curator and is no GET is an edit, except computations that change nothing."""
    with start() as client:
        found: dict[str, set[str]] = {"reads": set(), "edits": set(), "images": set()}
        document: dict[str, dict[str, Any]] = client.get("/openapi.json").json()["paths"]
        for path, methods in document.items():
            for method, about in methods.items():
                kind = kind_of(method.upper(), re.sub(r"\{\w+\}", "abc-1", path))
                found[kind].add(f"{method.upper()} {path}")
                if kind == "edits" and path != "/session":
                    assert "curator" in about["description"], (method, path)
    assert found["images"] == {
        "POST /segment", "POST /segmentations/{segmentation_id}/segment",
        "POST /segmentations/{segmentation_id}/relabel", "POST /segment/batch", "POST /jobs/segment",
    }  # fmt: skip
    assert {one for one in found["reads"] if one.startswith("POST")} == {
        "POST /export", "POST /segmentations/{segmentation_id}/preview", "POST /exemplars/preview",
        "POST /releases/compare",
    }  # fmt: skip
