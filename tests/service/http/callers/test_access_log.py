"""The access log: who read and edited what, how much of it is kept, and what happens where it cannot be written."""

import json
import logging
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.http.callers import access_log as module
from service.http.callers.access_log import AccessLog, Entry
from service.http.keys import new_key
from tests.service.serving import wait_until

ANNA, ANNAS = new_key("anna", "curator")
BO, BOS = new_key("bo", "reader")


def entry(n: int = 0, **changes: Any) -> Entry:
    plain = Entry(1_000_000_000, f"id{n}", "anna", "10.0.0.1", "GET", "/classes", [], "", None, 200)
    return plain._replace(**changes)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "access"


@pytest.fixture
def log(folder: Path) -> Iterator[AccessLog]:
    opened = AccessLog(folder, days=30, megabytes=1000)
    yield opened
    opened.close()


def test_reads_and_edits_are_recorded_with_caller_ids_and_edit(
    start: Callable[..., TestClient], photo: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "data" / "access"
    anna, bo = ({"X-API-Key": key} for key in (ANNA, BO))
    with start(api_keys=f"{ANNAS.line},{BOS.line}") as client:
        made = client.post("/segment", content=photo, headers=bo).json()
        answer, segment = made["segmentation_id"], made["segments"][0]["segment_id"]
        why = client.get(f"/explain/{segment}", headers=anna)
        edited = client.post(f"/segments/{segment}/label", json={"class_name": "lava"}, headers=anna).json()
        client.post("/export", json={"segmentation_ids": [answer], "format": "coco"}, headers=bo)
        client.post("/segments/labels", json={"labels": [{"segment_id": segment, "class_name": "ash"}]}, headers=anna)
        client.get("/segmentations?limit=5", headers=bo)
        client.head(f"/segmentations/{answer}/image", headers=bo)
        client.get(f"/explain/{segment}", headers={"X-API-Key": "wrong"})
        client.post("/classes", json={"name": "kerb"}, headers=bo)
        client.get(f"/segmentations?key={ANNA}", headers=bo)
        client.get("/livez")
        client.get("/")
        client.post("/session", json={"key": BO})
        wait_until(lambda: len(lines(folder)) == 10)
    found = lines(folder)
    short = [(one["caller"], one["method"], one["route"], one["status"]) for one in found]
    assert short == [
        ("bo", "POST", "/segment", 200),
        ("anna", "GET", "/explain/{segment_id}", 200),
        ("anna", "POST", "/segments/{segment_id}/label", 201),
        ("bo", "POST", "/export", 200),
        ("anna", "POST", "/segments/labels", 201),
        ("bo", "GET", "/segmentations", 200),
        ("bo", "HEAD", "/segmentations/{segmentation_id}/image", 200),
        ("bo", "POST", "/classes", 403),
        ("bo", "GET", "/segmentations", 200),
        ("bo", "POST", "/session", 200),
    ]
    assert found[0]["ids"] == [answer], "the answer that was made"
    assert found[1]["ids"] == [segment]
    assert found[3]["ids"] == [answer], "an id of the body"
    assert found[6]["ids"] == [answer]
    assert segment in found[4]["ids"]
    assert found[2]["edit"] == edited["edit"]["revision"]
    assert found[4]["edit"] == found[2]["edit"] + 1
    assert found[1]["request_id"] == why.headers["x-request-id"]
    assert found[5]["query"] == "limit=5"
    assert {one["address"] for one in found} == {"testclient"}
    assert not any(key in file.read_text() for key in (ANNA, BO, "wrong") for file in folder.glob("*"))
    for path, mode in ((folder, 0o700), *((file, 0o600) for file in folder.glob("*"))):
        assert stat.S_IMODE(path.stat().st_mode) == mode, "it holds addresses of people"


def test_without_keys_and_where_it_is_off_nothing_is_written(start: Callable[..., TestClient], tmp_path: Path) -> None:
    for changes in ({}, {"api_keys": BOS.line, "access_log_days": 0}):
        with start(**changes) as client:
            assert client.get("/classes", headers={"X-API-Key": BO}).status_code == 200
            assert client.app.state.callers.access_log is None  # type: ignore[attr-defined]
    assert not (tmp_path / "data" / "access").exists()


def test_entries_are_in_their_order_and_none_is_lost_between_files(
    log: AccessLog, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FILE_BYTES", 20_000)
    for n in range(5000):
        log.add(entry(n))
        if n % 700 == 0:
            log.write()
    log.write()
    assert [one["request_id"] for one in lines(folder)] == [f"id{n}" for n in range(5000)]
    assert len(list(folder.glob("*"))) > 3


def test_a_deleted_file_is_followed_by_another(log: AccessLog, folder: Path) -> None:
    for n in range(3):
        log.add(entry(n))
        log.write()
        for file in folder.glob("*"):
            assert [one["request_id"] for one in lines(folder)] == [f"id{n}"]
            file.unlink()


def test_files_go_by_age_and_by_size_in_all_but_never_the_one_that_is_written(folder: Path) -> None:
    folder.mkdir()
    files = {}
    for name, days, size in (("a", 40, 10), ("b", 20, 700_000), ("c", 10, 700_000), ("d", 1, 200_000)):
        files[name] = folder / f"access-2026010{'abcd'.index(name)}T000000-host-1.jsonl"
        files[name].write_bytes(b"\n" * size)
        os.utime(files[name], (time.time() - days * 86_400,) * 2)
    other = folder / "notes.txt"
    other.write_text("mine")
    log = AccessLog(folder, days=30, megabytes=1)
    log.add(entry())
    log.write()
    kept = [name for name, file in files.items() if file.exists()]
    assert kept == ["c", "d"]
    assert other.exists()
    small = AccessLog(folder, days=0, megabytes=1)
    small.add(entry(7))
    small.write()
    assert [one["request_id"] for one in lines(folder)] == ["id7"]


def test_a_full_disk_loses_nothing_and_leaves_no_half_line(
    log: AccessLog, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log.add(entry(1))
    log.write()
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda handle, content: write(handle, content[:20]))
        for n in (2, 3):
            log.add(entry(n))
            log.write()
    assert caplog.text.count("cannot be written") == 1
    log.write()
    assert [one["request_id"] for one in lines(folder)] == ["id1", "id2", "id3"]


def test_the_memory_is_bounded_where_the_disk_does_not_answer(
    log: AccessLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(module, "_WAITING", 10)
    for n in range(25):
        log.add(entry(n))
    assert (len(log._waiting), log.lost) == (10, 15)


def test_hostile_values_stay_inside_their_line(log: AccessLog, folder: Path) -> None:
    hostile = ["a\nb", '"},{"', "\ud800", "x" * 10_000, f"segsort_{'k' * 43}", *map(str, range(300))]
    log.add(entry(ids=hostile, query="q\r\n" + "x" * 10_000 + ANNA))
    log.add(entry(1))
    log.write()
    [one, other] = lines(folder)
    assert len(one["ids"]) == 100
    assert one["more_ids"] == len(hostile) - 100
    assert max(map(len, one["ids"])) <= 310
    assert len(one["query"]) == 300
    assert "kkk" not in json.dumps(one)
    assert other["request_id"] == "id1"


def test_an_entry_costs_a_request_microseconds(log: AccessLog) -> None:
    started = time.thread_time()  # other processes do not count
    for n in range(2000):
        log.add(entry(n))
    assert (time.thread_time() - started) / 2000 < 100e-6
