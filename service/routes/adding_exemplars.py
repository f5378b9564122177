"""The route that adds exemplars: strokes, annotations or a mask on an image, and their effect on an earlier answer."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from model_store.predictor import Sized
from service.answering.answers import Shapes
from service.answering.engine import Engine
from service.answering.limits import AnswerOptions, SegmentRequest
from service.answering.relabelling import relabel as relabel_answer
from service.answering.release_view import class_json
from service.answering.served import ServedRelease, check_release
from service.answering.splitting import MarkedPixels, split_by_strokes
from service.editing.curation import Curation
from service.editing.new_exemplars import MarkedImage, pieces_of
from service.editing.pieces import Source
from service.http import wire
from service.http.access import Caller
from service.http.budgeted import Budgeted
from service.images.decode import decode_mask, is_quick, take_page
from service.problems import Problem
from service.records.database import Answered
from service.records.image_store import ImageFile, unnamed_source
from service.routes.added_exemplars import added_json
from service.routes.dependencies import (
    Curator,
    Edits,
    Exemplars,
    Service,
    author,
    edited,
    if_recorded,
    turn,
)
from service.routes.documented import BUSY, unchanged
from service.routes.exemplar_bodies import LabelledImage, read_labelled_image
from service.routes.exemplar_document import BODY
from service.routes.segmentations import find_answer

router = APIRouter(route_class=Budgeted, prefix="/exemplars", tags=["exemplars"])


@dataclass(frozen=True)
class _Asked:
    """What a request asks for.

    content: the image file; answered: the earlier answer to it; segments: K at the start of pixel sorting; exemplars:
    listed for each segment of the new answer; None: no new answer.
    """

    labelled: LabelledImage
    content: bytes
    answered: Answered | None
    segments: int | None
    exemplars: int | None


@router.post(
    "", status_code=201, operation_id="add_exemplars", summary="Add exemplars from a labelled image",
    response_model=wire.ExemplarsAdded,
    responses=unchanged(wire.ExemplarsAdded) | BUSY, openapi_extra=BODY,
    response_description="The exemplars were added.",
)  # fmt: skip
async def add_exemplars(
    request: Request,
    caller: Curator,
    engine: Service,
    curation: Edits,
    segments: Annotated[
        int | None,
        Query(
            description="Number of segments that pixel sorting starts with. By default, that of the release. More "
            "segments give more and smaller exemplars: with masks, 256 teach a new class better than 64."
        ),
    ] = None,
    relabel: Annotated[
        bool, Query(description="With a `segmentation_id`: also label the whole image again, as `relabelled`.")
    ] = True,
    exemplars: Exemplars = 5,
) -> Response:
    """Add the labelled parts of an image as exemplars; a new class name creates the class in the same edit.

    Exactly the pixels under a stroke become exemplars, strong enough to win the vote on these pixels. With the
    `segmentation_id` of an earlier answer to the image, `relabelled` is a new answer. In it, the segments that strokes
    cross are divided: the pixels under the strokes, and the parts most like them, are segments of their own.

    Sending the same content again adds nothing: `already` counts the exemplars that existed before. Annotations and
    polygons without a pixel are not used; `dropped` lists them.
    """
    engine.limits.check_options(AnswerOptions(exemplars))
    labelled = await read_labelled_image(request, engine.settings.max_bytes)
    content, answered = await run_in_threadpool(_image_of, engine, curation.served, labelled, caller)
    asked = _Asked(labelled, content, answered, segments, exemplars if relabel else None)
    slow = content if labelled.mask is None or not is_quick(content) else labelled.mask
    ahead = slow, lambda: _decode_all(engine, curation.served, asked)
    async with turn(request, lambda: engine.measure(content, SegmentRequest(segments=segments)), ahead=ahead):
        return await run_in_threadpool(_add, engine, curation, caller, asked)


def _image_of(
    engine: Engine, served: ServedRelease, labelled: LabelledImage, caller: Caller
) -> tuple[bytes, Answered | None]:
    """The image file of a request, and the answer that it names.

    Raises:
        Problem: 404 if there is no such answer; 409 if another release gave it, or its image is not kept; 422 if the
            image is not the one of the answer.
    """
    if labelled.segmentation_id is None:
        return take_page(labelled.image or b"").content, None
    answered = find_answer(engine, labelled.segmentation_id, caller)
    check_release(served, answered)
    if labelled.image is not None:
        return _page_of_answer(labelled.image, answered), answered
    stored = engine.records.images.get(answered.facts.image_id)
    if stored is None:
        raise Problem(
            409, "The image of this answer is no longer kept.", received=labelled.segmentation_id,
            allowed="answers whose image is kept: image_url of GET /segmentations",
            fix="Send the image as `image`. The operator can keep more images with SEGSORT_KEEP_IMAGES_MB.",
        )  # fmt: skip
    return stored.content, answered


def _page_of_answer(image: bytes, answered: Answered) -> bytes:
    """The page of a file that was answered. The file may be the whole one, or have this page alone."""
    first = take_page(image)
    number = answered.facts.page or 0
    return first.content if first.pages == 1 or number == 0 else take_page(image, number).content


def _check_same_image(answered: Answered, image: ImageFile) -> None:
    """Refuse an image that is not the one of an answer. Old answers have no image id; then only the size is checked."""
    facts = answered.facts
    same_size = (facts.width, facts.height) == (image.width, image.height)
    if not same_size or facts.image_id not in (None, image.image_id):
        raise Problem(
            422, "The image is not the one of the answer.",
            received=f"{image.width}x{image.height} pixels, SHA-256 {image.image_id[:16]}...",
            allowed=f"{facts.width}x{facts.height} pixels, SHA-256 {(facts.image_id or 'unknown')[:16]}...",
            fix="Send the file that was segmented, or leave out `image` or `segmentation_id`.",
        )  # fmt: skip


def _add(engine: Engine, curation: Curation, caller: Caller, asked: _Asked) -> Response:
    labelled, most, served = asked.labelled, engine.settings.max_pixels, curation.served
    by = author(caller, labelled.reason)
    image = _decoded(engine, served, asked)
    file = ImageFile.of(asked.content, image.size)
    if asked.answered is not None:
        _check_same_image(asked.answered, file)
    names = [state.info.name for state in served.live.log.class_states() if not state.retired]
    marks = labelled.marks(image.size, most, names)
    marked = pieces_of(engine, served, image, marks, asked.segments)
    source = Source(file, labelled.source or unnamed_source(file.image_id))
    ks = set() if asked.answered is None else {asked.answered.facts.k}
    added = curation.add(by, source, marked.pieces, ks, labelled.scope)
    classes = [] if added.edit is None else [class_json(info) for info in added.edit.new_classes]
    again = _relabelled(engine, served, asked, marked, caller.name)
    return edited(
        engine, added.edit, 201, exemplars=added_json(served, added), classes=classes, already=len(added.already),
        dropped=[] if marks.areas is None else [one._asdict() for one in marks.areas.dropped], relabelled=again,
    )  # fmt: skip


def _decoded(engine: Engine, served: ServedRelease, asked: _Asked) -> Sized:
    """The upright image. Strokes are embedded as POST /segment does, so that they fit the answer."""
    if asked.labelled.strokes is not None:
        return engine.decode(asked.content, served)
    return engine.decode_in_full(asked.content, served)


def _decode_all(engine: Engine, served: ServedRelease, asked: _Asked) -> None:
    """Decode the image and the mask, so that `_add` finds them, see `service.images.decode.kept_ahead`."""
    _decoded(engine, served, asked)
    if asked.labelled.mask is not None:
        decode_mask(asked.labelled.mask, engine.settings.max_pixels)


def _relabelled(
    engine: Engine, served: ServedRelease, asked: _Asked, marked: MarkedImage, author: str
) -> dict[str, Any] | None:
    """The new answer; None if none is asked for, or the database fails, because the edit is already in effect."""
    answered, exemplars = asked.answered, asked.exemplars
    if answered is None or exemplars is None:
        return None
    split = None
    if marked.strokes is not None:
        options = served.release.card.sorting.options(asked.segments)
        shapes = Shapes.of_answer(answered)
        split = split_by_strokes(shapes, MarkedPixels.of_map(shapes, marked.strokes), marked.embeddings, options)
    return if_recorded(lambda: relabel_answer(engine, answered, AnswerOptions(exemplars), author, served, split))
