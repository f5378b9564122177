"""Examination: which edits without a digest were made on a release, and which on an earlier one of its name.

Versions before the digest named a release by its name alone, under which another network may have been served since.
Exemplars of such edits must not vote on the segments of another network.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import Connection

from model_store.live import AddedExemplar, LiveExemplars
from service.answering.remeasuring import Remeasuring
from service.problems import Problem
from service.records.edit_log import Edit
from service.records.edit_rows import read_added, read_edits_and_exemplars
from service.records.image_store import ImageStore
from service.records.live_release import LiveRelease
from service.settings import Settings

ALIKE = 0.98  # median cosine between recorded prototypes and those of this network, from which on they are of it
_TRIALS = 20  # replays of the log

_log = logging.getLogger("segsort.live")


class Examination:
    """Examines edits, see `service.records.follower.Examine`.

    The ids of exemplars are made of their content. An edit that names exemplars of the release was therefore made on
    it, and one that names unknown exemplars was not. An edit that only adds exemplars is examined by their images: with
    the network that it was made with, the marked pixels have the recorded prototypes. A revert follows the edit that it
    reverts; an edit of a class follows its neighbours in the log. At last the edits must apply in their order.

    Args:
        settings: threads of the network, and the largest images.
        images: the stored images.
    """

    def __init__(self, settings: Settings, images: ImageStore) -> None:
        self._settings, self._images = settings, images

    def __call__(self, connection: Connection, live: LiveRelease, edits: Sequence[Edit]) -> Mapping[int, bool]:
        """Examine edits that name a release, in their order; by revision, whether it is the one they were made on."""
        if not live.release.has_network:  # a kept copy; its edits were examined when it was served
            return {}
        network = Remeasuring(live.release, self._settings)
        added = read_added(connection, [edit.revision for edit in edits if edit.adds])
        fits = _settled(edits, self._evidence(connection, live, edits, added, network))
        fits = _that_apply(connection, live, edits, added, fits)
        made = sum(fits.values())
        _log.info(
            "%d edits of release %s have no digest: %d were made on this content of it, %d on another one",
            len(edits), live.name, made, len(fits) - made,
        )  # fmt: skip
        return fits

    def _evidence(
        self,
        connection: Connection,
        live: LiveRelease,
        edits: Sequence[Edit],
        added: Mapping[int, list[AddedExemplar]],
        network: Remeasuring,
    ) -> dict[int, bool | None]:
        """What each edit shows by itself; None: nothing."""
        known: dict[str, bool] = {}  # exemplars that these edits add: whether they are of this network
        found: dict[int, bool | None] = {}
        for edit in edits:
            own = added.get(edit.revision, [])
            names = {one.exemplar_id for one in own}
            others = [name for name in edit.sets_alive if name not in names]
            if edit.kind == "revert":
                target = edit.payload["reverts"]
                found[edit.revision] = found.get(target, target in live.log.edits)
            elif any(not known.get(name, live.state.row(name) is not None) for name in others):
                found[edit.revision] = False
            elif others:
                found[edit.revision] = True
            else:
                found[edit.revision] = self._are_alike(connection, own, network) if own else None
            known |= dict.fromkeys(names, bool(found[edit.revision]))
        return found

    def _are_alike(self, connection: Connection, exemplars: Sequence[AddedExemplar], network: Remeasuring) -> bool:
        """Whether exemplars have the prototypes that their pixels have with this network.

        Without an image it is unknown, and they must not vote.
        """
        cosines: list[float] = []
        for image_id in dict.fromkeys(one.image_id for one in exemplars):
            of_image, image = (
                [one for one in exemplars if one.image_id == image_id],
                self._images.read(connection, image_id),
            )
            if image is None:
                continue
            try:
                now = network.prototypes(image_id, image.content, of_image)
            except Problem as problem:
                _log.warning("image %s of an edit cannot be read: %s", image_id, problem.detail)
                continue
            pairs = [(one.prototype, own) for one, own in zip(of_image, now, strict=True)]
            cosines += [float(before @ own) if before.shape == own.shape else -1.0 for before, own in pairs]
        return bool(cosines) and float(np.median(cosines)) >= ALIKE


def _settled(edits: Sequence[Edit], evidence: Mapping[int, bool | None]) -> dict[int, bool]:
    """The evidence; edits without any take that of the edit before, or else of the first one after that has some."""
    last = next((one for one in evidence.values() if one is not None), True)
    settled: dict[int, bool] = {}
    for edit in edits:
        own = evidence[edit.revision]
        if edit.kind == "revert":
            own = settled.get(edit.payload["reverts"], own)
        last = settled[edit.revision] = last if own is None else own
    return settled


def _that_apply(
    connection: Connection,
    live: LiveRelease,
    edits: Sequence[Edit],
    added: Mapping[int, list[AddedExemplar]],
    fits: dict[int, bool],
) -> dict[int, bool]:
    """Replay the edits that fit, with those of the release between them. One that cannot be applied does not fit."""
    own, own_added = read_edits_and_exemplars(connection, 0, edits[-1].revision, live.key)
    exemplars = {one.exemplar_id: one for one in own_added}
    exemplars |= {one.exemplar_id: one for some in added.values() for one in some}
    order = sorted([*own, *(edit for edit in edits if fits[edit.revision])], key=lambda edit: edit.revision)
    failed: set[int] = set()
    for _ in range(_TRIALS):
        broken = _replay(live, [edit for edit in order if edit.revision not in failed], exemplars, failed)
        if broken is None:
            break
        failed.add(broken)
    else:  # nothing is certain about so many
        failed |= fits.keys()
    return {revision: value and revision not in failed for revision, value in fits.items()}


def _replay(
    live: LiveRelease, edits: Sequence[Edit], exemplars: Mapping[str, AddedExemplar], failed: set[int]
) -> int | None:
    """Apply edits to the release as it was built, and note those that do not agree with what they find.

    Returns:
        The revision of an edit that agreed and failed nevertheless. What was applied is then worthless.
    """
    trial = LiveRelease.of(LiveExemplars.of_release(live.release, index=live.state.index))
    for edit in edits:
        if not _agrees(trial, edit, exemplars):
            failed.add(edit.revision)
            continue
        names = [name for name, lives in edit.sets_alive.items() if lives and trial.state.row(name) is None]
        try:
            trial.advance(edit.revision, [edit], [exemplars[name] for name in names])
        except (ValueError, KeyError, IndexError):
            return edit.revision
    return None


def _agrees(trial: LiveRelease, edit: Edit, exemplars: Mapping[str, AddedExemplar]) -> bool:
    """Whether everything that an edit names is, at this point of the log, as it expects."""
    states = trial.log.class_states()
    if edit.kind == "revert":
        return edit.payload["reverts"] in trial.log.edits
    if edit.kind == "class" and edit.payload["before"] is not None:
        class_id, name = edit.payload["class_id"], edit.payload["before"]["name"]
        return bool(class_id < len(states) and states[class_id].info.name == name)
    ids = [info.class_id for info in edit.new_classes]
    missing = [name for name in edit.sets_alive if trial.state.row(name) is None]
    return ids == list(range(len(states), len(states) + len(ids))) and all(
        edit.sets_alive[name] and name in exemplars for name in missing
    )
