"""Which edits can still be made where others are lost: they are replayed on the release that they were made on."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from model_store.added import AddedExemplar
from model_store.live import LiveExemplars
from model_store.release import Release
from model_store.store import open_store
from service.records.edit_log import Edit
from service.records.edit_rows import edit_of, exemplar_of
from service.records.live_release import LiveRelease
from service.verifying.raw_rows import Row

_GREY, _AUTHOR = (128, 128, 128), "segsort recover"


class Replayed(NamedTuple):
    """What a replay found.

    impossible: why edits cannot be made, by revision; stand_ins: by revision of a lost edit, the edit that makes
    classes in its place, because later edits name classes by their numbers.
    """

    impossible: dict[int, str]
    stand_ins: dict[int, Edit]


def replay_on(
    data_dir: Path, served: str | None = None
) -> Callable[[Sequence[Row], Sequence[Row], Sequence[int]], Replayed]:
    """A function that finds which edits can be made, among the sound edits of one release, where others are lost.

    Without the release, only reverts of lost edits are found.

    Args:
        data_dir: folder of the service, for the store of releases.
        served: name or path of the release that the service serves; None: the active one.
    """

    def replay(rows: Sequence[Row], exemplar_rows: Sequence[Row], lost: Sequence[int]) -> Replayed:
        edits = [edit_of(row) for row in rows]
        added: dict[int, list[AddedExemplar]] = defaultdict(list)
        for row in exemplar_rows:
            added[row["revision"]].append(exemplar_of(row))
        release = _release(data_dir, edits[0], (edits[0].release, served))
        if release is None:
            return Replayed(_reverts(edits), {})
        stand_ins = _stand_ins(release, edits, lost)
        merged = sorted([*edits, *stand_ins.values()], key=lambda edit: edit.revision)
        return Replayed(_impossible(release, merged, added), stand_ins)

    return replay


def _stand_ins(release: Release, edits: Sequence[Edit], lost: Sequence[int]) -> dict[int, Edit]:
    """Edits that make the classes which lost edits made, so that later classes keep their numbers."""
    following, missing = len(release.card.classes), defaultdict[int, list[int]](list)
    for edit in edits:
        for info in edit.new_classes:
            before = max((revision for revision in lost if revision < edit.revision), default=None)
            if before is not None:
                missing[before] += range(following, info.class_id)
            following = max(following, info.class_id + 1)
    return {
        revision: _stand_in(revision, numbers, next(edit for edit in edits if edit.revision > revision))
        for revision, numbers in missing.items()
        if numbers
    }


def _stand_in(revision: int, class_ids: Sequence[int], following: Edit) -> Edit:
    classes = [{"class_id": n, "name": f"lost class {n}", "color": list(_GREY)} for n in class_ids]
    payload = {"exemplar_ids": [], "classes": classes, "scope": "all", "summary": f"made {len(classes)} lost classes"}
    return Edit(
        revision, following.release, "add", payload, _AUTHOR, f"edit {revision} was lost", following.created,
        following.release_digest,
    )  # fmt: skip


def _release(data_dir: Path, edit: Edit, names: Sequence[str | None]) -> Release | None:
    """The release that an edit was made on, if it is found by one of some names."""
    for name in names:
        try:
            release = Release.open(open_store(data_dir).resolve(name))
        except (ValueError, OSError):
            continue
        if release.card.name == edit.release and edit.release_digest in (None, release.digest):
            return release
    return None


def _reverts(edits: Sequence[Edit]) -> dict[int, str]:
    there = {edit.revision for edit in edits}
    reasons: dict[int, str] = {}
    for edit in edits:
        target = edit.payload.get("reverts")
        if edit.kind == "revert" and (target not in there or target in reasons):
            reasons[edit.revision] = f"it reverts edit {target}"
    return reasons


def _impossible(release: Release, edits: Sequence[Edit], added: dict[int, list[AddedExemplar]]) -> dict[int, str]:
    """Make the edits one by one; those that fail are left out, and the rest is made again from the start."""
    reasons: dict[int, str] = {}
    base = LiveExemplars.of_release(release)
    while True:
        live = LiveRelease.of(base)
        for edit in edits:
            if edit.revision in reasons:
                continue
            try:
                _make(live, edit, added[edit.revision])
            except (ValueError, KeyError, IndexError) as error:
                reasons[edit.revision] = str(error) if isinstance(error, ValueError) else f"{error} is missing"
                break
        else:
            return reasons


def _make(live: LiveRelease, edit: Edit, added: Sequence[AddedExemplar]) -> None:
    live.advance(edit.revision, [edit], added)
    unknown = [name for name in edit.sets_alive if live.state.row(name) is None]
    if unknown:
        raise ValueError(f"it names the exemplar {unknown[0]}")
    for info in edit.new_classes:
        if info.class_id >= len(live.state.classes):
            raise ValueError(f"it makes the class {info.class_id}, and class {len(live.state.classes)} is missing")
