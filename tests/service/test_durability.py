"""Durability: a process over SQLite is killed repeatedly while four writers edit over HTTP; no edit is lost."""

import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from benchmarks.running_service import start_service, stop
from model_store.explanation import replay
from tests.conftest import Blocks
from tests.service.writers import Address, Writer, encoded

EDITS = int(os.environ.get("SEGSORT_TEST_EDITS", "200"))  # raise it for a longer run
WRITERS = "abcd"


@dataclass
class Aftermath:
    """The service after the last kill and restart, and the answers that the writers received before."""

    writers: list[Writer]
    kills: int
    explained: dict[str, dict[str, Any]]
    client: httpx.Client
    database: Path

    @property
    def acknowledged(self) -> dict[str, dict[str, Any]]:
        return {reason: edit for writer in self.writers for reason, edit in writer.acknowledged.items()}

    def get(self, path: str) -> Any:
        return self.client.get(path).raise_for_status().json()

    def edits(self) -> list[dict[str, Any]]:
        """All edits, the oldest first."""
        edits: list[dict[str, Any]] = []
        while page := self.get("/edits?limit=100" + (f"&before={edits[-1]['revision']}" if edits else "")):
            edits += page
        return edits[::-1]

    def exemplars(self) -> list[dict[str, Any]]:
        """All exemplars that are not removed."""
        answered: list[dict[str, Any]] = []
        while page := self.get(f"/exemplars?limit=1000&offset={len(answered)}")["exemplars"]:
            answered += page
        return answered


@pytest.fixture(scope="module")
def aftermath(tiny_release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Kills the service at random moments until the writers have made all their edits."""
    data = tmp_path_factory.mktemp("killed")
    flags = ("--release", str(tiny_release))
    random = np.random.default_rng(5)
    process, url = start_service(data, *flags)
    address, kills = Address(), 0
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            answers = [_segmented(client, i) for i in range(len(WRITERS))]
            explained = {i: client.get(f"/explain/{i}").json() for ids in answers for i in ids}
        writers = [Writer(n, address, ids, EDITS // len(WRITERS)) for n, ids in zip(WRITERS, answers, strict=True)]
        threads = [threading.Thread(target=writer.run, daemon=True) for writer in writers]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            address.set(url)
            _wait_until_some_are_made(writers, threads, float(random.uniform(0, 0.05)))
            address.set(None)
            process.kill()
            process.wait()
            kills += 1
            process, url = start_service(data, *flags)
        explained |= {segment: answered for writer in writers for segment, answered in writer.explained.items()}
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Aftermath(writers, kills, explained, client, data / "segsort.sqlite")
    finally:
        stop(process)


def _segmented(client: httpx.Client, number: int) -> list[str]:
    """Ids of the segments of an image."""
    image = Blocks("val")[number].image
    answer = client.post("/segment", content=encoded(image)).raise_for_status().json()
    return [segment["segment_id"] for segment in answer["segments"]]


def _wait_until_some_are_made(writers: list[Writer], threads: list[threading.Thread], more: float) -> None:
    """Wait until a further fifth of all edits is acknowledged, then `more` seconds: other edits are then running."""
    wanted = sum(len(writer.acknowledged) for writer in writers) + EDITS // 5
    while sum(len(w.acknowledged) for w in writers) < wanted and any(thread.is_alive() for thread in threads):
        time.sleep(0.005)
    end = time.monotonic() + more
    while time.monotonic() < end and any(thread.is_alive() for thread in threads):
        time.sleep(0.005)


def test_every_acknowledged_edit_exists_exactly_once(aftermath: Aftermath) -> None:
    assert not [failure for writer in aftermath.writers for failure in writer.failures]
    assert len(aftermath.acknowledged) >= EDITS // len(WRITERS) * len(WRITERS)
    assert aftermath.kills >= 4
    there = {edit["reason"]: edit for edit in aftermath.edits()}
    for reason, answered in aftermath.acknowledged.items():
        found = there[reason]
        same = ("revision", "kind", "author", "exemplar_ids", "classes", "summary", "created")
        assert {name: found[name] for name in same} == {name: answered[name] for name in same}
    assert Counter(edit["reason"] for edit in aftermath.edits()).most_common(1)[0][1] == 1
    known = aftermath.acknowledged.keys() | {r for writer in aftermath.writers for r in writer.cut_off}
    assert there.keys() <= known, "an edit that nobody asked for"
    assert {edit["kind"] for edit in there.values()} == {"add", "label", "remove", "class", "revert"}


def test_revisions_have_no_gap_and_no_edit_is_incomplete(aftermath: Aftermath) -> None:
    with sqlite3.connect(f"file:{aftermath.database}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        edits = database.execute("SELECT revision, kind, payload FROM edits ORDER BY revision").fetchall()
        rows = database.execute("SELECT exemplar_id, revision, image_id FROM exemplars").fetchall()
        images = {image_id for (image_id,) in database.execute("SELECT image_id FROM images")}
        [(last,)] = database.execute("SELECT number FROM revisions").fetchall()
    database.close()
    assert [revision for revision, _, _ in edits] == list(range(1, last + 1))
    said = {
        (name, revision)
        for revision, kind, payload in edits
        if kind in ("add", "label")
        for name in orjson.loads(payload)["exemplar_ids"]
    }
    assert said == {(name, revision) for name, revision, _ in rows}
    assert {image_id for _, _, image_id in rows} <= images, "an exemplar without its image"


def test_the_state_after_the_restart_equals_the_replayed_log(aftermath: Aftermath) -> None:
    """The expected state comes from a loop over the log that shares no code with the service."""
    edits = aftermath.edits()
    effective = {edit["revision"]: True for edit in edits}
    for edit in reversed(edits):
        if edit["kind"] == "revert" and effective[edit["revision"]]:
            effective[edit["reverts"]] = False
    alive: dict[str, bool] = {}
    replaced = _replaced(aftermath.database)
    for edit in edits:
        if effective[edit["revision"]] and edit["kind"] in ("add", "label", "remove"):
            alive |= dict.fromkeys(replaced.get(edit["revision"], []), False)
            alive |= dict.fromkeys(edit["exemplar_ids"], edit["kind"] != "remove")
    expected = {name for name, there in alive.items() if there}
    assert {one["exemplar_id"] for one in aftermath.exemplars() if one["added_in"] is not None} == expected


def _replaced(file: Path) -> dict[int, list[str]]:
    """Ids of the exemplars that each correction replaces, by revision."""
    database = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    rows = database.execute("SELECT revision, payload FROM edits WHERE kind = 'label'").fetchall()
    database.close()
    return {revision: orjson.loads(payload).get("replaces", []) for revision, payload in rows}


def test_every_explanation_is_the_same_after_the_restart(aftermath: Aftermath) -> None:
    """Explanations before the first edit and between edits."""
    assert len({answered["index_revision"] for answered in aftermath.explained.values()}) > 5
    for segment, before in aftermath.explained.items():
        after = aftermath.get(f"/explain/{segment}")
        assert _lasting(after) == _lasting(before)
        again = replay(after)
        assert again.class_id == after["class_id"]
        assert again.shares[again.class_id] == pytest.approx(after["share"], abs=1e-6)
        assert again.flip_set_holds


def _lasting(answered: Any) -> Any:
    """An explanation without the values that later edits change."""
    changing = {"removed_in", "corrections", "similar", "image_url"}
    if isinstance(answered, dict):
        return {name: _lasting(value) for name, value in answered.items() if name not in changing}
    return [_lasting(value) for value in answered] if isinstance(answered, list) else answered
