"""Durability: a process is killed repeatedly while four writers edit over HTTP; no edit is lost."""

import os
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
from sqlalchemy import Engine, Row, create_engine, text

from benchmarks.running_service import start_service, stop
from benchmarks.writers import Address, Writer, encoded
from model_store.explanation import replay
from tests.conftest import Blocks

# Edits by kind of database; raise SEGSORT_TEST_EDITS for a longer run.
EDITS = {
    kind: int(os.environ.get("SEGSORT_TEST_EDITS", usual)) for kind, usual in (("sqlite", 200), ("postgresql", 100))
}
WRITERS = "abcd"


@dataclass
class Aftermath:
    """The service after the last kill and restart, and the answers that the writers received before."""

    writers: list[Writer]
    kills: int
    explained: dict[str, dict[str, Any]]
    client: httpx.Client
    database: Engine
    edits_wanted: int

    @property
    def acknowledged(self) -> dict[str, dict[str, Any]]:
        return {reason: edit for writer in self.writers for reason, edit in writer.acknowledged.items()}

    def get(self, path: str) -> Any:
        return self.client.get(path).raise_for_status().json()

    def rows(self, query: str) -> list[Row[Any]]:
        """Rows of the database."""
        with self.database.connect() as connection:
            return list(connection.execute(text(query)))

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


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def aftermath(
    request: pytest.FixtureRequest, tiny_release: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Aftermath]:
    """Kills the service at random moments until the writers have made all their edits."""
    data, edits = tmp_path_factory.mktemp("killed"), EDITS[request.param]
    database = f"sqlite:///{data / 'segsort.sqlite'}"
    if request.param == "postgresql":
        database = str(request.getfixturevalue("module_postgres_url"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGSORT_DATABASE_URL", database)
        yield from _killed(data, database, edits, ("--release", str(tiny_release)))


def _killed(data: Path, database: str, edits: int, flags: tuple[str, ...]) -> Iterator[Aftermath]:
    random = np.random.default_rng(5)
    process, url = start_service(data, *flags)
    address, kills = Address(), 0
    try:
        with httpx.Client(base_url=url, timeout=60) as client:
            answers = [_segmented(client, i) for i in range(len(WRITERS))]
            explained = {i: client.get(f"/explain/{i}").json() for ids in answers for i in ids}
        writers = [Writer(n, address, ids, edits // len(WRITERS)) for n, ids in zip(WRITERS, answers, strict=True)]
        threads = [threading.Thread(target=writer.run, daemon=True) for writer in writers]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            address.set(url)
            _wait_until_some_are_made(writers, threads, edits // 5, float(random.uniform(0, 0.05)))
            address.set(None)
            process.kill()
            process.wait()
            kills += 1
            process, url = start_service(data, *flags)
        explained |= {segment: answered for writer in writers for segment, answered in writer.explained.items()}
        with httpx.Client(base_url=url, timeout=60) as client:
            opened = create_engine(database)
            yield Aftermath(writers, kills, explained, client, opened, edits)
            opened.dispose()
    finally:
        stop(process)


def _segmented(client: httpx.Client, number: int) -> list[str]:
    """Ids of the segments of an image."""
    image = Blocks("val")[number].image
    answer = client.post("/segment", content=encoded(image)).raise_for_status().json()
    return [segment["segment_id"] for segment in answer["segments"]]


def _wait_until_some_are_made(writers: list[Writer], threads: list[threading.Thread], some: int, more: float) -> None:
    """Wait until so many more edits are acknowledged, then `more` seconds: other edits are then running."""
    wanted = sum(len(writer.acknowledged) for writer in writers) + some
    while sum(len(w.acknowledged) for w in writers) < wanted and any(thread.is_alive() for thread in threads):
        time.sleep(0.005)
    end = time.monotonic() + more
    while time.monotonic() < end and any(thread.is_alive() for thread in threads):
        time.sleep(0.005)


def test_every_acknowledged_edit_exists_exactly_once(aftermath: Aftermath) -> None:
    assert not [failure for writer in aftermath.writers for failure in writer.failures]
    assert len(aftermath.acknowledged) >= aftermath.edits_wanted // len(WRITERS) * len(WRITERS)
    assert aftermath.kills >= 4
    there = {edit["reason"]: edit for edit in aftermath.edits()}
    for reason, answered in aftermath.acknowledged.items():
        found = there[reason]
        same = ("revision", "kind", "author", "exemplar_ids", "classes", "summary", "created")
        assert {name: found[name] for name in same} == {name: answered[name] for name in same}
    assert Counter(edit["reason"] for edit in aftermath.edits()).most_common(1)[0][1] == 1
    known = aftermath.acknowledged.keys() | {r for writer in aftermath.writers for r in writer.cut_off}
    assert there.keys() <= known, "an edit that nobody asked for"
    assert {edit["kind"] for edit in there.values()} == {"add", "label", "mark", "remove", "class", "revert"}


def test_revisions_have_no_gap_and_no_edit_is_incomplete(aftermath: Aftermath) -> None:
    if aftermath.database.dialect.name == "sqlite":
        assert aftermath.rows("PRAGMA integrity_check") == [("ok",)]
    edits = aftermath.rows("SELECT revision, kind, payload FROM edits ORDER BY revision")
    rows = aftermath.rows("SELECT exemplar_id, revision, image_id FROM exemplars")
    images = {image_id for (image_id,) in aftermath.rows("SELECT image_id FROM images")}
    [(last,)] = aftermath.rows("SELECT number FROM revisions")
    assert [revision for revision, _, _ in edits] == list(range(1, last + 1))
    said = {
        (name, revision)
        for revision, kind, payload in edits
        if kind in ("add", "label", "mark")
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
    payloads = aftermath.rows("SELECT revision, payload FROM edits WHERE kind IN ('label', 'mark')")
    replaced = {revision: orjson.loads(payload).get("replaces", []) for revision, payload in payloads}
    for edit in edits:
        if effective[edit["revision"]] and edit["kind"] in ("add", "label", "mark", "remove"):
            alive |= dict.fromkeys(replaced.get(edit["revision"], []), False)
            alive |= dict.fromkeys(edit["exemplar_ids"], edit["kind"] != "remove")
    expected = {name for name, there in alive.items() if there}
    assert {one["exemplar_id"] for one in aftermath.exemplars() if one["added_in"] is not None} == expected


def test_every_explanation_is_the_same_after_the_restart(aftermath: Aftermath) -> None:
    """Explanations before the first edit and between edits."""
    assert len({answered["index_revision"] for answered in aftermath.explained.values()}) > 2
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
