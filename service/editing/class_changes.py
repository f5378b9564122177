"""Relabelling of exemplars: each is replaced by an exemplar of the same pixels with another class."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from model_store.explanation import exemplar_facts
from model_store.live import AddedExemplar
from service.editing.class_names import Classes, ClassRef
from service.editing.edit_checks import already_removed
from service.editing.joint_strength import joint_strengths
from service.editing.pieces import ImageFacts, Mark, Piece, exemplar_of
from service.problems import Problem
from service.records.image_store import ImageFile
from service.records.live_release import LiveRelease


class ClassChange(NamedTuple):
    """An exemplar that is to have another class."""

    exemplar_id: str
    ref: ClassRef


class Relabelled(NamedTuple):
    """An exemplar that takes the place of another one.

    old: id of the replaced exemplar; before: its class; new: the exemplar; image: its file, if the database may not
    have it, because the replaced one is of the release.
    """

    old: str
    before: int
    new: AddedExemplar
    image: ImageFile | None


def images_of(live: LiveRelease, exemplar_ids: Sequence[str]) -> dict[int, ImageFile]:
    """The image files of exemplars of the release, by the number of the image. They are small: at most a few MB each.

    Args:
        live: the release.
        exemplar_ids: of the release, or added; the images of added ones are in the database already.
    """
    exemplars, sources = live.release.exemplars, live.release.sources
    rows = [live.release.rows[name] for name in exemplar_ids if name in live.release.rows]
    return {
        number: ImageFile.of(
            live.release.image_path(number).read_bytes(), (sources[number].height, sources[number].width)
        )
        for number in {int(exemplars.image_ids[row]) for row in rows}
    }


def relabelled(
    live: LiveRelease, changes: Sequence[ClassChange], classes: Classes, images: Mapping[int, ImageFile]
) -> list[Relabelled]:
    """The exemplars that take the place of others, in the order of the changes.

    An exemplar with strength 1 keeps it. One that was made stronger, for a correction or a stroke, gets the strength
    with which its new class wins the vote on its own pixels.

    Args:
        live: the release.
        changes: exemplars that exist, and their new classes. What has its class already is left out.
        classes: the present classes; new ones are created there.
        images: what `images_of` returned for these exemplars.

    Raises:
        Problem: 404 if a class does not exist; 409 if an exemplar is removed, or there would be too many classes; 422
            if an exemplar is to have two classes.
    """
    targets = _targets(live, changes, classes)
    rows = {name: live.state.row(name) for name in targets}
    moved = {name: row for name, row in rows.items() if row is not None and _class_of(live, row) != targets[name]}
    if not moved:
        return []
    strengths = _strengths(live, moved, [targets[name] for name in moved])
    refs = {change.exemplar_id: change.ref for change in changes}
    return [
        _replaced(live, name, row, (targets[name], _named(refs[name], classes, targets[name])), strength, images)
        for (name, row), strength in zip(moved.items(), strengths, strict=True)
    ]  # fmt: skip


def summary_of(live: LiveRelease, made: Sequence[Relabelled], classes: Classes) -> str:
    """What an edit does, such as "relabelled 3 exemplars: 2 of pole to building, 1 of tree to sky"."""
    pairs = Counter((one.before, one.new.class_id) for one in made)
    names = {class_id: classes.name(class_id) for pair in pairs for class_id in pair}
    many = "an exemplar" if len(made) == 1 else f"{len(made)} exemplars"
    if len(pairs) == 1:
        before, after = next(iter(pairs))
        return f"relabelled {many} of {names[before]} to {names[after]}"
    parts = [f"{count} of {names[before]} to {names[after]}" for (before, after), count in pairs.most_common()]
    return f"relabelled {many}: {', '.join(parts)}"


def _targets(live: LiveRelease, changes: Sequence[ClassChange], classes: Classes) -> dict[str, int]:
    """The new class of each exemplar, by id."""
    removed = [one.exemplar_id for one in changes if not live.log.is_alive(one.exemplar_id)]
    if removed:
        raise already_removed(live.log, removed)
    targets: dict[str, int] = {}
    for change in changes:
        class_id = classes.find(change.ref).class_id
        if targets.setdefault(change.exemplar_id, class_id) != class_id:
            raise Problem(
                422, "An exemplar cannot have two classes.", received=change.exemplar_id,
                allowed="each exemplar once", fix="Name each exemplar once, with one class.",
            )  # fmt: skip
    return targets


def _strengths(live: LiveRelease, moved: Mapping[str, int], class_ids: Sequence[int]) -> list[float]:
    rows, wanted = np.array(list(moved.values())), np.array(class_ids)
    strengths = np.ones(len(rows))
    of_image: dict[str | None, list[int]] = defaultdict(list)
    for n in np.flatnonzero(live.state.strengths(rows) != 1).tolist():
        added = live.state.added(int(rows[n]))
        of_image[added.image_id if added is not None and added.scope == "image" else None].append(n)
    for image_id, numbers in of_image.items():
        state, k = live.state.for_image(image_id), live.release.card.retrieval.k
        prototypes = state.prototypes(rows[numbers])
        strengths[numbers] = joint_strengths(state, prototypes, wanted[numbers], {k}, rows.tolist())
    found: list[float] = strengths.tolist()
    return found


def _replaced(
    live: LiveRelease, name: str, row: int, target: tuple[int, ClassRef], strength: float,
    images: Mapping[int, ImageFile],
) -> Relabelled:  # fmt: skip
    class_id, ref = target
    old, image = _as_added(live, row, images)
    piece = Piece(old.prototype, ref, old.bbox, old.area, old.mask)
    mark = Mark(piece, ImageFacts(old.image_id, old.width, old.height), old.source)
    return Relabelled(name, old.class_id, exemplar_of(live.log, mark, class_id, strength, old.scope), image)


def _as_added(live: LiveRelease, row: int, images: Mapping[int, ImageFile]) -> tuple[AddedExemplar, ImageFile | None]:
    """An exemplar with its image, as if an edit had added it."""
    added = live.state.added(row)
    if added is not None:
        return added, None
    facts, image = exemplar_facts(live.state, row), images[int(live.release.exemplars.image_ids[row])]
    prototype = live.state.prototypes(np.array([row]))[0]
    return AddedExemplar(
        facts["exemplar_id"], prototype, facts["class_id"], facts["strength"], image.image_id, facts["source"],
        image.width, image.height, tuple(facts["bbox"]), facts["area"], facts["mask"]["counts"],
    ), image  # fmt: skip


def _named(ref: ClassRef, classes: Classes, class_id: int) -> ClassRef:
    """The class of a reference by its name, which a new class needs in the ids of its exemplars."""
    return ref if ref.name is not None else ClassRef(classes.name(class_id))


def _class_of(live: LiveRelease, row: int) -> int:
    return int(live.state.class_ids(np.array([row]))[0])
