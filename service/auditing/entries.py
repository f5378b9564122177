"""The entries of an audit as JSON, each with its reason in words."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from model_store.auditing import FEW_IMAGES, Contradictions, Group, Material, ThinClass
from model_store.live import LiveExemplars
from service.answering.links import segment_crop_url
from service.answering.rounding import rounded
from service.auditing.wrong_votes import CorrectedSegment, WrongVotes
from service.explaining.exemplar_detail import exemplar_json
from service.records.live_release import LiveRelease

NEIGHBOURS = 5  # contradicting exemplars that an entry lists
_CORRECTED = 12  # corrected segments that an entry lists


class Entries:
    """Writes entries of an audit.

    Args:
        live: the release.
        state: its exemplars at the revision of the audit.
        owner: corrected segments of other keys' answers are counted but not listed; None: all are listed.
    """

    def __init__(self, live: LiveRelease, state: LiveExemplars, owner: str | None) -> None:
        self._live, self._state, self._owner = live, state, owner

    def contradicted(self, material: Material, found: Contradictions, n: int) -> dict[str, Any]:
        """The n-th contradicted exemplar, with the nearest exemplars that contradict it."""
        place, winner = int(found.places[n]), int(found.class_ids[n])
        voters = found.voters.places[n]
        voters = voters[voters >= 0]
        classes = material.class_ids[voters]
        against = np.flatnonzero(classes == winner)
        name, other = self._name(int(material.class_ids[place])), self._name(winner)
        images = " in other images" if material.across_images else ""
        reason = (
            f"Labelled {name}, but {_of_them(len(against), len(voters), f'nearest exemplars{images}')} {other}. "
            f"Without its own vote it would be {other}."
        )
        cosines = found.voters.cosines[n]
        nearest = [self._neighbour(int(material.rows[voters[i]]), float(cosines[i])) for i in against[:NEIGHBOURS]]
        return self._entry(
            int(material.rows[place]), float(found.scores[n]), reason, suggested=winner, neighbours=nearest,
            margin=rounded(float(found.margins[n])),
        )  # fmt: skip

    def duplicates(self, material: Material, group: Group) -> dict[str, Any]:
        """A group of near duplicates."""
        first, *others = (int(material.rows[place]) for place in group.places)
        names = [self._name(int(material.class_ids[place])) for place in group.places]
        score = float(min(group.cosines))
        if group.conflict:
            known = list(dict.fromkeys(names))
            listed = f"{', '.join(known[:-1])} and {known[-1]}"
            reason = f"{len(names)} exemplars look the same to the network, but are labelled {listed}. One is wrong."
        else:
            reason = f"{len(names)} exemplars of {names[0]} look the same to the network. One of them is enough."
        neighbours = [self._neighbour(row, cosine) for row, cosine in zip(others, group.cosines[1:], strict=True)]
        return self._entry(first, score, reason, neighbours=neighbours, conflict=group.conflict)

    def thin(self, found: ThinClass, k: int) -> dict[str, Any]:
        """A thin class."""
        return {
            **_EMPTY,
            "class_id": found.class_id,
            "class_name": self._name(found.class_id),
            "score": rounded(found.votes),
            "reason": thin_reason(found, k),
            "exemplars": found.exemplars,
            "images": found.images,
        }

    def corrections(self, found: WrongVotes) -> dict[str, Any]:
        """An exemplar that voted for labels that were corrected."""
        name = self._name(int(self._state.class_ids(np.array([found.row]))[0]))
        count = len(found.corrected)
        after = list(dict.fromkeys(one.after for one in found.corrected))
        many = "1 segment that was" if count == 1 else f"{count} segments that were"
        reason = f"It voted for {name} on {many} corrected to {_listed(after)}."
        mine = [one for one in found.corrected if self._owner is None or one.owner == self._owner]
        corrected = [_corrected(one) for one in mine[:_CORRECTED]]
        return self._entry(found.row, float(count), reason, corrected=corrected)

    def _entry(self, row: int, score: float, reason: str, suggested: int | None = None, **more: Any) -> dict[str, Any]:
        exemplar = self._exemplar(row)
        return {
            **_EMPTY,
            "exemplar": exemplar,
            "class_id": exemplar["class_id"],
            "class_name": exemplar["class_name"],
            "score": rounded(score),
            "reason": reason,
            "suggested_class_id": suggested,
            "suggested_class_name": None if suggested is None else self._name(suggested),
            **more,
        }

    def _neighbour(self, row: int, cosine: float) -> dict[str, Any]:
        return {"exemplar": self._exemplar(row), "similarity": rounded(cosine)}

    def _exemplar(self, row: int) -> dict[str, Any]:
        found = exemplar_json(self._live, row, self._state)
        return {name: value for name, value in found.items() if name != "mask"}

    def _name(self, class_id: int) -> str:
        return self._state.classes[class_id].name


_EMPTY: dict[str, Any] = {
    "exemplar": None, "suggested_class_id": None, "suggested_class_name": None, "margin": None, "conflict": None,
    "neighbours": [], "corrected": [], "exemplars": None, "images": None,
}  # fmt: skip


def thin_reason(found: ThinClass, k: int) -> str:
    """Why a class is thin, and what this means for votes."""
    if not found.exemplars:
        return "It has no exemplar, so no segment can get this label."
    exemplars = "1 exemplar" if found.exemplars == 1 else f"{found.exemplars} exemplars"
    images = "1 image" if found.images == 1 else f"{found.images} images"
    reasons = []
    if found.votes < k:
        reasons.append(
            f"A vote has {k} places, so exemplars of other classes always vote too: it wins only where its own are "
            "clearly more similar."
        )
    if found.images < FEW_IMAGES:
        reasons.append("Things that look different in other images are not covered.")
    return f"It has {exemplars} from {images}. {' '.join(reasons)}"


def _corrected(one: CorrectedSegment) -> dict[str, Any]:
    shown = {"revision": one.revision, "segment_id": one.segment_id, "before": one.before, "after": one.after}
    return shown | {"crop_url": segment_crop_url(one.segment_id)}


def _of_them(count: int, total: int, what: str) -> str:
    if count == total:
        return f"all of its {total} {what} are" if total > 1 else f"the only one of its {what} is"
    return f"{count} of its {total} {what} {'is' if count == 1 else 'are'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
