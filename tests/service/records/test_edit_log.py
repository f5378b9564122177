"""The log of edits, compared with its definition, which is computed from all edits at each revision."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest

from model_store.card import ClassInfo
from service.records.edit_log import ClassState, Edit, EditLog

RELEASED = {"r0": 0, "r1": 1, "r2": 2}
BASE = (ClassInfo(class_id=0, name="brick", color=(1, 2, 3)), ClassInfo(class_id=1, name="grass", color=(4, 5, 6)))


def edit(revision: int, kind: Any, **payload: Any) -> Edit:
    return Edit(revision, "tiny", kind, payload | {"summary": ""}, "anna", None, datetime(2026, 1, 1))


def new_log() -> EditLog:
    return EditLog([ClassState(info, False) for info in BASE], RELEASED)


def effective(edits: list[Edit]) -> dict[int, bool]:
    """An edit is effective unless an effective revert names it."""
    found: dict[int, bool] = {}
    for one in reversed(edits):
        found[one.revision] = not any(
            other.kind == "revert" and other.payload["reverts"] == one.revision and found[other.revision]
            for other in edits
            if other.revision > one.revision
        )
    return found


def naive(edits: list[Edit]) -> tuple[dict[str, bool], dict[int, tuple[str, bool]]]:
    """Alive exemplars, and classes' names and whether they are retired, as the definition says."""
    there = effective(edits)
    names = {*RELEASED, *(name for one in edits for name in one.sets_alive)}
    alive = {}
    for name in names:
        said = [one.sets_alive[name] for one in edits if name in one.sets_alive and there[one.revision]]
        alive[name] = said[-1] if said else name in RELEASED
    classes = {info.class_id: (info.name, False) for info in BASE}
    for one in edits:
        for info in one.new_classes:
            classes[info.class_id] = (info.name, not there[one.revision])
    for one in edits:
        if one.kind == "class" and there[one.revision]:
            class_id = one.payload["class_id"]
            classes[class_id] = (one.payload["after"]["name"], classes[class_id][1])
    return alive, classes


def random_edit(random: np.random.Generator, log: EditLog, revision: int) -> Edit:
    """An edit that curation would let pass, as far as the log looks at it."""
    alive = [name for name in [*RELEASED, *log.added_in] if log.is_alive(name)]
    kind = random.choice(["add", "label", "remove", "class", "revert", "revert"])
    if kind == "remove" and alive:
        return edit(revision, "remove", exemplar_ids=[str(random.choice(alive))])
    if kind == "class":
        class_id = int(random.integers(0, len(log.class_states()) + 1))
        new = class_id == len(log.class_states())
        before = None if new else {"name": "x", "color": [0, 0, 0]}
        return edit(
            revision, "class", class_id=class_id, before=before, after={"name": f"n{revision}", "color": [9, 9, 9]}
        )
    if kind == "revert":
        able = [r for r in log.edits if log.reverted_by(r) is None]
        random.shuffle(able)
        for target in able:
            candidate = edit(revision, "revert", reverts=int(target))
            flips = log.changes(candidate).reverted
            if all(by is None or log.reverted_by(other) is None for other, by in flips.items()):
                return candidate
    ids = [f"a{revision}", str(random.choice(list(log.added_in) or ["b0"]))]
    more: dict[str, Any] = {"segment_id": "s", "replaces": alive[:1]} if kind == "label" else {}
    made = []
    if random.random() < 0.4:
        made = [{"class_id": len(log.class_states()), "name": f"c{revision}", "color": [0, 0, 0]}]
    return edit(revision, "label" if kind == "label" else "add", exemplar_ids=ids, classes=made, **more)


@pytest.mark.parametrize("seed", range(6))
def test_the_log_says_at_every_revision_what_the_definition_says(seed: int) -> None:
    random = np.random.default_rng(seed)
    log, edits = new_log(), []
    for revision in range(1, 60):
        edits.append(random_edit(random, log, revision))
        log.append(edits[-1])
    for revision in range(60):
        alive, classes = naive(edits[:revision])
        for name, expected in alive.items():
            assert log.is_alive(name, revision) == expected, (revision, name)
            assert (log.removed_in(name, revision) is None) == expected
        states = log.class_states(revision)
        assert {n: (state.info.name, state.retired) for n, state in enumerate(states)} == classes
        there = effective(edits[:revision])
        assert {r: log.reverted_by(r, revision) is None for r in there} == there


def test_removed_in_is_the_revision_that_took_it_away_the_last_time() -> None:
    log = new_log()
    log.append(edit(1, "remove", exemplar_ids=["r0"]))
    assert log.removed_in("r0") == 1
    log.append(edit(2, "revert", reverts=1))
    assert log.removed_in("r0") is None
    log.append(edit(3, "revert", reverts=2))
    assert log.removed_in("r0") == 3
    assert log.removed_in("r0", 1) == 1
    assert log.touched_by(3) == {"r0"}


def test_a_class_keeps_its_first_name_for_the_ids_of_its_exemplars() -> None:
    log = new_log()
    log.append(
        edit(
            1,
            "class",
            class_id=0,
            before={"name": "brick", "color": [1, 2, 3]},
            after={"name": "b", "color": [0, 0, 0]},
        )
    )
    assert log.first_name(0) == "brick"
    assert log.class_states()[0].info.name == "b"
    assert log.class_states(0)[0].info.name == "brick"
