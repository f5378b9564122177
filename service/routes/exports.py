"""The route that exports answers in the formats of other tools."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, StringConstraints

from model_store.exporting import Download, ExportOptions, archive, combined, download
from service.answering.engine import Engine
from service.answering.exported import export_classes, export_images, release_of_all
from service.http.access import Caller
from service.http.budgeted import Budgeted
from service.http.spooled import Spooled
from service.problems import Problem
from service.routes.dependencies import Body, Limit, Reader, Service
from service.routes.documented import BINARY, Responses
from service.routes.segmentations import find_answers, no_answer

router = APIRouter(route_class=Budgeted, tags=["segmentations"])
Format = Literal["coco", "png", "color-png", "yolo", "geojson", "label-studio", "cvat", "labelme", "csv"]
_MOST = 1000
ImageName = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
_FILES: Responses = {
    200: {
        "description": "Of one answer, the file of its labels, if the format has one; otherwise a ZIP archive.",
        "content": dict.fromkeys(
            ("application/zip", "application/json", "application/geo+json", "text/csv", "application/xml"),
            BINARY,
        ),
    }
}


OPTIONS = {
    "format": "Format of the export.",
    "images": "Also export the image files that are still kept.",
    "polygons": "Outlines or masks, in formats that have both. By default, what the format usually has.",
    "join": "Touching segments of one class are one object, such as a nucleus that consists of several segments.",
    "single": "One file for all images instead of an archive, in the formats coco, label-studio, cvat and csv.",
}


class Selection(Body):
    """Answers to export."""

    segmentation_ids: Annotated[
        list[str], Field(min_length=1, max_length=_MOST, description="Their ids.", examples=[["3f" * 16]])
    ]
    format: Annotated[Format, Field(description=OPTIONS["format"])] = "coco"
    images: Annotated[bool, Field(description=OPTIONS["images"])] = False
    polygons: Annotated[bool | None, Field(description=OPTIONS["polygons"])] = None
    single: Annotated[bool, Field(description=OPTIONS["single"])] = False
    join: Annotated[bool, Field(description=OPTIONS["join"])] = False
    names: Annotated[
        dict[str, ImageName],
        Field(
            default_factory=dict,
            max_length=_MOST,
            description="Names of the image files in the export, by the ids of the answers. The service does not store "
            "names of files. Equal names are made unique, and characters that a file system refuses are replaced. "
            "Without a name, the file is named by the id of its answer.",
            examples=[{"3f" * 16: "photo.jpg"}],
        ),
    ]


@router.get(
    "/export", operation_id="export_segmentations", summary="Export answers in the format of another tool",
    response_class=Response, responses=_FILES,
)  # fmt: skip
def export_segmentations(
    request: Request,
    caller: Reader,
    engine: Service,
    format: Annotated[Format, Query(description=OPTIONS["format"])] = "coco",
    segmentation_id: Annotated[
        list[str] | None,
        Query(description="Ids of answers, at most 1000. Without them, the newest answers of the active release."),
    ] = None,
    limit: Limit = 50,
    images: Annotated[bool, Query(description=OPTIONS["images"])] = False,
    polygons: Annotated[bool | None, Query(description=OPTIONS["polygons"])] = None,
    single: Annotated[bool, Query(description=OPTIONS["single"])] = False,
    join: Annotated[bool, Query(description=OPTIONS["join"])] = False,
    latest: Annotated[bool, Query(description="Without ids: only the newest answer of each image.")] = False,
) -> Response:
    """Export answers: labels, confidences and ids of segments and exemplars, as far as the format can carry them.

    Segments that are unknown, or that no exemplar voted on, have no class in the export. Names of image files are the
    ids of the answers. `POST /export` takes many ids.
    """
    if segmentation_id is not None and len(segmentation_id) > _MOST:
        raise Problem(
            422, "Too many answers are asked for.", received=len(segmentation_id), allowed=f"at most {_MOST}",
            fix="Export them in several requests.",
        )  # fmt: skip
    ids = segmentation_id or []
    if segmentation_id is None:
        live, owner = engine.served.live, caller.owner
        newest = engine.records.newest(limit, release=live, load="facts", owner=owner, latest=latest)
        ids = [answered.facts.segmentation_id for answered in newest]
    if not ids:
        raise Problem(
            404, "There is no answer to export.", received=segmentation_id or "no segmentation_id",
            allowed="answers of the active release, or ids of answers", fix="Segment an image first: POST /segment.",
        )  # fmt: skip
    asked = Selection(
        segmentation_ids=ids, format=format, images=images, polygons=polygons, single=single, join=join, names={}
    )
    return _export(request, engine, caller, asked)


@router.post(
    "/export", operation_id="export_selection", summary="Export chosen answers in the format of another tool",
    response_class=Response, responses=_FILES,
)  # fmt: skip
def export_selection(request: Request, body: Selection, caller: Reader, engine: Service) -> Response:
    """Export answers by their ids, which the body holds because an address has no room for very many.

    Image files have the names that the body gives them.
    """
    return _export(request, engine, caller, body)


def _export(request: Request, engine: Engine, caller: Caller, asked: Selection) -> Response:
    ids = list(dict.fromkeys(asked.segmentation_ids))
    live = release_of_all(engine, find_answers(engine, ids, caller))  # each is read again when it is written
    form, classes = asked.format, export_classes(live)
    options = ExportOptions(polygons=asked.polygons, release=live.name, join=asked.join, digest=live.digest)
    try:
        if asked.single and not asked.images:
            return _file(combined(form, export_images(engine, live, ids, False, asked.names), classes, options))
        if len(ids) == 1 and not asked.images:
            only = next(export_images(engine, live, ids, False, asked.names), None)
            if only is None:  # it was deleted after it was found
                raise no_answer(ids[0])
            return _file(download(form, only, classes, options))
        pieces = archive(form, export_images(engine, live, ids, asked.images, asked.names), classes, options)
    except ValueError as error:  # for example, a palette holds 256 classes at most
        raise Problem(422, "The format cannot hold this export.", received=form, allowed=str(error)) from error
    return Spooled(pieces, request.app.state.spool, media_type="application/zip", headers=_named(f"segsort-{form}.zip"))


def _file(found: Download) -> Response:
    return Response(found.content, media_type=found.media_type, headers=_named(found.name))


def _named(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
