"""Routes of one segment of an answer: its crop, and the correction of its label."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from model_store.images import Decoded
from model_store.live import Scope
from service.answering.engine import Engine
from service.answering.limits import AnswerOptions
from service.answering.relabelling import relabel as relabel_answer
from service.answering.release_view import class_json
from service.answering.renderings import Renderings
from service.editing.class_names import ClassRef
from service.explaining.exemplar_detail import exemplar_json
from service.http import wire
from service.http.access import Caller
from service.http.budgeted import Budgeted
from service.images.drawing import png, reduced_crop
from service.logs import note_touched
from service.problems import Problem
from service.records.database import Record
from service.routes.dependencies import (
    LARGEST,
    Body,
    Color,
    Curator,
    Edits,
    Exemplars,
    Reader,
    Reason,
    Service,
    author,
    edited,
    if_recorded,
    not_kept,
    png_response,
    turn,
)
from service.routes.documented import BUSY, PNG, SegmentId, unchanged

router = APIRouter(route_class=Budgeted, prefix="/segments", tags=["segments"])


class Label(Body):
    """The right class of a segment, by name or by id."""

    class_name: str | None = Field(None, description="Its name; a new name creates a class.", examples=["kerb"])
    class_id: int | None = Field(None, ge=0, le=LARGEST, description="Its id, in place of the name.")
    color: Color = None
    scope: Scope = Field("all", description="image: the correction votes only for segments of this image file.")
    reason: Reason = None


@router.post(
    "/{segment_id}/label", status_code=201, operation_id="label_segment", summary="Correct the label of a segment",
    response_model=wire.SegmentLabelled,
    responses=unchanged(wire.SegmentLabelled), response_description="The label was corrected.",
)  # fmt: skip
def label_segment(
    segment_id: SegmentId,
    body: Label,
    caller: Curator,
    engine: Service,
    curation: Edits,
    relabel: Annotated[bool, Query(description="Also label the whole image again, as `relabelled`.")] = True,
    exemplars: Exemplars = 5,
) -> Response:
    """Correct the label of a segment. The segment becomes an exemplar that votes from the next request on."""
    engine.limits.check_options(AnswerOptions(exemplars))
    record = find_record(engine, segment_id, caller)
    ref = ClassRef(body.class_name, body.class_id, body.color)
    added = curation.label(author(caller, body.reason), record, ref, body.scope)
    live = curation.served.live
    row = live.state.row(added.exemplars[0].exemplar_id)
    if row is None:
        raise RuntimeError(f"the exemplar of {segment_id} was answered before its edit was applied")
    options, answered = AnswerOptions(exemplars), record.answered
    again = None
    if relabel:
        again = if_recorded(lambda: relabel_answer(engine, answered, options, caller.name, curation.served))
    return edited(
        engine, added.edit, 201,
        exemplar=exemplar_json(live, row), strength=added.exemplars[0].strength, relabelled=again,
        classes=[] if added.edit is None else [class_json(info) for info in added.edit.new_classes],
    )  # fmt: skip


@router.get(
    "/{segment_id}/crop",
    operation_id="get_segment_crop",
    summary="Draw a segment in its image",
    response_class=Response,
    responses=PNG | BUSY,
)
async def get_segment_crop(segment_id: SegmentId, request: Request, caller: Reader, engine: Service) -> Response:
    """Draw the part of the image around a segment, its mask outlined.

    A part of more than 2048 pixels is drawn at a fraction of its size.
    """
    renderings: Renderings = request.app.state.renderings
    kept = await run_in_threadpool(_kept_crop, engine, renderings, segment_id, caller)
    if kept is not None:
        return png_response(kept)
    record = await run_in_threadpool(find_record, engine, segment_id, caller)
    pixels = renderings.whole(record.segmentation.width, record.segmentation.height)
    async with turn(request, lambda: pixels, quick=True, admission=renderings.crops):
        return await run_in_threadpool(_crop, renderings, record)


def _kept_crop(engine: Engine, renderings: Renderings, segment_id: str, caller: Caller) -> bytes | None:
    """A crop that was drawn before, if the caller may see it and its image is still stored."""
    content = renderings.kept_crop(segment_id)
    found = None if content is None else engine.records.find(segment_id, caller.owner)
    if found is None or not engine.records.images.has(found[0].facts.image_id):
        return None
    note_touched(segment_id)
    return content


def _crop(renderings: Renderings, record: Record) -> Response:
    def draw(image: Decoded) -> bytes:
        mask = record.mask if image.size == record.size else np.zeros(image.size, dtype=bool)
        return png(reduced_crop(image.pixels, mask, record.bbox))

    image_id = record.segmentation.image_id
    content = None if image_id is None else renderings.crop(record.segment_id, image_id, draw)
    if content is None:
        raise not_kept(record.segment_id)
    return png_response(content)


def find_record(engine: Engine, segment_id: str, caller: Caller) -> Record:
    """A segment by its id.

    Raises:
        Problem: 404 if there is none that the caller sees: a reader sees its own, a curator all.
    """
    record = engine.records.get(segment_id, caller.owner)
    if record is None:
        raise Problem(
            404, "There is no such segment.", received=segment_id, allowed="the segment_id of a segment of an answer",
            fix="Segment the image again, and use the segment ids of the new answer.",
        )  # fmt: skip
    note_touched(segment_id)
    return record
