"""What people annotated in a task of CVAT becomes exemplars of the service.

Each frame has a name of its own among the sources of exemplars, `cvat/TASK/FRAME NAME`. Teaching a frame again adds
what is new and removes what is no longer annotated, so that it may be repeated at any time.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import PIL.Image
from cvat_sdk.core import Client as CvatClient
from cvat_sdk.core.proxies.tasks import Task
from PIL import ImageOps

from segsort_client import Client, SegsortError
from segsort_cvat.shapes import DRAWN, Drawn, strokes

_PAGE = 500  # exemplars that are listed at once

_log = logging.getLogger(__name__)


@dataclass
class Taught:
    """What was done for a task.

    frames: frames with annotations; added, removed: exemplars; already: exemplars that existed before; left_out: shapes
    that were not used, by reason; failed: what went wrong, by frame.
    """

    frames: int = 0
    added: int = 0
    removed: int = 0
    already: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    failed: dict[int, str] = field(default_factory=dict)


def teach(
    cvat: CvatClient, client: Client, task_id: int, *, automatic: bool = False, on_frame: Callable[[str], None] = print
) -> Taught:
    """Teach the service what people annotated in a task.

    Args:
        cvat: signed in.
        client: of the service, with the key of a curator.
        task_id: of the task.
        automatic: also teach annotations that no person has touched, for example after a review.
        on_frame: called with a line about each frame.

    Raises:
        cvat_sdk.exceptions.ApiException: if CVAT refuses to give the task.
        SegsortError: if the service cannot be reached or refuses the key.
    """
    task = cvat.tasks.retrieve(task_id)
    done = Taught()
    meta = task.get_meta()
    deleted = set(meta.deleted_frames)
    shapes = _shapes_by_frame(task, automatic, done)
    before = _exemplars_by_source(client, f"cvat/{task_id}/")
    for number, drawn in shapes.items():
        if number in deleted:
            done.left_out["on deleted frames"] += len(drawn)
        elif not 0 <= number < meta.size:
            done.left_out["on frames that the task does not have"] += len(drawn)
    for number in range(meta.size):
        frame = meta.frames[number if len(meta.frames) > 1 else 0]  # the frames of a video have one entry in common
        source = f"cvat/{task_id}/{number} {frame.name}"
        drawn = [] if number in deleted else shapes.get(number, [])
        if not drawn and source not in before:
            continue
        try:
            _teach_frame(task, client, number, (frame.width, frame.height), source, drawn, before.get(source, []), done)
        except (SegsortError, ValueError, OSError) as error:
            if isinstance(error, SegsortError) and error.status in (None, 401, 403):
                raise
            done.failed[number] = str(error)
            on_frame(f"{source}: failed: {error}")
        else:
            on_frame(f"{source}: {len(drawn)} shapes")
    return done


def _teach_frame(
    task: Task, client: Client, number: int, size: tuple[int, int], source: str, drawn: Sequence[Drawn],
    before: Sequence[str], done: Taught,
) -> None:  # fmt: skip
    """Add the exemplars of a frame, then remove those that earlier annotations of it had left."""
    reason = f"CVAT task {task.id}, frame {number}"
    kept: set[str] = set()
    if drawn:
        image = _image(task, number, size)
        found = client.add_exemplar(image, strokes=strokes(drawn, size), source=source, reason=reason, relabel=False)
        kept = {one.exemplar_id for one in found.exemplars}
        done.frames += 1
        done.added += sum(one.added for one in found.exemplars)
        done.already += found.already
        done.left_out["without a pixel"] += len(found.dropped)
    gone = [one for one in before if one not in kept]
    if gone:
        client.remove_exemplars(gone, reason=f"{reason}: no longer annotated")
        done.removed += len(gone)


def _image(task: Task, number: int, size: tuple[int, int]) -> PIL.Image.Image:
    """A frame as people saw it.

    Raises:
        ValueError: if it has another size than the annotations.
    """
    image: PIL.Image.Image = PIL.Image.open(task.get_frame(number, quality="original"))
    if image.size != size:
        image = ImageOps.exif_transpose(image)
    if image.size != size:
        raise ValueError(f"the image has {image.size[0]}x{image.size[1]} pixels, its annotations {size[0]}x{size[1]}")
    return image


def _shapes_by_frame(task: Task, automatic: bool, done: Taught) -> Mapping[int, list[Drawn]]:
    labels = {label.id: (label.name, label.color) for label in task.get_labels()}
    found = defaultdict(list)
    data = task.get_annotations()
    done.left_out["tracks"] += len(data.tracks)
    for shape in data.shapes:
        kind = getattr(shape.type, "value", shape.type)
        source = getattr(getattr(shape, "source", "manual"), "value", getattr(shape, "source", "manual"))
        if kind not in DRAWN:
            done.left_out[f"of type {kind}"] += 1
        elif source == "auto" and not automatic:
            done.left_out["automatic"] += 1
        else:
            name, color = labels[shape.label_id]
            rotation = float(getattr(shape, "rotation", 0.0) or 0.0)
            drawn = Drawn(name, color, kind, list(shape.points), int(getattr(shape, "z_order", 0) or 0), rotation)
            found[shape.frame].append(drawn)
    return found


def _exemplars_by_source(client: Client, prefix: str) -> dict[str, list[str]]:
    """Ids of the living exemplars whose source begins with a text, by source."""
    found = defaultdict(list)
    for one in _exemplars(client, prefix):
        if one.source.startswith(prefix):
            found[one.source].append(one.exemplar_id)
    return dict(found)


def _exemplars(client: Client, query: str) -> Iterator[Any]:
    offset = 0
    while True:
        page = client.exemplars(query=query, limit=_PAGE, offset=offset)
        yield from page.exemplars
        offset += _PAGE
        if offset >= page.total:
            return
