"""Exemplars: which there are, showing new ones, taking some away."""

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
    Service,
    author,
    edited,
    json,
    picture_response,
    png_response,
    turn,
)
from service.routes.exemplar_bodies import SHOWN_BODY, Shown, read_shown

router = APIRouter(prefix="/exemplars", tags=["exemplars"])


class Removal(Body):
    """Body of POST /exemplars/remove."""

    exemplar_ids: Annotated[list[str], Field(min_length=1, max_length=10_000)]
    reason: str | None = None


@router.get("")
def exemplars(
    caller: Reader,
    engine: Service,
    class_id: Annotated[int | None, Query(ge=0, le=LARGEST)] = None,
    limit: Limit = 50,
    offset: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    removed: Annotated[bool, Query(description="those that were removed")] = False,
    query: Annotated[str | None, Query(max_length=200, description="what occurs in the id or the source")] = None,
) -> Response:
    """The exemplars of the release that is served, as edits left them; those added last come first."""
    live = engine.served.live
    rows = list(exemplar_rows(live, class_id, query, removed))
    told = [exemplar_json(live, row) for row in islice(rows, offset, offset + limit)]
    return json({"total": len(rows), "exemplars": [{k: v for k, v in one.items() if k != "mask"} for one in told]})


@router.post("", status_code=201, openapi_extra=SHOWN_BODY)
async def show(
    request: Request,
    caller: Curator,
    engine: Service,
    curation: Edits,
    segments: Annotated[int | None, Query(description="segments that pixel sorting starts with")] = None,
) -> Response:
    """Make exemplars of the labelled parts of a picture; a class of a new name is made in the same edit.

    The same content again adds nothing: `already` says how many of the exemplars were there.
    """
    shown = await read_shown(request, engine.settings.max_bytes)
    async with turn(request, lambda: engine.measure(shown.image, SegmentRequest(segments=segments))):
        return await run_in_threadpool(_show, engine, curation, caller, shown, segments)


def _show(engine: Engine, curation: Curation, caller: Caller, shown: Shown, segments: int | None) -> Response:
    by, most = author(caller, shown.reason), engine.settings.max_pixels
    image = decode(shown.image, most)
    picture = ImageFile.of(shown.image, (image.shape[0], image.shape[1]))
    pieces = pieces_of(engine, curation.served, image, shown.labels((image.shape[0], image.shape[1]), most), segments)
    added = curation.add(by, picture, pieces, shown.source or f"picture {picture.image_id[:16]}")
    infos = [state.info for state in curation.served.live.log.class_states()]
    told = [
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
    return edited(engine, added.edit, 201, exemplars=told, classes=classes, already=len(added.already))


@router.get("/{exemplar_id}")
def exemplar(exemplar_id: str, caller: Reader, engine: Service) -> Response:
    """One exemplar: class, source, box and mask."""
    return json(exemplar_json(*engine.catalogue.find_exemplar(exemplar_id)))


@router.get("/{exemplar_id}/image")
def image(exemplar_id: str, caller: Reader, engine: Service) -> Response:
    """The whole picture that an exemplar lies in."""
    live, row = engine.catalogue.find_exemplar(exemplar_id)
    return picture_response(exemplar_file(live, row, engine.records.images), exemplar_id)


@router.get("/{exemplar_id}/crop")
def crop(exemplar_id: str, caller: Reader, engine: Service) -> Response:
    """The part of the picture around an exemplar, its mask outlined."""
    live, row = engine.catalogue.find_exemplar(exemplar_id)
    return png_response(png(exemplar_crop(live, row, engine.records.images, engine.settings.max_pixels)))


@router.delete("/{exemplar_id}")
def delete(exemplar_id: str, caller: Curator, engine: Service, curation: Edits, reason: str | None = None) -> Response:
    """Take an exemplar out of the live state; it stays where it explains old answers, and can be brought back."""
    edit, _ = curation.remove(author(caller, reason), [exemplar_id])
    return edited(engine, edit, 200)


@router.post("/remove")
def remove(body: Removal, caller: Curator, engine: Service, curation: Edits) -> Response:
    """Take several exemplars out in one edit; `already` says how many were gone."""
    edit, gone = curation.remove(author(caller, body.reason), body.exemplar_ids)
    return edited(engine, edit, 200, already=gone)
