"""Routes of exemplars: list, add and remove them."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from service.answering.engine import Engine
from service.answering.limits import SegmentRequest
from service.answering.release_view import class_json
from service.editing.curation import Curation
from service.editing.new_exemplars import pieces_of
from service.explaining.exemplar_detail import exemplar_crop, exemplar_file, exemplar_json, exemplar_rows
from service.http import wire
from service.http.access import Caller
from service.images.decode import decode
from service.images.drawing import png
from service.records.image_store import ImageFile
from service.routes.dependencies import (
    LARGEST,
    Body,
    Curator,
    Edits,
    Limit,
    Reader,
    Reason,
    Service,
    author,
    edited,
    image_response,
    json,
    png_response,
    turn,
)
from service.routes.documented import BUSY, IMAGE, PNG, ExemplarId, unchanged
from service.routes.exemplar_bodies import BODY, LabelledImage, read_labelled_image

router = APIRouter(prefix="/exemplars", tags=["exemplars"])


class Removal(Body):
    """Exemplars to remove."""

    exemplar_ids: Annotated[
        list[str], Field(min_length=1, max_length=10_000, description="Their ids.", examples=[["e5" * 8]])
    ]
    reason: Reason = None


@router.get("", operation_id="list_exemplars", response_model=wire.ExemplarList)
def list_exemplars(
    caller: Reader,
    engine: Service,
    class_id: Annotated[int | None, Query(ge=0, le=LARGEST, description="Only exemplars of this class.")] = None,
    limit: Limit = 50,
    offset: Annotated[int, Query(ge=0, le=LARGEST, description="Number of exemplars to skip.")] = 0,
    removed: Annotated[bool, Query(description="List the exemplars that were removed instead.")] = False,
    query: Annotated[
        str | None, Query(max_length=200, description="Only exemplars whose id or source contains this text.")
    ] = None,
) -> Response:
    """List the exemplars of the release that is served, the most recently added first."""
    live = engine.served.live
    rows = list(exemplar_rows(live, class_id, query, removed))
    page = [exemplar_json(live, row) for row in islice(rows, offset, offset + limit)]
    listed = [{name: value for name, value in one.items() if name != "mask"} for one in page]
    return json({"total": len(rows), "exemplars": listed})


@router.post(
    "", status_code=201, operation_id="add_exemplars", response_model=wire.ExemplarsAdded,
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
        Query(description="Number of segments that pixel sorting starts with. By default, that of the release."),
    ] = None,
) -> Response:
    """Add the labelled parts of an image as exemplars; a new class name creates the class in the same edit.

    Sending the same content again adds nothing: `already` counts the exemplars that existed before.
    """
    labelled = await read_labelled_image(request, engine.settings.max_bytes)
    async with turn(request, lambda: engine.measure(labelled.image, SegmentRequest(segments=segments))):
        return await run_in_threadpool(_add, engine, curation, caller, labelled, segments)


def _unnamed_source(image_file: ImageFile) -> str:
    """Source of an image that was sent without one.

    The source is part of an exemplar's id. Another wording would make an image that databases already hold a new one.
    """
    return f"picture {image_file.image_id[:16]}"


def _add(engine: Engine, curation: Curation, caller: Caller, labelled: LabelledImage, segments: int | None) -> Response:
    by, most = author(caller, labelled.reason), engine.settings.max_pixels
    image = decode(labelled.image, most)
    size = (image.shape[0], image.shape[1])
    image_file = ImageFile.of(labelled.image, size)
    pieces = pieces_of(engine, curation.served, image, labelled.labels(size, most), segments)
    added = curation.add(by, image_file, pieces, labelled.source or _unnamed_source(image_file))
    infos = [state.info for state in curation.served.live.log.class_states()]
    exemplars = [
        {
            "exemplar_id": one.exemplar_id,
            "class_id": one.class_id,
            "class_name": infos[one.class_id].name,
            "area": one.area,
            "bbox": list(one.bbox),
            "added": one.exemplar_id not in added.already,
        }
        for one in added.exemplars
    ]
    classes = [] if added.edit is None else [class_json(info) for info in added.edit.new_classes]
    return edited(engine, added.edit, 201, exemplars=exemplars, classes=classes, already=len(added.already))


@router.get("/{exemplar_id}", operation_id="get_exemplar", response_model=wire.Exemplar)
def get_exemplar(exemplar_id: ExemplarId, caller: Reader, engine: Service) -> Response:
    """Read one exemplar: class, source, bounding box and mask."""
    return json(exemplar_json(*engine.catalogue.find_exemplar(exemplar_id)))


@router.get("/{exemplar_id}/image", operation_id="get_exemplar_image", response_class=Response, responses=IMAGE)
def get_exemplar_image(exemplar_id: ExemplarId, caller: Reader, engine: Service) -> Response:
    """Read the image file that an exemplar lies in."""
    live, row = engine.catalogue.find_exemplar(exemplar_id)
    return image_response(exemplar_file(live, row, engine.records.images), exemplar_id)


@router.get("/{exemplar_id}/crop", operation_id="get_exemplar_crop", response_class=Response, responses=PNG)
def get_exemplar_crop(exemplar_id: ExemplarId, caller: Reader, engine: Service) -> Response:
    """Draw the part of the image around an exemplar, its mask outlined."""
    live, row = engine.catalogue.find_exemplar(exemplar_id)
    return png_response(png(exemplar_crop(live, row, engine.records.images, engine.settings.max_pixels)))


@router.delete("/{exemplar_id}", operation_id="remove_exemplar", response_model=wire.Edited)
def remove_exemplar(
    exemplar_id: ExemplarId,
    caller: Curator,
    engine: Service,
    curation: Edits,
    reason: Annotated[str | None, Query(description="Why, in your words, at most 1000 characters.")] = None,
) -> Response:
    """Remove an exemplar from votes. Earlier explanations can still read it. Reverting the edit restores it."""
    edit, _ = curation.remove(author(caller, reason), [exemplar_id])
    return edited(engine, edit, 200)


@router.post("/remove", operation_id="remove_exemplars", response_model=wire.ExemplarsRemoved)
def remove_exemplars(body: Removal, caller: Curator, engine: Service, curation: Edits) -> Response:
    """Remove several exemplars in one edit; `already` counts those that had been removed before."""
    edit, gone = curation.remove(author(caller, body.reason), body.exemplar_ids)
    return edited(engine, edit, 200, already=gone)
