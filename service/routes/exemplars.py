"""Routes of exemplars: list, read and remove them."""

from itertools import islice
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from service.answering.renderings import Renderings
from service.explaining.exemplar_detail import exemplar_crop, exemplar_file, exemplar_json, exemplar_rows
from service.http import wire
from service.http.budgeted import Budgeted
from service.images.drawing import png
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
from service.routes.documented import BUSY, IMAGE, PNG, ExemplarId

router = APIRouter(route_class=Budgeted, prefix="/exemplars", tags=["exemplars"])


class Removal(Body):
    """Exemplars to remove."""

    exemplar_ids: Annotated[
        list[str], Field(min_length=1, max_length=10_000, description="Their ids.", examples=[["e5" * 8]])
    ]
    reason: Reason = None


@router.get("", operation_id="list_exemplars", summary="List exemplars", response_model=wire.ExemplarList)
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


@router.get("/{exemplar_id}", operation_id="get_exemplar", summary="Read an exemplar", response_model=wire.Exemplar)
def get_exemplar(exemplar_id: ExemplarId, caller: Reader, engine: Service) -> Response:
    """Read one exemplar: class, source, bounding box and mask."""
    return json(exemplar_json(*engine.catalogue.find_exemplar(exemplar_id)))


@router.get(
    "/{exemplar_id}/image",
    operation_id="get_exemplar_image",
    summary="Read the image of an exemplar",
    response_class=Response,
    responses=IMAGE,
)
def get_exemplar_image(exemplar_id: ExemplarId, caller: Reader, engine: Service) -> Response:
    """Read the image file that an exemplar lies in."""
    live, row = engine.catalogue.find_exemplar(exemplar_id)
    return image_response(exemplar_file(live, row, engine.records.images), exemplar_id)


@router.get(
    "/{exemplar_id}/crop",
    operation_id="get_exemplar_crop",
    summary="Draw an exemplar in its image",
    response_class=Response,
    responses=PNG | BUSY,
)
async def get_exemplar_crop(exemplar_id: ExemplarId, request: Request, caller: Reader, engine: Service) -> Response:
    """Draw the part of the image around an exemplar, its mask outlined.

    A part of more than 2048 pixels is drawn at a fraction of its size.
    """
    live, row = await run_in_threadpool(engine.catalogue.find_exemplar, exemplar_id)
    added, renderings = live.state.added(row), cast(Renderings, request.app.state.renderings)
    size = live.release.sources[int(live.release.exemplars.image_ids[row])] if added is None else added
    pixels = renderings.whole(size.width, size.height)

    def drawn() -> Response:
        return png_response(png(exemplar_crop(live, row, engine.records.images, renderings.decoded)))

    async with turn(request, lambda: pixels, quick=True, admission=renderings.crops):
        return await run_in_threadpool(drawn)


@router.delete(
    "/{exemplar_id}", operation_id="remove_exemplar", summary="Remove an exemplar", response_model=wire.Edited
)
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


@router.post(
    "/remove", operation_id="remove_exemplars", summary="Remove several exemplars", response_model=wire.ExemplarsRemoved
)
def remove_exemplars(body: Removal, caller: Curator, engine: Service, curation: Edits) -> Response:
    """Remove several exemplars in one edit; `already` counts those that had been removed before."""
    edit, gone = curation.remove(author(caller, body.reason), body.exemplar_ids)
    return edited(engine, edit, 200, already=gone)
